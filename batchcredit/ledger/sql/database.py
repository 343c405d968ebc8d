"""What the shared SQL asks of a database, whichever it is.

Statements stay within what SQLite and PostgreSQL both understand, with SQLite's placeholders (`?`, `?1`).
Words that one of them reserves ("user") are quoted.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

Row = tuple[Any, ...]


class TakenError(Exception):
    """A unique index has spoken; the text names it, or its columns."""


class OlderTablesError(Exception):
    """A ledger that an older batchcredit wrote has to be held once before it can be read."""


class Database(ABC):
    """One connection, used by one thread at a time. Its errors become StorageError with the cure."""

    #: SQL: the texts that are bound as ?3 (see `texts`), one to a row, as k.value.
    each_text: ClassVar[str]

    @abstractmethod
    def all(self, sql: str, *bindings: Any) -> list[Row]:
        """Every row of the answer."""

    @abstractmethod
    def each(self, sql: str, *bindings: Any) -> Iterator[Row]:
        """The rows one by one, for answers that memory may not hold."""

    @abstractmethod
    def change(self, sql: str, *bindings: Any) -> int:
        """Run one statement; how many rows it changed. Raises TakenError."""

    @abstractmethod
    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement with each of these bindings."""

    @abstractmethod
    def insert(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Enter many rows, as fast as it can be done."""

    @abstractmethod
    def transaction(self, *, alone: bool = True) -> AbstractContextManager[None]:
        """All or nothing. `alone`: no other transaction on this ledger runs beside it."""

    @abstractmethod
    def attempt(self) -> AbstractContextManager[None]:
        """Within a transaction: a TakenError inside takes back what was done inside, and no more."""

    @abstractmethod
    def texts(self, values: Sequence[str]) -> Any:
        """Many texts as one binding."""

    @abstractmethod
    def now_ms(self) -> int:
        """The time that this ledger goes by."""

    @abstractmethod
    def close(self) -> None: ...

    def one(self, sql: str, *bindings: Any) -> Row:
        """The only row of the answer."""
        (row,) = self.all(sql, *bindings)
        return row
