"""The tables of a ledger: numbered steps of SQL, taken once and in order."""

from collections.abc import Callable
from importlib import metadata, resources

import apsw

from batchcredit.ledger.audit import FIRST, chained

APPLICATION_ID = 0x62637264  # "bcrd"


def migrations() -> list[str]:
    """The numbered steps, in order; a ledger's user_version counts those it has taken."""
    folder = resources.files("batchcredit.ledger") / "migrations" / "sqlite"
    return [step.read_text() for step in sorted(folder.iterdir(), key=lambda step: step.name)]


def version_of(connection: apsw.Connection) -> int:
    """How many steps this ledger has taken."""
    return int(connection.pragma("user_version"))


def is_foreign(connection: apsw.Connection) -> bool:
    """Whether there are tables, and they are not ours."""
    tables = connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
    return bool(tables) and connection.pragma("application_id") != APPLICATION_ID


def needed(connection: apsw.Connection) -> str:
    """The version of batchcredit that brought this ledger to its tables, or "" where none has said so."""
    found = connection.execute("SELECT value FROM meta WHERE key = 'needs'").fetchone()
    return str(found[0]) if found else ""


def take(connection: apsw.Connection, number: int, step: str) -> None:
    """Take one step, within a transaction, and note which batchcredit knows it."""
    connection.create_scalar_function("audit_hash", _chaining(), deterministic=False)
    connection.execute(step)
    connection.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES ('needs', ?)", (metadata.version("batchcredit"),)
    )
    connection.execute(f"PRAGMA user_version = {number}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _chaining() -> Callable[..., str]:
    """SQL: audit_hash(...), each call behind the one before it."""
    before = FIRST

    def audit_hash(*fields: object) -> str:
        nonlocal before
        before = chained(before, fields)
        return before

    return audit_hash
