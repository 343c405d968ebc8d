"""Who sends with a ledger now, and the end of one of them."""

from collections.abc import Callable

from batchcredit.errors import RefusedError
from batchcredit.ledger.base import LedgerReader, SenderRecord, no_sender
from batchcredit.runner.batch import holding_known, refuse_unagreed
from batchcredit.runner.options import SendOptions
from batchcredit.runner.settling.records import reading
from batchcredit.settings import Settings


def senders(how: SendOptions, settings: Settings) -> list[SenderRecord]:
    """Those that send now, oldest first."""
    with reading(how, settings) as ledger:
        return ledger.senders()


def evict(
    number: int, note: str, how: SendOptions, settings: Settings, confirm: Callable[[SenderRecord], bool]
) -> int:
    """End a sender for good; how many rows became in doubt. `confirm` shows it and asks.

    Raises RefusedError where nobody sends under this number, or where the ledger can't end anybody.
    """
    with reading(how, settings) as ledger:
        sender = _found(number, ledger)
        if not ledger.is_shared:
            raise _holds_the_file(sender, ledger)
    refuse_unagreed(how, lambda: confirm(sender))
    with holding_known(how, settings) as held:
        return held.evict(number, note)


def _found(number: int, ledger: LedgerReader) -> SenderRecord:
    for sender in ledger.senders():
        if sender.id == number:
            return sender
    raise no_sender(number, ledger.url)


def _holds_the_file(sender: SenderRecord, ledger: LedgerReader) -> RefusedError:
    return RefusedError(
        f"process {sender.pid} on {sender.host} holds the file of the ledger {ledger.url}: only its own end "
        "gives that back",
        reason="not_shared",
        cure=f"on {sender.host}: kill {sender.pid}, and it hears out what is in flight and writes the "
        f"results; only if that does not end it: kill -9 {sender.pid}, and what was in flight is in doubt",
    )
