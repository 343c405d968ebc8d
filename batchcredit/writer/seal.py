"""The seal of one row of a results file: by it an edit that matters is noticed, and no other.

It is no signature: who wants to deceive can compute it. It tells a spreadsheet's lost zero, a changed
amount or status, and a missing row from the file as it was written.
"""

from hashlib import blake2b

_SEPARATOR = "\x1f"


def seal(
    batch: str,
    rows: int,
    row: int,
    provider: str,
    account: str,
    amount: str,
    currency: str,
    reference: str | None,
    status: str,
    transfer_id: str,
    *,
    handed_over: bool = False,
) -> str:
    """`s-` and 16 hex digits over these, `rows` being the batch's; no and an empty reference are the same.
    `handed_over`: the ledger that writes it has closed the batch."""
    parts = (
        *(batch, str(rows), str(row), provider, account),
        *(by_value(amount), currency, reference or "", status, transfer_id),
        *(("handed over",) if handed_over else ()),
    )
    text = _SEPARATOR.join(parts)
    if text.count(_SEPARATOR) >= len(
        parts
    ):  # only an invalid cell can hold one; lengths tell the parts apart
        text = f"{[len(part) for part in parts]}{text}"
    return f"s-{blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"


def by_value(amount: str) -> str:
    """An amount without padding, so that 012.50 is 12.5; what is no plain decimal stays as it is."""
    whole, point, fraction = amount.partition(".")
    if not (whole.isascii() and whole.isdigit()) or (
        point and not (fraction.isascii() and fraction.isdigit())
    ):
        return amount
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole
