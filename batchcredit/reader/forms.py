"""The forms of cells, as regular expressions in Rust's syntax, and the expressions both stages share."""

import polars as pl

#: No control, format, unassigned or surrogate character, no line separator, no space at either end.
VISIBLE = r"^[^\p{C}\p{Z}](?:[^\p{C}\p{Zl}\p{Zp}]*[^\p{C}\p{Z}])?$"
HIDDEN = r"[\p{C}\p{Zl}\p{Zp}]"
OUTER_SPACE = r"^\p{Z}|\p{Z}$"
LONGEST = 128

AMOUNT = r"^[0-9]{1,12}(?:\.[0-9]+)?$"
EXPONENT = r"^[+-]?[0-9]+(?:[.,][0-9]+)?[eE][+-]?[0-9]+$"
SHEET_ERROR = r"^#(?:N/A|REF!|VALUE!|NAME\?|DIV/0!|NUM!|NULL!|SPILL!|CALC!|#+)"
NEGATIVE = r"^(?:[-\x{2212}].*[0-9].*|\(.*[0-9].*\)|.*[0-9]-)$"
THOUSANDS = r"^[0-9]{1,3}(?:(?:,[0-9]{3})+|(?:[' _\x{a0}\x{202f}\x{2019}][0-9]{3})+)(?:\.[0-9]+)?$"
COMMA = r"^[0-9]{1,3}(?:[. '\x{a0}\x{202f}\x{2019}][0-9]{3})*,[0-9]+$|^[0-9]+,[0-9]+$"
_SIGN = r"(?:[A-Z]{0,3}\p{Sc}|[A-Z]{3}|(?i:ksh|sh|rs)\.?)"
SYMBOL = rf"^{_SIGN}\p{{Z}}*[0-9]|[0-9]\p{{Z}}*{_SIGN}$"
MANY_DIGITS = r"^[0-9]{13,}(?:\.[0-9]+)?$"


def amount_form(decimals: int) -> str:
    """Amounts with at most so many decimals, by value: zeros behind them are no decimals."""
    return rf"^[0-9]{{1,12}}(?:\.[0-9]{{1,{decimals}}}0*)?$" if decimals else r"^[0-9]{1,12}(?:\.0+)?$"


def whole(pattern: str) -> str:
    """`pattern`, for the whole cell."""
    return f"^(?:{pattern})$"


def visible(text: pl.Expr) -> pl.Expr:
    """Whether a text can be seen whole, and is not too long."""
    return text.str.contains(VISIBLE) & (text.str.len_chars() <= LONGEST)
