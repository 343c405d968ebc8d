"""The audit trail: each entry holds the hash of the one before it, so that a later change shows.

It is no signature. Who can write the file can also compute all hashes anew: the newest hash, kept elsewhere,
is what then tells.
"""

import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import NamedTuple


class AuditEntry(NamedTuple):
    """One decision. `row` is None and `transfer_id` "" where it is not about one row; `batch` is "" where it
    is about the whole ledger. `known` is JSON, or "": what the decision rests on.
    Times are milliseconds since 1970, UTC."""

    id: int
    at_ms: int
    user: str
    host: str
    what: str
    batch: str
    row: int | None
    transfer_id: str
    was: str
    settled_by: str
    note: str
    known: str
    hash: str


#: What stands before the first entry.
FIRST = ""


def chained(before: str, fields: Iterable[object]) -> str:
    """The hash of an entry with these fields (all but its hash), behind an entry with the hash `before`."""
    return sha256(json.dumps([before, *fields]).encode()).hexdigest()


def breaks(entries: Iterable[AuditEntry]) -> Iterator[tuple[int, str]]:
    """Where the whole trail, in the order of its ids, is not as it was written: entry and what is wrong."""
    before, expected = FIRST, 1
    for entry in entries:
        if entry.id != expected:
            yield entry.id, f"entries {expected} to {entry.id - 1} are missing"
        elif entry.hash != chained(before, entry[:-1]):
            yield entry.id, "it, or the one before it, was changed after it was written"
        before, expected = entry.hash, entry.id + 1
