"""When two spellings are one client."""

import unicodedata


def folded(account: str) -> str:
    """The one form of all spellings: composed, without capitals. Digits stay what they are."""
    if account.isascii():
        return account.lower()
    return unicodedata.normalize("NFC", account).casefold()
