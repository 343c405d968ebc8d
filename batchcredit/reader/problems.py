"""Why a row is invalid: stable words for machines, each with its meaning and its cure for people."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a row, in a sentence, and what to do about it."""

    meaning: str
    cure: str


#: Word -> meaning and cure. The words stand in results and scripts: they may be added to, never changed.
PROBLEMS: Mapping[str, Problem] = MappingProxyType(
    {
        "row_empty": Problem("The row has no cell with text.", "Delete the row."),
        "provider_missing": Problem(
            "The provider cell is empty.",
            "Write the profile's name into the cell, or give --provider NAME for the whole file.",
        ),
        "provider_conflict": Problem(
            "The provider cell says another name than --provider.",
            "Leave out --provider, or correct the cell.",
        ),
        "unknown_provider": Problem(
            "No profile of that name is configured.",
            "Use the name of a configured profile, written exactly; `batchcredit providers` lists them.",
        ),
        "account_missing": Problem("The account cell is empty.", "Fill in the client's account."),
        "account_exponent": Problem(
            "A spreadsheet program turned the account into scientific notation, and its digits may be lost.",
            "Format the column as text and paste the account again from its source.",
        ),
        "account_error": Problem(
            "The cell holds a spreadsheet error, not an account.", "Mend the formula and save the file again."
        ),
        "account_number": Problem(
            "The account is a number with decimals or over 15 digits; spreadsheets lose some.",
            "Format the column as text and paste the account again from its source.",
        ),
        "account_format": Problem(
            "The cell's format shows what is not in it, such as leading zeros.",
            "Format the column as text and type the account as it is meant.",
        ),
        "account_date": Problem(
            "The cell holds a date or a time, not an account.",
            "Format the column as text and type the account again.",
        ),
        "account_logic": Problem(
            "The cell holds TRUE or FALSE, not an account.",
            "Format the column as text and type the account again.",
        ),
        "account_formula": Problem(
            "The cell holds a formula that nobody has computed.",
            "Open the file in a spreadsheet program and save it again.",
        ),
        "account_hidden": Problem(
            "The account holds a character that can not be seen (control, zero-width, direction).",
            "Type the account again by hand.",
        ),
        "account_spaces": Problem(
            "The account begins or ends with a space.", "Remove the spaces around the account."
        ),
        "account_long": Problem(
            "The account is longer than 128 characters.", "Check that the cell holds an account."
        ),
        "account_form": Problem("The provider has no accounts of this form.", "Correct the account."),
        "amount_missing": Problem("The amount cell is empty.", "Fill in the amount, or delete the row."),
        "amount_error": Problem(
            "The cell holds a spreadsheet error, not an amount.", "Mend the formula and save the file again."
        ),
        "amount_date": Problem(
            "The cell holds a date or a time, not an amount.",
            "Format the column as a number and type it again.",
        ),
        "amount_logic": Problem(
            "The cell holds TRUE or FALSE, not an amount.", "Type the amount again as a number."
        ),
        "amount_percent": Problem(
            "The cell holds a percentage, not an amount.", "Format the column as a number and type it again."
        ),
        "amount_formula": Problem(
            "The cell holds a formula that nobody has computed.",
            "Open the file in a spreadsheet program and save it again.",
        ),
        "amount_exponent": Problem(
            "The amount is in scientific notation.", "Format the column as a number with all its digits."
        ),
        "amount_negative": Problem(
            "The amount is negative.", "Credit can not be pulled back here: delete the row."
        ),
        "amount_spaces": Problem(
            "The amount begins or ends with a space.", "Remove the spaces around the amount."
        ),
        "amount_symbol": Problem(
            "The amount holds a currency sign or code.",
            "Leave only digits in the cell, and put the currency into its own column.",
        ),
        "amount_thousands": Problem(
            "The amount has separators between its thousands.",
            "Give --thousands with that separator, or save the column without them.",
        ),
        "amount_comma": Problem(
            "The amount has a decimal comma, or one that can not be told from it.",
            "Write a point before the decimals and nothing between the thousands.",
        ),
        "amount_long": Problem(
            "The amount has more than 12 digits before the point.", "Check that the cell holds an amount."
        ),
        "amount_form": Problem(
            "The amount is not a plain number.", "Write digits 0-9 and at most one point, such as 12.50."
        ),
        "amount_zero": Problem("The amount is zero.", "Delete the row, or fill in an amount above zero."),
        "amount_decimals": Problem(
            "The amount has more decimals than the provider takes.",
            "Round the amount in the source; nothing is rounded here.",
        ),
        "currency_missing": Problem(
            "The currency cell is empty, and this provider needs one.",
            "Fill in the code, or give --currency CUR for the whole file.",
        ),
        "currency_conflict": Problem(
            "The currency cell says another code than --currency.",
            "Leave out --currency, or correct the cell.",
        ),
        "currency_form": Problem(
            "A currency is three capital letters.", "Write the ISO 4217 code, such as USD."
        ),
        "currency_unknown": Problem(
            "This is no active ISO 4217 currency code.", "Write the ISO 4217 code, such as USD."
        ),
        "currency_not_taken": Problem(
            "The provider does not take this currency.", "Correct the currency or the provider."
        ),
        "reference_number": Problem(
            "The reference is a number with decimals or over 15 digits; spreadsheets lose some.",
            "Format the column as text and paste the reference again from its source.",
        ),
        "reference_format": Problem(
            "The cell's format shows what is not in it, such as leading zeros.",
            "Format the column as text and type the reference as it is meant.",
        ),
        "reference_date": Problem(
            "The cell holds a date or a time, not a reference.",
            "Format the column as text and type the reference again.",
        ),
        "reference_logic": Problem(
            "The cell holds TRUE or FALSE, not a reference.",
            "Format the column as text and type the reference again.",
        ),
        "reference_error": Problem(
            "The cell holds a spreadsheet error, not a reference.",
            "Mend the formula and save the file again.",
        ),
        "reference_formula": Problem(
            "The cell holds a formula that nobody has computed.",
            "Open the file in a spreadsheet program and save it again.",
        ),
        "reference_hidden": Problem(
            "The reference holds a character that can not be seen.", "Type the reference again by hand."
        ),
        "reference_spaces": Problem(
            "The reference begins or ends with a space.", "Remove the spaces around the reference."
        ),
        "reference_long": Problem(
            "The reference is longer than 128 characters.", "Use a shorter reference, and one for ever."
        ),
    }
)
