"""The statuses as people read them: a word, a sign beside the colour, and what it means for the client."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Shown(NamedTuple):
    """A status on a page."""

    word: str
    sign: str
    meaning: str


SHOWN: Mapping[str, Shown] = MappingProxyType(
    {
        "credited": Shown("credited", "✓", "The client has the credit, once."),
        "already_credited": Shown("credited before", "↺", "The client had it already, not by this batch."),
        "rejected": Shown("refused", "✕", "The provider refused it. The client does not have the credit."),
        "in_doubt": Shown(
            "in doubt",
            "?",
            "Nobody knows yet whether the client has the credit. Do not pay it in another way.",
        ),
        "not_sent": Shown("not sent", "○", "Never executed. The client does not have the credit."),
        "invalid": Shown(
            "invalid", "!", "The row could not be sent as it is. The client does not have the credit."
        ),
        "cancelled": Shown("cancelled", "\u2013", "Withdrawn by a person. The client does not have it."),
    }
)

#: The order in which somebody looks after them. A credited row that needs somebody may have been paid twice.
URGENCY = ("credited", "in_doubt", "rejected", "invalid", "not_sent", "already_credited", "cancelled")
