"""The shared SQL on one PostgreSQL session."""

import contextlib
import itertools
import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import errors, pq, sql

from batchcredit import host
from batchcredit.errors import StorageError
from batchcredit.ledger.postgres.address import Address
from batchcredit.ledger.sql.database import Database, Row, TakenError

#: A dead peer is noticed within half a minute, by us and (where a session may say so) by the server.
_ALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}

CONNECT_MOST_S = 10

#: Rows that are read ahead of whoever asks for them one by one.
_PAGE_ROWS = 5_000

#: What a session of ours is like. A transaction that its process has forgotten holds nobody up for ever.
_SESSION = (
    "SET synchronous_commit = on",
    "SET standard_conforming_strings = on",
    "SET client_min_messages = warning",
    "SET default_transaction_isolation = 'read committed'",
    "SET lock_timeout = '120s'",
    "SET idle_in_transaction_session_timeout = '30s'",
    "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
    "SET tcp_user_timeout = 20000",
)

#: With these the server ends a session.
_FAREWELLS = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.IdleInTransactionSessionTimeout,
    errors.IdleSessionTimeout,
)

#: What an operator may have set for sessions that are not a program's. A person may think about a question,
#: and a large batch may take its time; our own limits hold. A server may not know all of them yet.
_PATIENT = """SELECT set_config(name, '0', false) FROM pg_settings
    WHERE name IN ('statement_timeout', 'transaction_timeout', 'idle_session_timeout')"""

_MARK = re.compile(r"\?(\d*)")


class LostError(StorageError):
    """The session is gone: what was asked last may have been done or not."""


@lru_cache(maxsize=512)
def native(text: str) -> bytes:
    """A statement with PostgreSQL's numbered placeholders. A bare `?` is one more than any before it, as
    SQLite counts (sqlite.org/lang_expr.html#varparam)."""
    most = 0

    def numbered(mark: re.Match[str]) -> str:
        nonlocal most
        number = int(mark[1]) if mark[1] else most + 1
        most = max(most, number)
        return f"${number}"

    return _MARK.sub(numbered, text).encode()


@contextlib.contextmanager
def storage_errors(shown: str) -> Iterator[None]:
    """Errors of the database become ours, with the ledger's address and what to do."""
    try:
        yield
    except errors.DiskFull as error:
        raise StorageError(
            f"the disk of the ledger {shown} is full",
            reason="disk_full",
            cure="Free some space there, then run the same command again.",
        ) from error
    except errors.UniqueViolation:
        raise
    except psycopg.Error as error:
        raise unusable(shown, error.diag.message_primary or str(error)) from error


def unusable(shown: str, why: str) -> StorageError:
    """The database says no, or nothing."""
    return StorageError(
        f"the ledger {shown} could not be read or written: {why.strip()}",
        reason="ledger_unusable",
        cure="Check the server, the database, the user and its rights, then run the same command again.",
    )


def lost(shown: str) -> LostError:
    """The session ended in the middle of a command."""
    return LostError(
        f"the connection to the ledger {shown} was lost; what was being written is there whole or not at all",
        reason="ledger_lost",
        cure="Run the same command again once the server answers.",
    )


