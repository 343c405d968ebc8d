"""The driver: has a crew of senders send the rest of a batch, and shows what they do as if it were ours."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import anyio
from anyio.to_thread import run_sync

from batchcredit.distributed.crew import Crew
from batchcredit.distributed.messages import Errand
from batchcredit.engine.lane import Lane
from batchcredit.engine.loop import now
from batchcredit.engine.meter import Meter
from batchcredit.ledger import registry
from batchcredit.runner.attendant import Attendant
from batchcredit.runner.batch import ledger_url
from batchcredit.runner.outgoing.fleet import Fleet, Rest


class RayFleet(Fleet):
    """So many senders, somewhere on the cluster."""

    def __init__(self, senders: int) -> None:
        self._senders = senders

    async def send(self, rest: Rest, lanes: Sequence[Lane]) -> str:
        name = f"{rest.ledger.id}-{rest.run}-{rest.ledger.sender}"
        senders = min(self._senders, *(lane.policy.concurrency for lane in lanes))
        if senders < self._senders:
            rest.desk.attendant.note(
                f"{senders} of {self._senders} senders start: concurrency lets a lane have no more in flight"
            )
        errand = partial(_errand, rest, lanes, senders)
        crew = Crew(name, senders, errand, rest.desk.settings.outage_wait_s)
        before = [lane.meter for lane in lanes]
        try:
            await run_sync(crew.start, now())
            while await run_sync(partial(crew.look, now(), stopping=rest.stopping())):
                _show(crew, rest.desk.attendant, lanes, before)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await run_sync(crew.end_at_once)
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await run_sync(crew.dismiss)
            _show(crew, rest.desk.attendant, lanes, before)
        return crew.left


def _errand(rest: Rest, lanes: Sequence[Lane], senders: int) -> Errand:
    """What a sender is to do, as things are now. Whoever asks and counts is here."""
    desk = rest.desk
    how = replace(
        desk.how, yes=True, canary=None, limit=None, fleet=None, note=registry.silent, watch=registry.silent
    )
    return Errand(
        settings=desk.settings,
        how=how,
        ledger_url=ledger_url(desk.how, desk.settings),
        batch=rest.batch,
        run=rest.run,
        driver=rest.ledger.sender,
        profiles=tuple(lane.profile for lane in lanes),
        live=desk.live,
        listens=desk.attendant.listens,
        senders=senders,
    )


def _show(crew: Crew, attendant: Attendant, lanes: Sequence[Lane], before: Sequence[Meter]) -> None:
    """Tell what they said, and count in our lanes what they did."""
    said, heard = crew.taken()
    for text, is_warning in said:
        (attendant.warn if is_warning else attendant.note)(text)
    by_profile = {lane.profile: lane for lane in lanes}
    for one in heard:
        attendant.hear(by_profile[one.profile], one.job, one.judged, one.duration_ms)
    done = crew.meters()
    for lane, own in zip(lanes, before, strict=True):
        lane.meter = Meter.sum([own, done.get(lane.profile, Meter())])
