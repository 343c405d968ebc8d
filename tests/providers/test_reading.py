"""Reading a server's JSON: exactly, or not at all."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcredit.providers.reading import EXACT, exact, read_object

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
balances = st.decimals(-(10**14), 10**14, places=6, allow_nan=False, allow_infinity=False)


@given(value=st.dictionaries(st.text(), plain, max_size=4), escaped=st.booleans())
def test_an_object_is_read_as_the_json_module_would(value: dict[str, object], escaped: bool) -> None:
    """An ordinary object comes back whole, in either way of writing its characters."""
    text = json.dumps(value, ensure_ascii=escaped)
    assert read_object(text.encode()) == value
    assert read_object(b"\xef\xbb\xbf" + text.encode()) == value


@given(balance=balances)
def test_numbers_keep_each_digit(balance: Decimal) -> None:
    """A number with a point keeps value and precision, in text and as a JSON number."""
    written = format(balance, "f")
    for body in (f'{{"a":{written}}}', f'{{"a":"{written}"}}'):
        said = read_object(body.encode())
        assert said is not None
        assert str(exact(said["a"])) == written


@given(body=st.binary(), value=st.none() | st.floats() | st.binary() | st.lists(st.integers()))
def test_reading_never_raises(body: bytes, value: object) -> None:
    """Whatever comes, the answer is a value or None."""
    assert isinstance(read_object(body), dict | None)
    assert exact(value) is None


@given(text=st.text(alphabet="0123456789.-+eE_ ,\u0661", max_size=40))
def test_what_is_exact_can_be_calculated_with(text: str) -> None:
    """A text that reads as an amount is the amount it looks like, and arithmetic on it is cheap and exact."""
    number = exact(text)
    if number is not None:
        assert text.isascii()
        assert (number, -number.as_tuple().exponent) == (Decimal(text), len(text.partition(".")[2]))
        assert EXACT.subtract(EXACT.add(number, Decimal(1)), Decimal(1)) == number


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{} {}",
        b"{'a':1}",
        b'{"a":1,}',
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e16}',
        b'{"a":1e999999}',
        b'{"a":1e-999999}',
        b'{"a":0e999}',
        b'{"a":1e99999999999999999999}',
        b'{"a":0.' + b"1" * 100_000 + b"}",
        b'{"a":' + b"1" * 100_000 + b"}",
        b'{"a":' * 100_000,
        b"[" * 100_000,
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\uDC00\\uD800"}',
        b'{"\\udfff":1}',
        b'{"a":"\\\\\\ud800"}',
        '{"a":1}'.encode("utf-16"),
    ],
    ids=range(27),
)
def test_what_is_not_certain_is_not_read(body: bytes) -> None:
    """Broken, ambiguous and oversized JSON is no answer at all."""
    assert read_object(body) is None


def test_escapes_that_are_whole_are_read() -> None:
    """A pair of surrogates is one character, and an escaped backslash escapes nothing after it."""
    assert read_object(b'{"a":"\\ud83d\\ude00","b":"\\\\ud800"}') == {"a": "\U0001f600", "b": "\\ud800"}


@pytest.mark.parametrize(
    "value", ["1_0", " 1", "1 ", "1.", ".5", "+1", "1e3", "1,5", "\u0661", "NaN", "1\n", True]
)
def test_what_only_python_takes_for_a_number_is_none(value: object) -> None:
    """Spellings that a lenient parser would accept are not exact."""
    assert exact(value) is None


def test_exponents_are_written_out() -> None:
    """A JSON number with an exponent is a plain amount afterwards."""
    assert str(exact((read_object(b'{"a":1.5e3}') or {})["a"])) == "1500"
