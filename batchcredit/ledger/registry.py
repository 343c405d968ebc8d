"""From a ledger's URL to a ledger."""

from collections.abc import Callable
from pathlib import Path

from batchcredit.errors import RefusedError
from batchcredit.ledger.base import Ledger, LedgerReader

Note = Callable[[str], None]

_SQLITE = "sqlite:///"


def sqlite_path(url: str) -> Path:
    """The file of a `sqlite:///path` URL; a RefusedError for any other."""
    if url.startswith("postgresql://"):
        raise _refused(f"{_scheme(url)} ledgers are not supported by this version")
    if not url.startswith(_SQLITE) or len(url) == len(_SQLITE):
        raise _refused(f"a ledger is named sqlite:///path/ledger.db, not {_scheme(url)}")
    return Path(url.removeprefix(_SQLITE)).expanduser().absolute()


def _scheme(url: str) -> str:
    """What may be shown of a URL that could hold a password."""
    return url.partition("://")[0] + "://..." if "://" in url else url


def _refused(problem: str) -> RefusedError:
    return RefusedError(problem, reason="settings", cure="Use --ledger sqlite:///path/ledger.db")


def exists(url: str) -> bool:
    """Whether this ledger was ever opened for sending."""
    path = sqlite_path(url)
    return path.exists() and path.stat().st_size > 0


def silent(_: str) -> None:
    """Nobody hears what is noted."""


def hold(url: str, command: str, note: Note = silent, *, retired: bool = False) -> Ledger:
    """Open a ledger for sending or deciding, made new if need be; `command` is told to whoever comes next,
    and `note` hears what became of an older ledger's file. A copy, and a ledger that was moved, is refused
    unless `retired`."""
    from batchcredit.ledger.sqlite.ledger import SqliteLedger

    return SqliteLedger.hold(sqlite_path(url), command, note, retired=retired)


def read(url: str, note: Note = silent) -> LedgerReader:
    """Open a ledger to ask it something; it must exist."""
    from batchcredit.ledger.sqlite.file import OlderTablesError
    from batchcredit.ledger.sqlite.reader import SqliteReader

    path = sqlite_path(url)
    if not exists(url):
        raise RefusedError(
            f"there is no ledger at {path} yet",
            reason="no_ledger",
            cure="Run a batch first, or name the ledger with --ledger sqlite:///path/ledger.db",
        )
    try:
        return SqliteReader.open(path)
    except OlderTablesError:
        hold(url, "new tables", note, retired=True).close()
        return SqliteReader.open(path)
