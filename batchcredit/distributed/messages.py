"""What a driver and its senders tell each other. Secrets stand in an errand alone, and that goes sealed."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from batchcredit.engine.judgement import Judged
from batchcredit.engine.meter import Meter
from batchcredit.engine.queue import Job
from batchcredit.ledger.base import BatchRecord
from batchcredit.runner.options import SendOptions
from batchcredit.settings import Settings


@dataclass(frozen=True, slots=True)
class Introduction:
    """Who a sender is, and the key with which its errand is sealed."""

    version: str
    host: str
    pid: int
    public: bytes


@dataclass(frozen=True, slots=True)
class Errand:
    """What a sender is to do: send through `profiles` what is left of a batch, until `driver` has gone.
    `senders` share what a lane may have in flight. `listens`: somebody wants to hear of each row. Holds every
    secret of the settings."""

    settings: Settings = field(repr=False)
    how: SendOptions = field(repr=False)
    ledger_url: str = field(repr=False)
    batch: BatchRecord
    run: int
    driver: int
    profiles: tuple[str, ...]
    live: bool
    listens: bool
    senders: int = 1

    def packed(self) -> bytes:
        """As bytes that are to be sealed."""
        return pickle.dumps(self)

    @classmethod
    def unpacked(cls, packed: bytes) -> "Errand":
        """Whoever can give us bytes to unpack could have Ray run any code here already."""
        return cast("Errand", pickle.loads(packed))  # noqa: S301


@dataclass(frozen=True, slots=True)
class Heard:
    """How one attempt ended."""

    profile: str
    job: Job
    judged: Judged
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Told:
    """What a sender did so far, by profile, and what it had to say since it was asked last: sentences, each
    with whether it is a warning, and endings. `unsaid` of them were too many to be kept."""

    meters: Mapping[str, Meter] = field(default_factory=dict)
    said: tuple[tuple[str, bool], ...] = ()
    heard: tuple[Heard, ...] = ()
    unsaid: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """How a sender ended: why rows are left, as the ledger keeps it, or ""; and what went wrong, with its
    word, where anything did."""

    told: Told
    left: str = ""
    problem: str = ""
    reason: str = ""
