"""How a batch is named on the command line, and what Tab offers there."""

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from cyclopts.completion import CompletionContext

#: So many batches are offered, the newest ones.
_OFFERED = 50

#: Files of ours that a command takes in the place of a batch.
_OURS = ("*.results.*", "*.to-fix.*")


def _batches(context: "CompletionContext") -> list[tuple[str, str]]:
    """The newest batches of the ledger that the command line names, each with its number of rows.

    Of a file only: a database would be asked over a network, while somebody waits for Tab.
    """
    from batchcredit.ledger import registry
    from batchcredit.settings import load

    config, ledger, sandbox = (context.get(name) for name in ("--config", "--ledger", "--sandbox"))
    settings = load(Path(config.raw) if config and config.raw else None, None, os.environ, Path.cwd())
    usual = settings.sandbox_ledger_url if sandbox and sandbox.provided else settings.ledger_url
    url = (ledger and ledger.raw) or usual
    if registry.is_shared(url) or not registry.exists(url):
        return []
    with closing(registry.read(url)) as reader:
        found = reader.batches(context.incomplete)[:_OFFERED]
    return [(batch.name, f"{batch.rows} rows") for batch in found]


def _batches_and_files(context: "CompletionContext") -> list[tuple[str, str]]:
    """The same, and the files of ours in this folder."""
    files = sorted(path.name for form in _OURS for path in Path().glob(form))
    return [*_batches(context), *((name, "file") for name in files)]


def no_flag(_: type, name: object) -> None:
    """Only `-` itself begins with a dash: anything else is a flag that is mistyped, or in a value's place."""
    if str(name).startswith("-") and str(name) != "-":
        raise ValueError(f"{name} is no flag of this command. A file that is called so is written ./{name}")


_NAME = "Any unique beginning of a batch's name."

Batch = Annotated[str, Parameter(help=_NAME, completer=_batches)]
BatchOrFile = Annotated[
    str, Parameter(help=f"{_NAME} Or a results or to-fix file.", completer=_batches_and_files)
]
BatchOrInput = Annotated[
    str,
    Parameter(
        help=f"{_NAME} Or a results or to-fix file; - is stdin.",
        completer=_batches_and_files,
        allow_leading_hyphen=True,
        validator=no_flag,
    ),
]
Input = Annotated[
    Path,
    Parameter(
        help="The file: .csv, .csv.gz, .parquet or .xlsx; - is stdin.",
        allow_leading_hyphen=True,
        validator=no_flag,
    ),
]
