"""What is stored of a provider's words."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchcredit.providers.cleaning import MESSAGE_CHARS, cleaned, cleaned_code

SECRET = "k3y-FOR-t3sts-0nly"
UUID = "C9B4AFBA-BDBA-E343-950B-2C63BF6E7901"


@given(
    text=st.text(),
    secret=st.text(alphabet="abcXYZ789-/+$ ", min_size=6).filter(lambda key: key.strip() == key),
)
def test_what_is_left_is_one_short_line_without_secrets(text: str, secret: str) -> None:
    """Whatever the words, what is left can be shown on any terminal and keeps no secret."""
    for words in (text, f"{text}{secret}{text}", f"{text} {secret} {text}".upper()):
        left = cleaned(words, (secret,))
        assert secret.casefold() not in left.casefold()
        assert len(left) <= MESSAGE_CHARS
        assert left == left.strip()
        assert not {unicodedata.category(character) for character in left} & {
            "Cc",
            "Cf",
            "Cs",
            "Co",
            "Zl",
            "Zp",
        }


@given(padding=st.integers(0, 3000), private=st.sampled_from([UUID, "someone@example.com", "+61353787898"]))
@example(padding=1190, private=UUID)
def test_no_cut_leaves_half_of_what_is_private(padding: int, private: str) -> None:
    """Where the text is cut does not decide what is recognised, however much of it is dropped on the way."""
    for filler in ("\u200b", "x", "a@b.example ", " "):
        left = cleaned(filler * padding + " " + private + " end", (SECRET,))
        assert private[:6] not in left


@pytest.mark.parametrize("offset", range(0, 100, 7))
def test_a_key_at_the_edge_of_what_is_searched_goes_whole(offset: int) -> None:
    """Long addresses shrink to a mark each, and pull what stands behind them into the part that is kept."""
    addresses = f"{'a' * 80}@b.example " * 12
    assert "C9B4" not in cleaned("z" * offset + " " + addresses + UUID, (SECRET,))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            "Your balance has been successfully transferred.",
            "Your balance has been successfully transferred.",
        ),
        ("Partner ID 7 has been credited with 5 units", "Partner ID 7 has been credited with 5 units"),
        ("balance 170.728701 of 999999999999.99 AUD", "balance 170.728701 of 999999999999.99 AUD"),
        ("adds +12345678.90 to 1234567890123", "adds +12345678.90 to 1234567890123"),
        ("HTTP_TOO_MANY_REQUESTS on transfer-credit", "HTTP_TOO_MANY_REQUESTS on transfer-credit"),
        ("Client number 1234567890123456789 is unknown", "Client number 1234567890123456789 is unknown"),
        ("unbelievablysuccessfultransfer. 5 units", "unbelievablysuccessfultransfer. 5 units"),
        ("Solde insuffisant: 5 \u20ac", "Solde insuffisant: 5 \u20ac"),
        ("one\r\ntwo\tthree", "one two three"),
        ("", ""),
    ],
)
def test_ordinary_words_and_amounts_stay(text: str, left: str) -> None:
    """Sentences, codes, ids and amounts are what a person needs, and stay as they are."""
    assert cleaned(text, (SECRET,)) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"key {SECRET}!", "key ***!"),
        ("key K3Y-for-T3STS-0NLY", "key ***"),
        ("key k3y-FOR-\u200bt3sts\x00-0nly", "key ***"),
        ("mail jane.doe+x@mail.example.com now", "mail *** now"),
        ("<jane@example.com>", "<***>"),
        ("call +61 3 5378 7898 or +61353787898.", "call *** or ***."),
        ("call +254 (0)712-345678", "call ***"),
        (f"your key is {UUID}", "your key is ***"),
        ("token 0123456789abcdef0123456789abcdef", "token ***"),
        ("token cmVzZWxsZXI6QzlCNEFGQkE=", "token ***"),
        ("\x1b[31mred\x1b[0m \x9b1mbold", "red bold"),
        ("\x1b]0;title\x07done \x1b]8;;http://x\x1b\\link", "done link"),
        ("abc\u202edef\u2066ghi\ufeff", "abcdefghi"),
        ("bad \ud800 end", "bad end"),
    ],
)
def test_secrets_and_private_data_go(text: str, left: str) -> None:
    """Secrets, addresses, numbers, keys and what steers a terminal are taken out, and only they."""
    assert cleaned(text, (SECRET,)).replace("  ", " ") == left


def test_a_code_is_short() -> None:
    """A code is cleaned like a message, and cut to the length of a code."""
    assert cleaned_code("INSUFFICIENT_CREDIT", (SECRET,)) == "INSUFFICIENT_CREDIT"
    assert cleaned_code(SECRET, (SECRET,)) == "***"
    assert len(cleaned_code("ab " * 300, ())) <= 64
