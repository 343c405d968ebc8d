"""The same money asked for twice in one file."""

import csv
import io
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HEAD = "provider,account,amount,currency,reference\n"

ROW = st.tuples(
    st.just("kenya"),
    st.sampled_from(["shop", "Shop", "bar"]),
    st.sampled_from(["5", "5.0", "6", "bad"]),
    st.sampled_from(["KES", ""]),
    st.sampled_from(["", "", "r1", "r2", "r3"]),
)


def equal_contents(rows: list[tuple[str, ...]]) -> int:
    """By definition: rows with an earlier row of equal content, unless both have references."""
    keys = [(r[1].casefold(), float(r[2]), r[4]) for r in rows if r[2] != "bad"]
    return sum(any(k[:2] == e[:2] and not (k[2] and e[2]) for e in keys[:i]) for i, k in enumerate(keys))


def equal_references(rows: list[tuple[str, ...]]) -> int:
    references = [row[4] for row in rows if row[4]]
    return len(references) - len(set(references))


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROW, min_size=1, max_size=7))
def test_twins_are_those_of_the_definition(batch: Callable[..., Any], rows: list[tuple[str, ...]]) -> None:
    """Whatever the mix of spellings, references and invalid rows, exactly the twins are found."""
    rows = [*rows, ("kenya", "last", "1", "KES", "last")]  # never the sum of the others
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    survey = batch(HEAD + out.getvalue()).survey
    assert survey.duplicates.count == equal_contents(rows)
    assert survey.duplicate_references.count == equal_references(rows)


def test_a_twin_is_shown_with_the_row_it_repeats(batch: Callable[..., Any]) -> None:
    """Both rows and both lines, so that a person finds them."""
    survey = batch(HEAD + "clicksend,11,5,USD,\n\nclicksend,12,5,USD,\nclicksend,11,5.00,USD,\n").survey
    twin = survey.duplicates.examples[0]
    assert (twin.row, twin.line, twin.first_row, twin.first_line) == (3, 5, 1, 2)
    assert (twin.account, twin.amount) == ("11", "5")


def test_different_references_tell_equal_rows_apart(batch: Callable[..., Any]) -> None:
    """Two transfers that are meant carry two references."""
    survey = batch(HEAD + "clicksend,11,5,USD,a\nclicksend,11,5,USD,b\n").survey
    assert survey.duplicates.count == survey.duplicate_references.count == 0


def test_an_invalid_row_may_not_share_a_reference(batch: Callable[..., Any]) -> None:
    """It will be corrected, and then it would."""
    survey = batch(HEAD + "clicksend,11,5,USD,a\\b\nclicksend,012,7,USD,a\\b\n").survey
    assert survey.duplicate_references.examples[0].row == 2


def test_many_twins_are_counted_and_twenty_shown(batch: Callable[..., Any]) -> None:
    """The first twenty, in the order of the file."""
    survey = batch(HEAD + "clicksend,11,5,USD,\n" * 50 + "clicksend,12,7,USD,\n").survey
    assert survey.duplicates.count == 49
    assert [twin.row for twin in survey.duplicates.examples] == list(range(2, 22))
