"""Sentences without what they say of clients: for logs, which are kept elsewhere and read by others."""

import re

_HIDDEN = "***"

#: A client's number or name goes on to the end of its clause; too much is hidden rather than too little.
_NAMED = re.compile(r"\b(account|client|reference|amount|name|login)( ->)? [^,:;()\n]+", re.IGNORECASE)
_MONEY = re.compile(r"[0-9][0-9,.]*\s?(?=[A-Z]{3}\b)")
_DECIMAL = re.compile(r"(?<![\w.])[0-9][0-9,]*\.[0-9]+(?![\w.]| s\b| times\b)")
_QUOTED = re.compile(r"(?<!\w)(['\"]).*\1(?!\w)")
_MAIL = re.compile(r"[^\s;,]+@[^\s;,]+")


def impersonal(text: str) -> str:
    """`text` with *** for accounts, amounts, references, names, logins, and whatever stands in quotes.
    Numbers of rows and lines, and names of batches and files, stay."""
    text = _NAMED.sub(rf"\1 {_HIDDEN}", _QUOTED.sub(_HIDDEN, text))
    return _DECIMAL.sub(_HIDDEN, _MAIL.sub(_HIDDEN, _MONEY.sub(f"{_HIDDEN} ", text)))
