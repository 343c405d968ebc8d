"""The README and the pages of docs/: commands parse, tables are those of the code, links lead somewhere."""

import re
from pathlib import Path
from typing import Any

import pytest
from documents import DOCUMENTS, ROOT, commands, quoted, table_behind

from batchcredit.cli.app import app
from batchcredit.errors import BatchcreditError, DefectError, RefusedError, StorageError
from batchcredit.providers.base import Provider
from batchcredit.providers.clicksend import ClickSend
from batchcredit.providers.fastmessage import FastMessage
from batchcredit.runner.summary import Speed, Summary
from batchcredit.settings.keys import LimitKeys, ProfileKeys, ReconcileKeys, TopKeys
from batchcredit.transfer import KNOWN_COLUMNS, STATUSES
from batchcredit.writer import COLUMNS

ADAPTERS: tuple[type[Provider], ...] = (ClickSend, FastMessage)


@pytest.mark.parametrize(
    "arguments",
    [pytest.param(words, id=" ".join(words)) for document in DOCUMENTS for words in commands(document)],
)
def test_each_command_of_the_documents_parses(arguments: list[str]) -> None:
    """What a reader copies is understood: command, flags and the form of their values."""
    if arguments in (["--version"], ["--help"]):
        return
    app.parse_args(arguments, exit_on_error=False, print_error=False)


def test_the_documents_hold_commands() -> None:
    """The collector is not blind: every command of the program is shown in use somewhere."""
    found = {words[0] for document in DOCUMENTS for words in commands(document) if words}
    known = {name for name in app if not name.startswith("-")}
    assert known - {"rerun"} <= found


def settings_rows() -> dict[str, str]:
    """Key -> default, of both tables of settings."""
    rows = table_behind("docs/settings.md", "# Settings") + table_behind(
        "docs/settings.md", "Each `[providers.NAME]`"
    )
    return {quoted(key)[0]: default for key, default, _ in rows}


def documented_keys() -> set[str]:
    """The keys that the models have, as the page of settings writes them."""
    keys = {*TopKeys.model_fields} - {"limits", "reconcile", "providers"}
    keys |= {f"limits.{name}" for name in LimitKeys.model_fields}
    keys |= {f"reconcile.{name}" for name in ReconcileKeys.model_fields}
    keys |= {*ProfileKeys.model_fields}
    return keys.union(*(adapter.settings.model_fields for adapter in ADAPTERS))


def test_the_tables_of_settings_are_whole() -> None:
    """Each key that a settings file may have stands on the page of settings, and no other."""
    assert settings_rows().keys() == documented_keys()


def test_the_defaults_of_settings_are_told_truly() -> None:
    """A default that a model has is the one on its page; where there is none, the page gives none."""
    told = settings_rows()
    own = {
        "ledger": "`ledger.db` in your data folder",
        "base_url": f"`{ClickSend.default_base_url}`; Fast Message: needed",
        "rate": f"`{ClickSend.default_rate}`; Fast Message `{FastMessage.default_rate}`",
        "concurrency": f"`{ClickSend.default_concurrency}`; Fast Message `{FastMessage.default_concurrency}`",
        "ca_file": "the system's authorities",
        "transport": "`direct`; with a proxy `httpx`",
        "api_key": "from the environment",
        "apikey": "from the environment",
    }
    for key, field in _fields().items():
        assert told[key] == own.get(key, _default(field)), key


def test_the_meanings_of_settings_are_those_of_the_code() -> None:
    """A key means on the page of settings what it means in the file that `init` writes."""
    rows = table_behind("docs/settings.md", "# Settings") + table_behind(
        "docs/settings.md", "Each `[providers.NAME]`"
    )
    told = {quoted(key)[0]: re.sub("^(ClickSend|Fast Message): ", "", meaning) for key, _, meaning in rows}
    assert told == {key: field.description for key, field in _fields().items()}


def _fields() -> dict[str, Any]:
    fields = dict(TopKeys.model_fields) | dict(ProfileKeys.model_fields)
    for name in ("limits", "reconcile", "providers"):
        del fields[name]
    fields |= {f"limits.{name}": field for name, field in LimitKeys.model_fields.items()}
    fields |= {f"reconcile.{name}": field for name, field in ReconcileKeys.model_fields.items()}
    for adapter in ADAPTERS:
        fields |= adapter.settings.model_fields
    return fields


def _default(field: Any) -> str:
    if field.is_required():
        return "needed"
    return f"`{field.default}`" if field.default else "none"


def test_the_exit_codes_are_those_of_the_code() -> None:
    """The page of files names each exit code that an error or a batch's standing can give, and no other."""
    told = {int(code) for code, _ in table_behind("docs/files.md", "<!-- exit codes -->")}
    errors = {error.exit_code for error in (BatchcreditError, RefusedError, StorageError, DefectError)}
    assert told == errors | {_code(status) for status in STATUSES}


def _code(status: str) -> int:
    return Summary("b", 1, {status: 1}, {}, {}, None, Speed(), None).exit_code


def test_the_statuses_are_those_of_the_code() -> None:
    """It explains each status, and no other."""
    told = [quoted(row[0])[0] for row in table_behind("docs/files.md", "<!-- statuses -->")]
    assert sorted(told) == sorted(STATUSES)


def test_the_columns_of_results_are_those_of_the_code() -> None:
    """It tells what each of our columns of a results file means, in their order."""
    told = [quoted(row[0])[0] for row in table_behind("docs/files.md", "<!-- columns -->")]
    assert told == list(COLUMNS)


def test_the_columns_of_inputs_are_those_of_the_code() -> None:
    """And each column of an input that means something to us."""
    told = [quoted(row[0])[0] for row in table_behind("docs/files.md", "<!-- input columns -->")]
    assert told == list(KNOWN_COLUMNS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    """A link to a file of ours names one that exists, and a heading that it has."""
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        path = document.parent / name if name else document
        assert path.exists(), target
        assert not heading or heading in headings(path), target


def headings(document: Path) -> set[str]:
    """The anchors that a document's headings get."""
    found = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}
