"""From the cells of an exported statement to its lines; what can't be read for certain is refused by name."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal

from batchcredit.errors import RefusedError
from batchcredit.reconcile.moments import Moment, UnclearTimeError, moment
from batchcredit.reconcile.statement import EARLY_MS, Line

#: What the columns of a statement are called. `units` may stand instead of `amount`.
STATEMENT_COLUMNS = ("account", "amount", "units", "provider", "currency", "time", "balance")

_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,12})?", re.ASCII)
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+,\d+", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Form:
    """How the cells of one statement are understood. `now_ms`: nothing in it can be from later."""

    file: str
    account_key: Callable[[str], str]
    zone: tzinfo | None
    thousands: str
    now_ms: int

    def line(self, number: int, cells: Mapping[str, str]) -> Line | None:
        """One line, None for an empty one; `cells` are those of our columns. Raises RefusedError."""
        told = {name: cell.strip() for name, cell in cells.items()}
        if not any(told.values()):
            return None
        if not told["account"]:
            raise self._refused(number, "it has no account", "delete it if it is a total, else fill it in")
        in_units = not told.get("amount") and bool(told.get("units"))
        amount = self._amount(number, told.get("units" if in_units else "amount", ""))
        when = self._moment(number, told["time"]) if "time" in told else None
        return Line(
            number=number,
            account_key=self.account_key(told["account"]),
            amount=amount,
            currency="" if in_units else self._currency(number, told.get("currency", "")),
            in_units=in_units,
            from_ms=when.from_ms if when else None,
            to_ms=when.to_ms if when else None,
            balance=told.get("balance", ""),
        )

    def _amount(self, number: int, text: str) -> Decimal:
        bare = text
        taken_back = bare.startswith("(") and bare.endswith(")")
        if taken_back:
            bare = bare[1:-1]
        sign, digits = (bare[0], bare[1:]) if bare[:1] in ("-", "+", "\u2212") else ("", bare)
        digits = self._without_thousands(digits)
        if not _NUMBER.fullmatch(digits) or (taken_back and sign):
            cure = "write digits alone, such as 1250.50"
            if _GROUPED.fullmatch(digits):
                cure = "say what stands between thousands, such as --thousands ,"
            raise self._refused(number, f"{text!r} is no amount", cure)
        return -Decimal(digits) if taken_back or sign in ("-", "\u2212") else Decimal(digits)

    def _without_thousands(self, digits: str) -> str:
        whole, point, decimals = digits.partition(".")
        first, *groups = whole.split(self.thousands) if self.thousands else [whole]
        if not 0 < len(first) <= 3 or any(len(group) != 3 for group in groups):
            return digits
        return "".join((first, *groups, point, decimals))

    def _currency(self, number: int, text: str) -> str:
        if text and not _CURRENCY.fullmatch(text.upper()):
            raise self._refused(number, f"{text!r} is no currency", "write its code, such as USD")
        return text.upper()

    def _moment(self, number: int, text: str) -> Moment:
        try:
            when = moment(text, self.zone)
        except UnclearTimeError as error:
            raise self._refused(number, str(error), error.cure) from None
        if when.from_ms > self.now_ms + EARLY_MS:
            raise self._refused(number, f"{text!r} is still to come", "is --statement-tz the right one?")
        return when

    def _refused(self, number: int, problem: str, cure: str) -> RefusedError:
        return RefusedError(f"{self.file}: line {number}: {problem}", reason="statement_line", cure=cure)


def columns_of(
    file: str, header: list[str], mapped: Mapping[str, str], theirs: Mapping[str, str]
) -> dict[str, str]:
    """Our column -> the file's. `mapped` is what a person said (ours -> theirs), `theirs` a provider's own
    names (-> ours). Raises RefusedError where a needed one is missing, or two could be meant."""
    for ours, name in mapped.items():
        if ours not in STATEMENT_COLUMNS or name not in header:
            problem = f"has no column {name!r}" if ours in STATEMENT_COLUMNS else f"is not asked for {ours!r}"
            known = ", ".join(header if ours in STATEMENT_COLUMNS else STATEMENT_COLUMNS)
            raise RefusedError(
                f"--map {ours}={name}: the statement {problem}",
                reason="missing_column",
                cure=f"known: {known}",
            )
    found = dict(mapped)
    for name in header:
        plain = name.strip().casefold()
        ours = theirs.get(plain, plain)
        if ours not in STATEMENT_COLUMNS or ours in mapped or name in mapped.values():
            continue
        if ours in found:
            raise RefusedError(
                f"{file}: columns {found[ours]!r} and {name!r} could both be {ours}",
                reason="duplicate_column",
                cure=f"say which it is: --map {ours}=NAME",
            )
        found[ours] = name
    for needed, either in (("account", ("account",)), ("amount", ("amount", "units"))):
        if not found.keys() & set(either):
            raise RefusedError(
                f"{file}: there is no column {needed}; the columns are {', '.join(map(repr, header[:30]))}",
                reason="missing_column",
                cure=f"say which it is: --map {needed}=NAME",
            )
    return found
