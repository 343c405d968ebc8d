"""The flags, grouped as the commands share them."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from cyclopts import Group, Parameter

from batchcredit.cli.naming import no_flag
from batchcredit.errors import RefusedError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from batchcredit.runner.options import InputOptions, SendOptions
    from batchcredit.settings import Rate

T = TypeVar("T")

#: What a file can be, where its ending does not say it.
Form = Literal["csv", "csv.gz", "parquet", "xlsx"]


#: Where a Ray cluster is: no path, and nothing that would start one, for that would inherit our secrets.
_RAY_ADDRESS = re.compile(r"auto|(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")
_SENDERS_MOST = 256


#: The headings of --help.
THE_FILE = Group("How the file is understood", sort_key=1)
BEFORE = Group("Before anything is sent", sort_key=2)
WHILE = Group("While it is sent", sort_key=3)
EVERYWHERE = Group("On every command", sort_key=4)


def _flag(text: str, value: str | None = None) -> Parameter:
    return Parameter(negative=(), help=text, metavar=value)


def file_or_pipe(text: str) -> Parameter:
    """A flag whose value is a file, or `-`."""
    return Parameter(help=text, metavar="FILE", allow_leading_hyphen=True, validator=no_flag)


@Parameter(name="*", group=EVERYWHERE)
@dataclass(frozen=True)
class Common:
    """What every command takes."""

    config: Annotated[Path | None, _flag("Settings file, instead of batchcredit.toml.", "FILE")] = None
    ledger: Annotated[
        str | None,
        _flag("Ledger, such as sqlite:///path/ledger.db or postgresql://USER@HOST/DATABASE.", "URL"),
    ] = None
    log_format: Annotated[Literal["text", "json"], _flag("Form of the messages on stderr.")] = "text"
    verbose: Annotated[
        int,
        Parameter(name=("--verbose", "-v"), count=True, negative=(), help="Tell more; -vv tells each row."),
    ] = 0
    quiet: Annotated[bool, Parameter(name=("--quiet", "-q"), negative=(), help="Tell only what matters.")] = (
        False
    )
    json: Annotated[bool, _flag("Print one JSON object on stdout at the end.")] = False


@Parameter(name="*", group=THE_FILE)
@dataclass(frozen=True)
class Reading:
    """How a file is understood."""

    batch: Annotated[
        str | None,
        _flag("Name of the batch, else the file's name and a hash. Makes known content a new batch.", "NAME"),
    ] = None
    provider: Annotated[str | None, _flag("Profile for every row of the file.", "NAME")] = None
    map: Annotated[
        tuple[str, ...], _flag("What our column is called in the file. Repeatable.", "OURS=THEIRS")
    ] = ()
    format: Annotated[
        Form | None, _flag("Format of the file, where its ending does not say it; for - it is needed.")
    ] = None
    sheet: Annotated[str, _flag("Sheet of a spreadsheet, else its only one.", "NAME")] = ""
    thousands: Annotated[str, _flag("What stands between thousands in amounts.", "SIGN")] = ""
    currency: Annotated[str, _flag("Currency for every row of the file.", "CUR")] = ""
    skip_invalid: Annotated[bool, _flag("Leave invalid rows out and send the rest.")] = False
    allow_duplicates: Annotated[bool, _flag("Equal rows of the file are meant, each of them.")] = False


@Parameter(name="*", group=BEFORE)
@dataclass(frozen=True)
class Guarding:
    """What has to hold before anything is sent."""

    out: Annotated[Path | None, file_or_pipe("Results file, else one beside the input; - is stdout.")] = None
    sandbox: Annotated[bool, _flag("Rehearse against simulated providers on this machine.")] = False
    accept_profile: Annotated[
        tuple[str, ...],
        _flag("This profile is the right account: a new one needs no question. Repeatable.", "NAME"),
    ] = ()
    allow_repeat: Annotated[bool, _flag("Send rows that another batch credited lately.")] = False
    skip_repeats: Annotated[bool, _flag("Leave out rows that another batch credited lately.")] = False
    online: Annotated[bool, _flag("Ask the providers about own balance and clients.")] = False
    allow_currency_mismatch: Annotated[bool, _flag("With --online: other currencies are meant.")] = False
    expect_rows: Annotated[
        int | None, _flag("Control total: refuse a file with another number of rows.", "N")
    ] = None
    expect_total: Annotated[
        tuple[str, ...], _flag("Control total: refuse a file with another sum. Repeatable.", "CUR=AMOUNT")
    ] = ()
    concurrency: Annotated[
        int | None, _flag("Requests in flight per profile. Only lowers what the settings say.", "N")
    ] = None
    rate: Annotated[
        str | None,
        _flag("Requests per profile, such as 10/s or 20/min. Only lowers what the settings say.", "RATE"),
    ] = None


@Parameter(name="*", group=WHILE)
@dataclass(frozen=True)
class Sending:
    """How rows are sent."""

    yes: Annotated[bool, _flag("Ask nothing. Needed where stdin is no terminal.")] = False
    new_ledger: Annotated[bool, _flag("With --yes: the ledger is new on purpose.")] = False
    skip_preflight: Annotated[bool, _flag("Do not probe credentials and own balance first.")] = False
    snapshot: Annotated[bool, _flag("Keep the clients' balances of before, as evidence for later.")] = False
    canary: Annotated[int | None, _flag("Send the first N rows of each profile, then ask.", "N")] = None
    limit: Annotated[int | None, _flag("Send at most N rows, then stop.", "N")] = None
    wait_funds: Annotated[
        str | None, _flag("When the wallet is empty, wait so long for a top-up, such as 2h.", "TIME")
    ] = None
    on_finish: Annotated[
        str | None,
        _flag(
            "At the end, whatever it is, start a program with the object of --json on its stdin.", "COMMAND"
        ),
    ] = None
    serve: Annotated[
        int | None,
        _flag(
            "Show the report in a browser on this machine while rows are sent, at this port or any free one; "
            "prints its address.",
            "[PORT]",
        ),
    ] = None
    ray: Annotated[
        str | None,
        _flag("Send from the Ray cluster at HOST:PORT, or auto; the ledger is in PostgreSQL.", "ADDRESS"),
    ] = None
    senders: Annotated[int | None, _flag("With --ray: so many senders, else one for each machine.", "N")] = (
        None
    )


#: What a bare `--serve` stands for: any free port.
ANY_PORT = 0


def with_values(arguments: Sequence[str]) -> list[str]:
    """The arguments, in which a flag that may go without its value has one."""
    given = list(arguments)
    flags = given[: given.index("--")] if "--" in given else given
    for place, (flag, following) in enumerate(pairwise([*flags, ""])):
        if flag == "--serve" and not following.isdecimal():
            given[place] = f"--serve={ANY_PORT}"
    return given


Sandbox = Annotated[bool, _flag("The ledger of rehearsals.")]
Out = Annotated[Path | None, _flag("Where to write.", "FILE")]
OutOrPipe = Annotated[Path | None, file_or_pipe("Where to write; - is stdout.")]
OutForm = Annotated[Form | None, _flag("With --out -: the format, else csv.")]
Yes = Annotated[bool, _flag("Ask nothing. Needed where stdin is no terminal.")]
Note = Annotated[str, _flag("Why, for those who read it later.", "TEXT")]


def input_options(path: Path, reading: Reading, content: Path | None = None) -> "InputOptions":
    """What a person says of a file, checked. `content` is read where `path` is only what it is called."""
    from batchcredit.reader import ReadOptions
    from batchcredit.runner.options import InputOptions

    columns = map_flag(reading.map)
    read = ReadOptions(reading.provider, columns, reading.thousands, reading.currency, reading.sheet, content)
    return InputOptions(path, read, reading.batch, reading.skip_invalid, reading.allow_duplicates)


def returned_options(
    path: Path, reading: Reading, content: Path | None = None, *, adopt: bool
) -> "InputOptions":
    """What a person says of a file that comes back, checked: it names its batch and its rows itself."""
    if reading.batch or reading.skip_invalid:
        raise _usage("--batch and --skip-invalid are for new files: this one names its batch and its rows")
    return replace(input_options(path, reading, content), adopt=adopt)


def only_flags(texts: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """What --only says, checked: statuses and profiles."""
    named: dict[str, set[str]] = {"status": set(), "provider": set()}
    key = ""
    for part in ",".join(texts).split(",") if texts else ():
        name, sign, value = part.strip().rpartition("=")
        key = name if sign else key
        if key not in named or not value or (key == "status" and value not in _PICKED_STATUSES):
            raise _usage(
                f"--only {part}: it is written --only status=STATUS or --only provider=NAME, STATUS being "
                f"{', '.join(_PICKED_STATUSES)}"
            )
        named[key].add(value)
    return frozenset(named["status"]), frozenset(named["provider"])


#: The statuses of rows that may be sent, or sent once they are corrected.
_PICKED_STATUSES = ("not_sent", "rejected", "invalid")


def send_options(
    command: str,
    common: Common,
    guarding: Guarding | None = None,
    sending: Sending | None = None,
    *,
    rejected: bool = False,
) -> "SendOptions":
    """What a person says of the sending, checked."""
    from batchcredit.runner.options import SendOptions

    guarding, sending = guarding or Guarding(), sending or Sending()
    _refuse_unspread(guarding, sending)
    return SendOptions(
        command=command,
        out=guarding.out,
        yes=sending.yes,
        new_ledger=sending.new_ledger,
        accept_profiles=frozenset(guarding.accept_profile),
        sandbox=guarding.sandbox,
        allow_repeat=guarding.allow_repeat,
        skip_repeats=guarding.skip_repeats,
        allow_currency_mismatch=guarding.allow_currency_mismatch,
        skip_preflight=sending.skip_preflight,
        online=guarding.online,
        snapshot=sending.snapshot,
        rejected=rejected,
        canary=sending.canary,
        limit=sending.limit,
        expect_rows=guarding.expect_rows,
        expect_totals=dict(_total(text) for text in guarding.expect_total),
        concurrency=guarding.concurrency,
        rate=rate_flag(guarding.rate),
        wait_funds_s=duration_flag("--wait-funds", sending.wait_funds),
        ledger_url=_named_ledger(common),
        note=lambda text: _noted(common, text),
        again=named_again(common, sandbox=guarding.sandbox),
    )


def _refuse_unspread(guarding: Guarding, sending: Sending) -> None:
    if sending.ray is None:
        if sending.senders is not None:
            raise _usage("--senders is for --ray: they are placed on a cluster")
        return
    if not _RAY_ADDRESS.fullmatch(sending.ray):
        raise _usage(f"--ray {sending.ray}: it is written --ray auto or --ray HOST:PORT")
    if guarding.sandbox:
        raise _usage("--ray and --sandbox: a rehearsal stays on this machine")
    if sending.limit is not None:
        raise _usage("--ray and --limit: senders do not know of each other how many they have sent")
    if sending.senders is not None and sending.senders < 1:
        raise _usage(f"--senders {sending.senders}: it has to be 1 or more")
    if (sending.senders or 0) > _SENDERS_MOST:
        raise _usage(f"--senders {sending.senders}: {_SENDERS_MOST} at the most")


def _noted(common: Common, text: str) -> None:
    from batchcredit.cli.session import console_of

    console_of(common).note(text)


def map_flag(texts: Iterable[str]) -> dict[str, str]:
    """What --map says: our column -> theirs."""
    return dict(_pair("--map", text, "account=THEIR_NAME") for text in texts)


def rate_flag(text: str | None) -> "Rate | None":
    """What --rate says, checked."""
    from batchcredit.settings import rate

    return _read("--rate", text, rate) if text else None


def duration_flag(name: str, text: str | None) -> int:
    """What a flag says of a time, checked, in seconds."""
    from batchcredit.settings import duration_s

    return _read(name, text, duration_s) if text else 0


def latency_flag(text: str | None) -> float:
    """What --latency says, checked, in seconds."""
    from batchcredit.settings import latency_s

    return _read("--latency", text, latency_s) if text else 0.0


def zone_flag(name: str, text: str) -> "ZoneInfo | None":
    """What a flag says of a time zone, checked."""
    from batchcredit.settings import timezone

    return _read(name, text, timezone) if text else None


def _read(name: str, text: str, form: Callable[[str], T]) -> T:
    try:
        return form(text)
    except ValueError as error:
        raise _usage(f"{name} {text}: {error}") from error


def reading_again(reading: Reading) -> tuple[str, ...]:
    """The flags with which the same file is understood in the same way."""
    texts = (
        *(("--batch", reading.batch), ("--provider", reading.provider), ("--format", reading.format)),
        ("--sheet", reading.sheet),
        *(("--thousands", reading.thousands), ("--currency", reading.currency)),
    )
    flags = [part for name, text in texts if text for part in (name, text)]
    flags += [part for text in reading.map for part in ("--map", text)]
    meant = (("--skip-invalid", reading.skip_invalid), ("--allow-duplicates", reading.allow_duplicates))
    return (*flags, *(name for name, given in meant if given))


def guarding_again(guarding: Guarding) -> tuple[str, ...]:
    """The flags with which the same rows are sent."""
    meant = (
        ("--allow-repeat", guarding.allow_repeat),
        ("--skip-repeats", guarding.skip_repeats),
        ("--allow-currency-mismatch", guarding.allow_currency_mismatch),
    )
    return tuple(name for name, given in meant if given)


def _named_ledger(common: Common) -> str:
    """The ledger of the command line; never with a password, which everybody here could read."""
    from batchcredit.ledger import registry

    if common.ledger:
        registry.refuse_secret(common.ledger)
    return common.ledger or ""


def named_again(common: Common, *, sandbox: bool = False) -> tuple[str, ...]:
    """The flags that name the same settings and ledger in the next command."""
    flags: list[str] = []
    if common.config:
        flags += ["--config", str(common.config)]
    if common.ledger:
        flags += ["--ledger", common.ledger]
    return (*flags, "--sandbox") if sandbox else tuple(flags)


def _pair(flag: str, text: str, written: str) -> tuple[str, str]:
    left, sign, right = text.partition("=")
    if not (left and sign and right):
        raise _usage(f"{flag} {text}: it is written {flag} {written}")
    return left, right


def _total(text: str) -> tuple[str, Decimal]:
    currency, amount = _pair("--expect-total", text, "USD=12850.50")
    if not amount.replace(".", "", 1).isdecimal() or not amount.isascii():
        raise _usage(f"--expect-total {text}: it is written --expect-total USD=12850.50")
    return currency, Decimal(amount)


def _usage(problem: str) -> RefusedError:
    return RefusedError(problem, reason="usage", cure="batchcredit --help")
