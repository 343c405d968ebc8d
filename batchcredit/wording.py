"""How texts, money and durations look to a person, on a terminal and on a page."""

from decimal import Decimal


def visible(text: str) -> str:
    """`text` without anything that steers a terminal or hides; line ends stay."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in text)


def in_money(amount: Decimal) -> str:
    """With thousands, and no more zeros at the end than money has."""
    whole, _, decimals = f"{amount:,f}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def in_words(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 1.5:
        return "about a second"
    for unit, length_s in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= 1.5 * length_s:
            return f"about {round(seconds / length_s)} {unit}s"
    return f"about {round(seconds)} seconds"
