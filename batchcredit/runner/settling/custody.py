"""The ledger as a file: how it stands, a copy of it, a copy taken into use, and a move to another place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchcredit.errors import DefectError, RefusedError
from batchcredit.ledger.base import BatchRecord, Custody, Ledger, LedgerReader, SenderRecord
from batchcredit.runner.batch import holding_known, refuse_unagreed
from batchcredit.runner.options import SendOptions
from batchcredit.runner.settling.records import reading
from batchcredit.runner.settling.trail import broken
from batchcredit.runner.summary import Speed, summarise
from batchcredit.settings import Settings


@dataclass(frozen=True, slots=True)
class LedgerView:
    """What a ledger is and how it stands. `senders`: who has it open for sending now; `faults`: sentences on
    what is wrong with it."""

    url: str
    id: str
    live: bool | None
    size_bytes: int
    version: int
    custody: Custody
    batches: Sequence[BatchRecord]
    senders: Sequence[SenderRecord]
    faults: Sequence[str]

    @property
    def open(self) -> list[BatchRecord]:
        """Batches of which something is left to send."""
        return [batch for batch in self.batches if batch.finished_ms is None and batch.closed_ms is None]


def look(how: SendOptions, settings: Settings) -> LedgerView:
    """How the ledger stands, checked from end to end."""
    with reading(how, settings) as ledger:
        faults = [*ledger.faults(), *_unconserved(ledger), *broken(ledger)]
        return LedgerView(
            url=ledger.url,
            id=ledger.id,
            live=ledger.is_live(),
            size_bytes=ledger.size_bytes(),
            version=ledger.version(),
            custody=ledger.custody(),
            batches=ledger.batches(),
            senders=ledger.senders(),
            faults=faults,
        )


def _unconserved(ledger: LedgerReader) -> list[str]:
    said = []
    for batch in ledger.batches():
        try:
            summarise(ledger, batch, None, Speed())
        except DefectError as error:
            said.append(str(error))
    return said


def back_up(path: Path, how: SendOptions, settings: Settings) -> Path:
    """Write a copy of the ledger to a free place, also while another process sends."""
    place = path.absolute()
    with reading(how, settings) as ledger:
        ledger.back_up(place)
    return place


def accept(
    note: str, said_id: str, how: SendOptions, settings: Settings, confirm: Callable[[Ledger], bool]
) -> int:
    """Take a copy into use: what is not final is in doubt from now on; how many rows. `confirm` asks; where
    nobody is asked, `said_id` has to be the ledger's id."""
    with holding_known(how, settings, retired=True) as ledger:
        if how.yes and said_id != ledger.id:
            raise RefusedError(
                f"with --yes the ledger has to be named: the id of {ledger.url} is {ledger.id}",
                reason="usage",
                cure=f"batchcredit ledger accept --yes --id {ledger.id}, if that is the one",
            )
        refuse_unagreed(how, lambda: confirm(ledger))
        return ledger.accept(note)


def move(
    path: Path, note: str, how: SendOptions, settings: Settings, confirm: Callable[[Ledger, Path], bool]
) -> Path:
    """Close the ledger for ever, and open a copy of it at `path`. `confirm` asks."""
    place = path.absolute()
    with holding_known(how, settings, retired=True) as ledger:
        refuse_unagreed(how, lambda: confirm(ledger, place))
        ledger.move_to(place, note)
    return place
