"""The shared SQL on one SQLite connection."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import apsw

from batchcredit import host
from batchcredit.ledger.sql.database import Database, Row, TakenError
from batchcredit.ledger.sqlite.file import storage_errors, transaction


class SqliteDatabase(Database):
    """A connection to the file at `path`, which names it in errors."""

    each_text = "carray(?3) k"

    def __init__(self, connection: apsw.Connection, path: Path) -> None:
        self.connection = connection
        self.path = path
        self._cursor = connection.cursor()
        connection.create_aggregate_function("decimal_sum", decimal_sum, 1)

    def all(self, sql: str, *bindings: Any) -> list[Row]:
        with storage_errors(self.path):
            return self.connection.execute(sql, bindings).fetchall()

    def each(self, sql: str, *bindings: Any) -> Iterator[Row]:
        with storage_errors(self.path):
            yield from self.connection.execute(sql, bindings)

    def change(self, sql: str, *bindings: Any) -> int:
        try:
            self._cursor.execute(sql, bindings)
        except apsw.ConstraintError as error:
            raise _taken(error) from error
        return self.connection.changes()

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._cursor.executemany(sql, rows)

    def insert(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        marks = ", ".join("?" * len(columns))
        self._cursor.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)

    @contextlib.contextmanager
    def transaction(self, *, alone: bool = True) -> Iterator[None]:  # a writer is always alone here
        with storage_errors(self.path), transaction(self.connection):
            yield

    def attempt(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()  # a statement that fails changes nothing, and the rest stands

    def texts(self, values: Sequence[str]) -> Any:
        return apsw.carray(tuple(values))

    def now_ms(self) -> int:
        return host.now_ms()

    def close(self) -> None:
        self.connection.close()


def _taken(error: apsw.ConstraintError) -> Exception:
    """What a unique index says by name; any other constraint is a defect, told as it is."""
    return TakenError(str(error)) if "UNIQUE" in str(error) else error


def decimal_sum() -> tuple[list[Decimal], Callable[..., None], Callable[[list[Decimal]], str]]:
    """SQL: decimal_sum(text), exact."""

    def step(total: list[Decimal], amount: Any) -> None:
        total[0] += Decimal(amount)

    def final(total: list[Decimal]) -> str:
        return format(total[0], "f")

    return [Decimal(0)], step, final
