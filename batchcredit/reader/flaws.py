"""Cells of a spreadsheet that can't be relied on: what each kind of them is in each column of ours."""

from collections.abc import Mapping

from batchcredit.workbook import Kind


def _of(column: str) -> dict[str, str]:
    return {
        Kind.FRACTION: f"{column}_number",
        Kind.DIGITS: f"{column}_number",
        Kind.PERCENT: f"{column}_number",
        Kind.FORMAT: f"{column}_format",
        Kind.DATE: f"{column}_date",
        Kind.LOGIC: f"{column}_logic",
        Kind.ERROR: f"{column}_error",
        Kind.FORMULA: f"{column}_formula",
    }


#: Our column -> kind of cell -> problem. What becomes of other cells, their text decides. An amount may have
#: decimals, more than 15 digits of which are told, and a format with a currency's sign.
FLAWS: Mapping[str, Mapping[str, str]] = {
    "account": _of("account"),
    "amount": {
        Kind.PERCENT: "amount_percent",
        Kind.DATE: "amount_date",
        Kind.LOGIC: "amount_logic",
        Kind.ERROR: "amount_error",
        Kind.FORMULA: "amount_formula",
    },
    "reference": _of("reference"),
}
