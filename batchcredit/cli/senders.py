"""senders and evict: who sends with a ledger now, and the end of one of them."""

import json
from functools import partial
from typing import TYPE_CHECKING

from batchcredit.cli.flags import Common, Guarding, Note, Sandbox, Sending, Yes, send_options
from batchcredit.cli.session import console_of, put, settings_of, without_batch

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from batchcredit.ledger.base import SenderRecord

_COMMON = Common()


def senders(*, sandbox: Sandbox = False, common: Common = _COMMON) -> int:
    """Who is sending now: where, for which batch, how many rows."""
    from batchcredit.console import senders as shown
    from batchcredit.runner.settling import senders as asked

    settings = settings_of(common)
    found = asked.senders(send_options("senders", common, Guarding(sandbox=sandbox)), settings)
    if common.json:
        put(json.dumps(without_batch(senders=shown.senders_as_json(found))))
    else:
        put(shown.senders(found, settings.timezone))
    return 0


def evict(
    sender: int,
    /,
    *,
    note: Note,
    yes: Yes = False,
    sandbox: Sandbox = False,
    common: Common = _COMMON,
) -> int:
    """End a sender that hangs or is lost.

    What it has in flight is in doubt then, and it never comes back.
    """
    from batchcredit.runner.settling import senders as asked

    settings = settings_of(common)
    how = send_options(f"evict {sender}", common, Guarding(sandbox=sandbox), Sending(yes=yes))
    rows = asked.evict(sender, note, how, settings, partial(_confirm, settings.timezone))
    console_of(common).note(f"sender {sender} is evicted; {rows} rows that it had in flight are in doubt now")
    if common.json:
        put(json.dumps(without_batch(sender=sender, in_doubt=rows)))
    return 0


def _confirm(zone: "ZoneInfo", sender: "SenderRecord") -> bool:
    from batchcredit.console import senders as shown
    from batchcredit.console.base import agreed

    return agreed(shown.eviction(sender, zone))
