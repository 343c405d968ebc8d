"""Those who send with a ledger now, for stdout and for a question."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from batchcredit import host
from batchcredit.console.base import local_time
from batchcredit.console.tables import table, text
from batchcredit.ledger.base import SenderRecord
from batchcredit.wording import visible


def senders(found: Sequence[SenderRecord], zone: ZoneInfo) -> str:
    """One line each, and how to end one."""
    if not found:
        return "nobody is sending with this ledger"
    titles = ("sender", "batch", "by", "pid", "since", "in flight", "oldest", "driver", "command")
    return text(table(titles, (_cells(sender, zone) for sender in found)))


def _cells(sender: SenderRecord, zone: ZoneInfo) -> tuple[str, ...]:
    driver = "" if sender.driver is None else f"{sender.driver}"
    oldest = _age_s(sender)
    return (
        *(f"{sender.id}", sender.batch, f"{sender.user}@{sender.host}", f"{sender.pid}"),
        *(local_time(sender.started_ms, zone), f"{sender.sending}"),
        *("" if oldest is None else f"{oldest:.0f} s", driver, sender.command),
    )


def _age_s(sender: SenderRecord) -> float | None:
    """Since when its oldest request is under way."""
    if sender.oldest_intent_ms is None:
        return None
    return max(host.now_ms() - sender.oldest_intent_ms, 0) / 1000


def senders_as_json(found: Sequence[SenderRecord]) -> list[dict[str, object]]:
    """The same, times in UTC."""
    return [
        {
            "sender": sender.id,
            "run": sender.run,
            "batch": sender.batch or None,
            "user": sender.user,
            "host": sender.host,
            "pid": sender.pid,
            "command": sender.command,
            "since": host.iso(sender.started_ms),
            "in_flight": sender.sending,
            "oldest_s": _age_s(sender),
            "driver": sender.driver,
        }
        for sender in found
    ]


def eviction(sender: SenderRecord, zone: ZoneInfo) -> str:
    """What a person is asked before a sender is ended."""
    rows = "1 row" if sender.sending == 1 else f"{sender.sending} rows"
    return visible(
        f"Sender {sender.id}: process {sender.pid} on {sender.host} ({sender.command}, by {sender.user}), "
        f"since {local_time(sender.started_ms, zone)}, for batch {sender.batch or 'none'}. It never comes "
        f"back, and {rows} that it has in flight will be in doubt. Evict it?"
    )
