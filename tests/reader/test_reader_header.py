"""Which column is which: by name alone, said where it is not literal, and never guessed."""

from collections.abc import Callable
from typing import Any

import pytest

from batchcredit.errors import RefusedError
from batchcredit.writer import COLUMNS

ROW = "clicksend,11,5.00,USD\n"


def test_exact_names_need_no_words(batch: Callable[..., Any]) -> None:
    """Nothing is said about what stands there literally."""
    assert batch("provider,account,amount,currency\n" + ROW).survey.notes == ()


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("client_user_id", "account"), ("Client_User_ID", "account"), (" ACCOUNT ", "account")],
)
def test_other_spellings_are_understood_and_said(batch: Callable[..., Any], theirs: str, ours: str) -> None:
    """The providers' names, capitals and spaces."""
    read = batch(f"provider,{theirs},amount,currency\n" + ROW)
    assert read.rows[0]["account"] == "11"
    assert read.survey.notes == (f"column {theirs!r} is read as {ours}",)
    assert list(read.cells[0]) == ["provider", theirs, "amount", "currency"]


def test_map_renames_ours_and_carried_columns(batch: Callable[..., Any]) -> None:
    """`--map` takes any name of ours, and gives a carried column another name."""
    read = batch(
        "provider,id,amount,currency,status\nclicksend,11,5,USD,vip\n",
        columns={"account": "id", "my_status": "status"},
    )
    assert read.rows[0]["account"] == "11"
    assert read.cells[0]["my_status"] == "vip"


def test_map_to_a_missing_column_is_refused(refusal: Callable[..., RefusedError]) -> None:
    """The columns that are there are shown."""
    error = refusal("provider,id,amount,currency\n" + ROW, columns={"account": "client"})
    assert str(error) == "batch.csv: --map account=client: the file has no column 'client'"
    assert "'id'" in error.cure


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        ("provider,account,amount,currency,referance", "reference"),
        ("provider,acount,amount,currency,x", "account"),
        ("provider,account,ammount,currency,x", "amount"),
        ("provider,account,amount,curency,x", "currency"),
        ("provder,account,amount,currency,x", "provider"),
        ("provider,account,amuont,currency,x", "amount"),
    ],
)
def test_a_name_that_is_nearly_ours_stops(
    refusal: Callable[..., RefusedError], header: str, meant: str
) -> None:
    """Carried through silently, a misspelt reference would protect nothing."""
    error = refusal(header + "\nclicksend,11,5,USD,x\n")
    assert error.reason == "nearly_column"
    assert str(error).endswith(f"did you mean {meant}?")


def test_a_nearly_name_beside_ours_is_carried(batch: Callable[..., Any]) -> None:
    """Where ours is found, a column `accounts` is the user's own."""
    assert batch("provider,account,amount,currency,accounts\nclicksend,11,5,USD,2\n").survey.valid == 1


def test_a_missing_column_is_named_with_what_is_there(refusal: Callable[..., RefusedError]) -> None:
    """And the cure is a flag that can be typed."""
    error = refusal("provider,customer,amount\nclicksend,11,5\n")
    assert str(error) == (
        "batch.csv: line 1: there is no column account; the columns are 'provider', 'customer', 'amount'"
    )
    assert "--map account=THEIR_NAME" in error.cure


@pytest.mark.parametrize(
    "header",
    ["provider,account,amount,amount", "provider,account,amount,,", "account,client_user_id,provider,amount"],
)
def test_two_columns_for_one_meaning_are_refused(refusal: Callable[..., RefusedError], header: str) -> None:
    """The same name twice, two without a name, two names for one thing."""
    assert refusal(header + "\n" + "x," * header.count(",") + "x\n").reason == "duplicate_column"


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_named_like_one_of_the_results_is_refused(
    refusal: Callable[..., RefusedError], name: str
) -> None:
    """It could not be told from ours in the results; `--map` gives it another name."""
    error = refusal(f"provider,account,amount,currency,{name}\nclicksend,11,5,USD,hello\n")
    assert error.reason == "results_column"
    assert f"--map my_{name}={name}" in error.cure


def test_flags_stand_for_columns(batch: Callable[..., Any]) -> None:
    """--provider and --currency fill what is empty or absent."""
    read = batch("account,amount\n11,5\n", provider="clicksend", currency="USD")
    assert [read.rows[0][name] for name in ("provider", "currency", "problem")] == ["clicksend", "USD", None]


def test_an_unknown_provider_flag_is_refused(refusal: Callable[..., RefusedError]) -> None:
    """The configured names are shown."""
    error = refusal("account,amount\n11,5\n", provider="clicksnd")
    assert error.cure == "configured: clicksend, kenya"


def test_thousands_by_a_point_are_refused(refusal: Callable[..., RefusedError]) -> None:
    """1.234 would have two meanings."""
    assert refusal("provider,account,amount\nclicksend,1,2\n", thousands=".").reason == "usage"
