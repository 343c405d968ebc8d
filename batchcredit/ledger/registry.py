"""From a ledger's URL to a ledger."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import Ledger, LedgerReader
from batchcredit.ledger.postgres.address import SCHEME, address_of, has_secret

if TYPE_CHECKING:
    from batchcredit.ledger.postgres.database import PostgresDatabase

Note = Callable[[str], None]

_SQLITE = "sqlite:///"


def is_shared(url: str) -> bool:
    """Whether several processes may send with this ledger at once."""
    return url.startswith(SCHEME)


def check(url: str) -> None:
    """Raise RefusedError (`settings`) where this names no ledger."""
    if is_shared(url):
        address_of(url)
    else:
        sqlite_path(url)


def sqlite_path(url: str) -> Path:
    """The file of a `sqlite:///path` URL; a RefusedError for any other."""
    if not url.startswith(_SQLITE) or len(url) == len(_SQLITE):
        raise _refused(f"a ledger is named sqlite:///path/ledger.db or postgresql://..., not {_scheme(url)}")
    return Path(url.removeprefix(_SQLITE)).expanduser().absolute()


def shown(url: str) -> str:
    """The URL without what is secret in it."""
    return address_of(url).shown if is_shared(url) else url


def has_password(url: str) -> bool:
    """Whether this names a ledger and the password to it."""
    return is_shared(url) and has_secret(url)


def refuse_secret(url: str) -> None:
    """Raise RefusedError for a URL on the command line that everybody on this machine could read there."""
    if has_password(url):
        raise RefusedError(
            f"--ledger {shown(url)} was given with a password, which a list of processes and the shell's "
            "history show",
            reason="settings",
            cure="leave it out there: set BATCHCREDIT_LEDGER to the whole URL, or ledger in the settings "
            "file, or keep the password in ~/.pgpass",
        )


def _scheme(url: str) -> str:
    """What may be shown of a URL that could hold a password."""
    return url.partition("://")[0] + "://..." if "://" in url else url


def _refused(problem: str) -> RefusedError:
    return RefusedError(problem, reason="settings", cure="write sqlite:///path/ledger.db")


def exists(url: str) -> bool:
    """Whether this ledger was ever opened for sending."""
    if is_shared(url):
        from batchcredit.ledger.postgres.schema import version_of

        with closing(_postgres_database(url)) as database:
            return version_of(database) > 0
    path = sqlite_path(url)
    return path.exists() and path.stat().st_size > 0


def _postgres_database(url: str) -> "PostgresDatabase":
    try:
        from batchcredit.ledger.postgres.database import PostgresDatabase
    except ImportError as error:
        raise RefusedError(
            "a postgresql:// ledger needs what is not installed",
            reason="settings",
            cure=host.to_install("postgres"),
        ) from error
    return PostgresDatabase(address_of(url))


def silent(_: str) -> None:
    """Nobody hears what is noted."""


def hold(url: str, command: str, note: Note = silent, *, retired: bool = False) -> Ledger:
    """Open a ledger for sending or deciding, made new if need be; `command` is told to whoever comes next,
    and `note` hears what became of an older ledger's tables. A copy, and a ledger that was moved, is refused
    unless `retired`."""
    if is_shared(url):
        database = _postgres_database(url)
        from batchcredit.ledger.postgres.ledger import PostgresLedger

        return PostgresLedger.hold(database, command, note, retired=retired)
    from batchcredit.ledger.sqlite.ledger import SqliteLedger

    return SqliteLedger.hold(sqlite_path(url), command, note, retired=retired)


def read(url: str, note: Note = silent) -> LedgerReader:
    """Open a ledger to ask it something; it must exist."""
    if is_shared(url):
        return _read_postgres(url, note)
    from batchcredit.ledger.sql.database import OlderTablesError
    from batchcredit.ledger.sqlite.reader import SqliteReader

    path = sqlite_path(url)
    if not exists(url):
        raise RefusedError(
            f"there is no ledger at {path} yet",
            reason="no_ledger",
            cure="run a batch first, or name the ledger with --ledger sqlite:///path/ledger.db; rehearsals "
            "have their own, which --sandbox shows",
        )
    try:
        return SqliteReader.open(path)
    except OlderTablesError:
        hold(url, "new tables", note, retired=True).close()
        return SqliteReader.open(path)


def _read_postgres(url: str, note: Note) -> LedgerReader:
    database = _postgres_database(url)
    from batchcredit.ledger.postgres.lease import PostgresSenders
    from batchcredit.ledger.sql.database import OlderTablesError

    try:
        return PostgresSenders.open(database)
    except OlderTablesError:
        hold(url, "new tables", note, retired=True).close()
        return PostgresSenders.open(_postgres_database(url))
