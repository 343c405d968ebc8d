"""The tables of a ledger in PostgreSQL, and what has to be true of the server before money rests on it."""

import secrets
from importlib import metadata, resources

from psycopg import sql

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.ledger.postgres.database import PostgresDatabase

#: Where the ledger lives: the cluster, and the line of its history that a promoted copy leaves.
HOME = "home"


def migrations() -> list[str]:
    """The numbered steps, in order; `meta` counts those that a ledger has taken."""
    folder = resources.files("batchcredit.ledger") / "migrations" / "postgres"
    return [step.read_text() for step in sorted(folder.iterdir(), key=lambda step: step.name)]


def version_of(database: PostgresDatabase) -> int:
    """How many steps this ledger has taken; 0 where there is none."""
    if not database.all("SELECT 1 WHERE to_regclass('meta') IS NOT NULL"):
        return 0
    found = database.all("SELECT value FROM meta WHERE key = 'version'")
    return int(found[0][0]) if found else 0


def bring_up(database: PostgresDatabase) -> int:
    """Make the schema and take the steps that are missing, once, whoever else tries; the version before."""
    if (taken := version_of(database)) == len(migrations()):
        return taken
    with database.transaction():
        _make_schema(database)
        taken = version_of(database)
        for step in migrations()[taken:]:
            database.connection.execute(step.encode())
        _note(database, "version", str(len(migrations())))
        _note(database, "needs", metadata.version("batchcredit"))
        if taken == 0:
            _note(database, "id", secrets.token_hex(4))
            _note(database, "created_by", f"{host.user()}@{host.name()}")
            _note(database, HOME, home_of(database))
    return taken


def _make_schema(database: PostgresDatabase) -> None:
    """It is looked for with a query: that reads what is there now, while CREATE SCHEMA IF NOT EXISTS may go
    by what this session remembers from before it waited, and wants a right that its owner may not have."""
    name = database.address.schema
    if not database.all("SELECT 1 FROM pg_namespace WHERE nspname = ?", name):
        database.connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))


def _note(database: PostgresDatabase, key: str, value: str) -> None:
    database.change(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        *(key, value),
    )


def refuse_newer(database: PostgresDatabase) -> None:
    """A ledger that a later batchcredit has changed."""
    taken = version_of(database)
    if taken > len(migrations()):
        ((needs,),) = database.all("SELECT value FROM meta WHERE key = 'needs'")
        raise RefusedError(
            f"the ledger {database.address.shown} was written by batchcredit {needs} (version {taken} of its "
            f"tables; this one knows {len(migrations())})",
            reason="ledger_newer",
            cure=f"Install that one or a later: pip install 'batchcredit>={needs}'",
        )


def refuse_forgetful(database: PostgresDatabase) -> None:
    """A server that may lose what it has confirmed, or that can't write, is no ledger to send with."""
    shown = database.address.shown
    told = {
        name: database.all(f"SHOW {name}")[0][0]
        for name in ("fsync", "full_page_writes", "synchronous_commit", "transaction_read_only")
    }
    forgetful = [f"{name} = {told[name]}" for name in ("fsync", "full_page_writes") if told[name] != "on"]
    if told["synchronous_commit"] in ("off", "local"):
        forgetful.append(f"synchronous_commit = {told['synchronous_commit']}")
    if forgetful:
        raise RefusedError(
            f"the server of the ledger {shown} may lose what it has confirmed: {', '.join(forgetful)}",
            reason="ledger_not_durable",
            cure="set fsync, full_page_writes and synchronous_commit to on there",
        )
    if told["transaction_read_only"] == "on":
        raise RefusedError(
            f"the ledger {shown} is on a server that only reads: a standby, or one that was set so",
            reason="ledger_read_only",
            cure="name the primary; libpq finds it with target_session_attrs=read-write in the URL",
        )


def home_of(database: PostgresDatabase) -> str:
    """The cluster's system identifier and its timeline: a promoted standby and a restore to a point in time
    start a timeline of their own (postgresql.org/docs, Continuous Archiving, Timelines)."""
    ((system, timeline),) = database.all(
        """SELECT system_identifier, substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)
        FROM pg_control_system()"""
    )
    return f"{system}/{timeline}"


def refuse_elsewhere(database: PostgresDatabase) -> None:
    """A copy that took the place of the server may lag behind what was sent."""
    ((kept,),) = database.all("SELECT value FROM meta WHERE key = ?", HOME)
    if kept != home_of(database):
        raise RefusedError(
            f"the ledger {database.address.shown} is on another server, or another timeline of it, than it "
            "was sent with last: a copy took its place, and may know nothing of what was sent at the end",
            reason="ledger_failover",
            cure="if the old server is gone for good: batchcredit ledger accept; all that is not final is in "
            "doubt then, since it may have been sent",
        )