class PostgresDatabase(Database):
    """One session in the schema of `address`. Used by one thread at a time."""

    each_text = "unnest(CAST(?3 AS TEXT[])) AS k(value)"

    def __init__(self, address: Address) -> None:
        self.address = address
        self.connection = _connected(address)
        self._numbers = itertools.count()
        self.offset_ms = self._measured_offset_ms()

    def reconnect(self) -> None:
        """A new session in place of one that is lost. Raises StorageError where there is none to be had."""
        self.connection.close()
        self.connection = _connected(self.address)
        self.offset_ms = self._measured_offset_ms()

    def _measured_offset_ms(self) -> int:
        """How far the server's clock is ahead of ours."""
        before = host.now_ms()
        with self.answering_within(CONNECT_MOST_S):
            ((there,),) = self.all("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)")
        return int(there) - (before + host.now_ms()) // 2

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """LostError where the session is gone, else as `storage_errors`."""
        try:
            with storage_errors(self.address.shown):
                yield
        except StorageError as error:
            if not self._is_lost(error.__cause__):
                raise
            self.connection.close()
            raise lost(self.address.shown) from error

    def _is_lost(self, why: BaseException | None) -> bool:
        """Also where the library has not seen the end yet: the server has said good-bye, or an error that no
        server sent, such as of a pipeline that can't be left, says that the session is of no use."""
        if self.connection.closed or self.connection.pgconn.status != pq.ConnStatus.OK:
            return True
        unsent = isinstance(why, psycopg.OperationalError) and why.sqlstate is None
        return unsent or isinstance(why, _FAREWELLS)

    def cursor(self) -> psycopg.RawCursor[Row]:
        """A cursor that takes `native` statements."""
        return psycopg.RawCursor(self.connection)

    def all(self, sql: str, *bindings: Any) -> list[Row]:
        with self._taken():
            return self.cursor().execute(native(sql), bindings).fetchall()

    def each(self, sql: str, *bindings: Any) -> Iterator[Row]:
        """By a cursor that outlives its transaction: others may be asked between two rows."""
        with (
            self._errors(),
            psycopg.RawServerCursor(
                self.connection, f"batchcredit_{next(self._numbers)}", withhold=True
            ) as cursor,
        ):
            cursor.execute(native(sql), bindings)
            while rows := cursor.fetchmany(_PAGE_ROWS):
                yield from rows

    def change(self, sql: str, *bindings: Any) -> int:
        with self._taken():
            return self.cursor().execute(native(sql), bindings).rowcount

    @contextlib.contextmanager
    def _taken(self) -> Iterator[None]:
        try:
            with self._errors():
                yield
        except errors.UniqueViolation as error:
            raise TakenError(error.diag.constraint_name or "") from error

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with self._errors():
            self.cursor().executemany(native(sql), rows)

    def insert(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        into = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
        with self._errors(), self.connection.cursor().copy(into) as copy:
            for row in rows:
                copy.write_row(row)

    @contextlib.contextmanager
    def transaction(self, *, alone: bool = True) -> Iterator[None]:
        with self._errors(), self.connection.transaction():
            self.cursor().execute(native(LOCK_ALONE if alone else LOCK_BESIDE))
            yield

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        with self.connection.transaction():
            yield

    @contextlib.contextmanager
    def pipelined(self) -> Iterator["Pipeline"]:
        """A transaction whose statements are sent together and answered together, all or none. TakenError,
        too, where it waited for another that waited for it."""
        try:
            with self._taken(), self.connection.pipeline():
                pipeline = Pipeline(self)
                pipeline.execute("BEGIN")
                yield pipeline
                pipeline.execute("COMMIT")
        except StorageError as error:
            if isinstance(error.__cause__, errors.DeadlockDetected):
                raise TakenError("deadlock") from error
            raise
        finally:
            if self.connection.info.transaction_status in _UNDECIDED:
                self.change("ROLLBACK")

    def texts(self, values: Sequence[str]) -> Any:
        return list(values)

    def now_ms(self) -> int:
        return host.now_ms() + self.offset_ms

    def close(self) -> None:
        self.connection.close()

    @contextlib.contextmanager
    def answering_within(self, seconds: float) -> Iterator[None]:
        """End the session where it does not answer in this time: a line may be dead without a word."""
        with self._errors(), _cut_after(seconds, self.connection):
            yield


class Pipeline:
    """Statements on their way in one transaction."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def execute(self, sql: str, *bindings: Any) -> None:
        """Send one."""
        self._database.cursor().execute(native(sql), bindings)

    def end_within(self, seconds: float) -> None:
        """Let the server end the session unless the transaction ends in time: this process may stand still in
        the middle of it. From version 17 on; before, no limit of the server's counts in a pipeline."""
        if self._database.connection.info.server_version >= _ENDS_TRANSACTIONS:
            self.execute(_TRANSACTION_MOST, f"{round(seconds * 1000)}ms")

    def each(self, sql: str, rows: Sequence[Sequence[Any]]) -> Callable[[], list[list[Row]]]:
        """Send one with each of these bindings; what it returns gives their answers, once all is done."""
        if not rows:
            return list
        cursor = self._database.cursor()
        cursor.executemany(native(sql), rows, returning=True)
        return lambda: [answer.fetchall() for answer in cursor.results()]


_ENDS_TRANSACTIONS = 170_000
_TRANSACTION_MOST = "SELECT set_config('transaction_timeout', ?1, true)"

_UNDECIDED = (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR)

#: No transaction runs beside one that is alone: what it reads stays so until it ends. Both are given back
#: with the transaction, however it ends.
#: The search path names the schema even while there is none yet, which current_schema() does not.
_KEY = "hashtextextended('batchcredit ' || current_setting('search_path'), 0)"
LOCK_ALONE = f"SELECT pg_advisory_xact_lock({_KEY})"
LOCK_BESIDE = f"SELECT pg_advisory_xact_lock_shared({_KEY})"


def _connected(address: Address) -> psycopg.Connection[Row]:
    try:
        connection = psycopg.connect(
            address.conninfo,
            autocommit=True,
            connect_timeout=CONNECT_MOST_S,
            application_name="batchcredit",
            **_ALIVE,  # type: ignore[arg-type]
        )
    except psycopg.Error as error:
        raise unusable(address.shown, str(error)) from error
    try:
        with _cut_after(CONNECT_MOST_S, connection):
            for setting in _SESSION:
                connection.execute(setting.encode())
            connection.execute(_PATIENT)
            path = sql.SQL("SET search_path = {}, pg_temp").format(sql.Identifier(address.schema))
            connection.execute(path)
    except psycopg.Error as error:
        connection.close()
        raise unusable(address.shown, str(error)) from error
    return connection


@contextlib.contextmanager
def _cut_after(seconds: float, connection: psycopg.Connection[Row]) -> Iterator[None]:
    """Shut the line down, under whoever waits at it, unless the context ends in time."""
    timer = threading.Timer(seconds, _cut, (connection,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cut(connection: psycopg.Connection[Row]) -> None:
    with contextlib.suppress(OSError, psycopg.Error):
        line = socket.socket(fileno=connection.fileno())
        try:
            line.shutdown(socket.SHUT_RDWR)
        finally:
            line.detach()
