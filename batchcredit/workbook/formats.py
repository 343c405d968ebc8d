"""What the number format of a cell does to its number: a date, leading zeros, a percentage. Pure."""

import re
from dataclasses import dataclass
from enum import StrEnum

#: Those that files name by number alone (ECMA-376 part 1, 18.8.30), as far as they are no plain numbers.
_BUILT_IN_DATES = frozenset([*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)])
_BUILT_IN_PERCENTAGES = frozenset([9, 10])
_LITERAL = re.compile(r'"[^"]*"|\\.|_.|\*.')
_BRACKETED = re.compile(r"\[[^\]]*\]")
_ELAPSED = re.compile(r"\[[hms]+\]", re.IGNORECASE)


class Kind(StrEnum):
    """What a cell is beside a text or a plain number; the words of `Piece.kinds`."""

    FRACTION = "fraction"  # a number that is not whole
    DIGITS = "digits"  # more digits than a spreadsheet keeps
    FORMAT = "format"  # its format shows what is not in it
    PERCENT = "percent"
    DATE = "date"
    LOGIC = "logic"  # true or false
    ERROR = "error"
    FORMULA = "formula"  # which nobody has computed


@dataclass(frozen=True, slots=True)
class Format:
    """A cell's number format: whether it shows a date or a percentage, text of its own, so many digits."""

    is_date: bool = False
    is_percent: bool = False
    has_text: bool = False
    least_digits: int = 1

    def shows_more(self, number: str) -> bool:
        """Whether a person sees more than the number: `00042` where 42 stands."""
        return self.has_text or len(number.lstrip("-").partition(".")[0]) < self.least_digits


PLAIN = Format()


def built_in(number: int) -> Format:
    """A format that is known by its number."""
    return Format(is_date=number in _BUILT_IN_DATES, is_percent=number in _BUILT_IN_PERCENTAGES)


def custom(code: str) -> Format:
    """A format by its code, such as `00000` or `yyyy-mm-dd`; of several sections the first."""
    elapsed = bool(_ELAPSED.search(code))
    literals = "".join(_LITERAL.findall(code.partition(";")[0]))
    bare = _BRACKETED.sub("", _LITERAL.sub("", code)).partition(";")[0]
    if bare.strip().lower() in ("general", "@", ""):
        return Format(is_date=elapsed)
    shown = bool(re.search(r"[dmyhs]", re.sub("general", "", bare, flags=re.IGNORECASE), re.IGNORECASE))
    whole = bare.partition(".")[0]
    return Format(
        is_date=elapsed or shown,
        is_percent="%" in bare,
        has_text=bool(re.search(r'(?:"[^"]*|\\)[^\W_]', literals)),
        least_digits=max(1, whole.count("0")),
    )
