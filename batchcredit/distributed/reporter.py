"""Whoever answers for a person in a sender: keeps what the driver will ask for."""

import threading
from collections import deque
from collections.abc import Sequence
from typing import TypeVar

from batchcredit.distributed.messages import Heard, Told
from batchcredit.engine.judgement import Judged
from batchcredit.engine.lane import Lane
from batchcredit.engine.meter import Meter
from batchcredit.engine.queue import Job
from batchcredit.runner.attendant import Nobody

T = TypeVar("T")

#: So many sentences and endings are kept until the driver asks.
SAID_MOST = 100
HEARD_MOST = 200


class Reporter(Nobody):
    """Written to by the sender's loop, asked from any thread. Nobody sits here; the last numbers stay."""

    def __init__(self) -> None:
        self._listens = False
        self._lock = threading.Lock()
        self._said: deque[tuple[str, bool]] = deque()
        self._heard: deque[Heard] = deque()
        self._unsaid = 0
        self._meters: dict[str, Meter] = {}

    @property
    def listens(self) -> bool:
        return self._listens

    def listen(self, *, asked: bool) -> None:
        """Whether somebody wants to hear of each row."""
        self._listens = asked

    def told(self) -> Told:
        """What is new since this was called last."""
        with self._lock:
            told = Told(self._meters, tuple(self._said), tuple(self._heard), self._unsaid)
            self._said.clear()
            self._heard.clear()
            self._unsaid = 0
        return told

    def note(self, text: str) -> None:
        self._keep(self._said, (text, False), SAID_MOST)

    def warn(self, text: str) -> None:
        self._keep(self._said, (text, True), SAID_MOST)

    def hear(self, lane: Lane, job: Job, judged: Judged, duration_ms: int) -> None:
        self._keep(self._heard, Heard(lane.profile, job, judged, duration_ms), HEARD_MOST)

    def _keep(self, kept: deque[T], new: T, most: int) -> None:
        with self._lock:
            if len(kept) == most:
                kept.popleft()
                self._unsaid += 1
            kept.append(new)

    def progress(self, lanes: Sequence[Lane]) -> None:
        meters = {lane.profile: Meter.sum([lane.meter]) for lane in lanes}  # ours go on while these travel
        with self._lock:
            self._meters = meters
