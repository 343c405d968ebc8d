"""What an examination found, as values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

#: So many rows of each kind are shown; all of them are counted.
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Example:
    """An invalid row, to be shown. `line` is None where the format has no lines; `detail` fits a terminal."""

    row: int
    line: int | None
    provider: str
    account: str
    amount: str
    column: str
    detail: str
    cure: str


@dataclass(frozen=True, slots=True)
class ProblemCount:
    """How many rows have one problem, and the first of them."""

    count: int
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Twin:
    """A row that repeats an earlier one of the same file: its content, or only its reference."""

    row: int
    line: int | None
    first_row: int
    first_line: int | None
    account: str
    amount: str
    reference: str


@dataclass(frozen=True, slots=True)
class Twins:
    """How many rows repeat an earlier one, and the first of them."""

    count: int = 0
    examples: tuple[Twin, ...] = ()


@dataclass(frozen=True, slots=True)
class Total:
    """Rows and their exact sum."""

    rows: int = 0
    amount: Decimal = Decimal(0)

    def __add__(self, other: "Total") -> "Total":
        return Total(self.rows + other.rows, self.amount + other.amount)

    def __sub__(self, other: "Total") -> "Total":
        return Total(self.rows - other.rows, self.amount - other.amount)


@dataclass(frozen=True, slots=True)
class Survey:
    """A whole file, examined.

    `totals` is keyed by (provider, currency) and counts valid rows only. `content` is the identity of the
    batch, 32 bytes. `duplicates` are equal rows that no references tell apart; `duplicate_references` share a
    reference, which is always an error. `notes` says what was understood that does not stand there literally.
    """

    rows: int
    valid: int
    problems: Mapping[str, ProblemCount]
    totals: Mapping[tuple[str, str], Total]
    content: bytes
    duplicates: Twins
    duplicate_references: Twins
    notes: tuple[str, ...]

    @property
    def currency_totals(self) -> dict[str, Total]:
        """Rows and sum per currency, over all providers."""
        return _summed((currency, total) for (_, currency), total in self.totals.items())

    @property
    def provider_rows(self) -> dict[str, int]:
        """Valid rows per provider profile."""
        summed = _summed((provider, total) for (provider, _), total in self.totals.items())
        return {provider: total.rows for provider, total in summed.items()}


def _summed(pairs: Iterable[tuple[str, Total]]) -> dict[str, Total]:
    found: dict[str, Total] = {}
    for key, total in pairs:
        found[key] = found.get(key, Total()) + total
    return found
