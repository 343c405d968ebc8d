"""A provider's words, fit to be stored and shown."""

import re
from functools import lru_cache

#: The most characters that are kept of a provider's message.
MESSAGE_CHARS = 300
#: The most characters that are kept of a provider's code.
CODE_CHARS = 64

_REMOVED = "***"
_SEARCHED_CHARS = 4 * MESSAGE_CHARS

_TERMINAL = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?")
_SPACES = re.compile(r"\s+")
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ue000-\uf8ff\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\uffff\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff]+"
)
_MAIL = r"[^\s@<>()\[\],;:\"]+@[^\s@<>()\[\],;:\"]+"
# A sum of money has no plus sign with eight digits before the point.
_PHONE = r"(?<![\w+])\+ ?\(?\d(?:[ ()-]{0,2}\d){7,14}(?!\d|\.\d)"
_KEY = r"(?<![A-Za-z0-9+/_=-])(?=[A-Za-z+/_=-]*[0-9])(?=[0-9+/_=-]*[A-Za-z])[A-Za-z0-9+/_=-]{20,}"
_PRIVATE = re.compile(f"{_MAIL}|{_PHONE}|{_KEY}")
# Words too short for a key, without @ and +: the messages of every day take one look.
_PLAIN = re.compile(r"(?:[A-Za-z0-9.,:;!?'()/_-]{1,19} )*[A-Za-z0-9.,:;!?'()/_-]{0,19}")


def cleaned(text: str, secrets: tuple[str, ...]) -> str:
    """`text` on one line of at most 300 characters, without `secrets` and what looks private.

    Removed are mail addresses, phone numbers with +, anything of the shape of an API key, and all that
    steers a terminal or the direction of reading. Names of people can not be told from other words.
    """
    # a longer text is not remembered: a hostile server would fill the memory with them
    return _remembered(text, secrets) if len(text) <= MESSAGE_CHARS else _cleaned(text, secrets)


@lru_cache(maxsize=256)  # most answers of a batch say the same
def _remembered(text: str, secrets: tuple[str, ...]) -> str:
    return _cleaned(text, secrets)


def _cleaned(text: str, secrets: tuple[str, ...]) -> str:
    known = _any_of(secrets)
    if len(text) <= MESSAGE_CHARS and _PLAIN.fullmatch(text):
        return known.sub(_REMOVED, text).strip()[:MESSAGE_CHARS]
    text = _SPACES.sub(" ", _TERMINAL.sub("", text))
    text = known.sub(_REMOVED, _INVISIBLE.sub("", text))
    return _PRIVATE.sub(_REMOVED, _beginning(text)).strip()[:MESSAGE_CHARS]


def cleaned_code(code: str, secrets: tuple[str, ...]) -> str:
    """A provider's code, cleaned like a message, of at most 64 characters."""
    return cleaned(code, secrets)[:CODE_CHARS]


def _beginning(text: str) -> str:
    """What is searched for private data: whole words, since half a key no longer looks like one."""
    if len(text) <= _SEARCHED_CHARS:
        return text
    return text[:_SEARCHED_CHARS].rpartition(" ")[0]


@lru_cache(maxsize=64)
def _any_of(secrets: tuple[str, ...]) -> re.Pattern[str]:
    as_shown = {_SPACES.sub(" ", secret) for secret in secrets if secret}
    longest_first = sorted(as_shown, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)", re.IGNORECASE)
