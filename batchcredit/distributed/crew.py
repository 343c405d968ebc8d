"""The senders of one run, as Ray knows them: started, asked, replaced, ended."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import ray
from ray.exceptions import RayError

from batchcredit.distributed.messages import Errand, Heard, Introduction, Report, Told
from batchcredit.distributed.sealed import sealed
from batchcredit.distributed.sender import Sender
from batchcredit.engine.meter import Meter

#: A look lasts so long, and each sender is asked so often.
LOOK_S, ASK_S = 0.2, 0.5

#: A person is told of senders that wait for a place after so long.
WAITING_S = 10.0

#: For each sender that was asked for, so many may follow one after another.
REPLACED_MOST = 5

#: Once all others have ended, a sender that has said nothing for so long is ended: nobody knows what it does.
SILENT_S = 60.0

#: When told to end at once, they have so long to report.
AT_ONCE_S = 10.0


@dataclass(slots=True)
class Member:
    """One sender. `work` is what it will answer: who it is, and then how it ended."""

    number: int
    actor: Any
    work: Any
    since_s: float
    name: str
    told: Told = field(default_factory=Told)
    asked: Any = None
    asked_s: float = 0.0
    is_placed: bool = False
    is_stopped: bool = False

    def is_silent(self, now_s: float) -> bool:
        """Whether it has not answered for long."""
        return self.asked is not None and now_s - self.asked_s > SILENT_S


class Crew:
    """Up to `senders` at a time, each on the `errand` of the moment. Used by one thread at a time; no call
    takes long. `place_s`: so long a sender waits for a place on the cluster."""

    def __init__(self, name: str, senders: int, errand: Callable[[], Errand], place_s: float) -> None:
        self._name = name
        self._senders = senders
        self._errand = errand
        self._place_s = place_s
        self._living: list[Member] = []
        self._ended: list[Told] = []
        self._said: list[tuple[str, bool]] = []
        self._heard: list[Heard] = []
        self._number = 0
        self._stopping = False
        self._told_of_waiting = False
        self._nothing_left_s = float("-inf")
        self._unfilled = 0  # places whose sender went before its time, with nobody to follow

    @property
    def left(self) -> str:
        """The reason why rows are left, where senders went before their time and none could follow."""
        return "senders_lost" if self._unfilled else ""

    def start(self, now_s: float) -> None:
        """Ask Ray for as many as there are to be."""
        for _ in range(self._senders):
            self._add(now_s)

    def look(self, now_s: float, *, stopping: bool) -> bool:
        """Hear what is new, and act on it; whether any is left."""
        if stopping and not self._stopping:
            self._stop()
        answers = [ref for member in self._living for ref in (member.work, member.asked) if ref is not None]
        ready, _ = ray.wait(answers, num_returns=len(answers), timeout=LOOK_S)
        for member in list(self._living):
            if member.asked in ready:
                self._hear(member)
            if member.work in ready:
                self._went_on(member, now_s)
            elif member.is_placed and member.asked is None and now_s - member.asked_s >= ASK_S:
                member.asked, member.asked_s = member.actor.tell.remote(), now_s
        self._look_after_waiting(now_s)
        self._look_after_silent(now_s)
        return bool(self._living)

    def end_at_once(self) -> None:
        """Have all of them end now, whatever is in flight; who does not is killed."""
        self._stopping = True
        for member in self._living:
            member.actor.stop.remote()
            member.actor.stop.remote()
        reports = [member.work for member in self._living if member.is_placed]
        ready, _ = ray.wait(reports, num_returns=len(reports), timeout=AT_ONCE_S) if reports else ([], [])
        for member in list(self._living):
            if member.work in ready:
                self._went_on(member, 0.0)
        self.dismiss()

    def dismiss(self) -> None:
        """Kill whoever is left."""
        for member in list(self._living):
            self._drop(member)

    def meters(self) -> dict[str, Meter]:
        """What all of them did together, by profile."""
        told = [*self._ended, *(member.told for member in self._living)]
        profiles = {profile for one in told for profile in one.meters}
        return {
            profile: Meter.sum(one.meters[profile] for one in told if profile in one.meters)
            for profile in profiles
        }

    def taken(self) -> tuple[list[tuple[str, bool]], list[Heard]]:
        """What was said and heard since this was called last."""
        said, heard = self._said, self._heard
        self._said, self._heard = [], []
        return said, heard

    def _add(self, now_s: float) -> None:
        self._number += 1
        actor = _actor(f"{self._name}-{self._number}").remote()
        work = actor.introduce.remote()
        self._living.append(Member(self._number, actor, work, now_s, f"sender {self._number}"))

    def _went_on(self, member: Member, now_s: float) -> None:
        try:
            answer = ray.get(member.work)
        except RayError:
            absent = "could not be started: is batchcredit[ray] installed on each machine of the cluster?"
            died = "has died: what it had in flight is in doubt"
            self._lose(member, died if member.is_placed else absent, now_s)
            return
        if isinstance(answer, Introduction):
            self._send_out(member, answer, now_s)
        else:
            self._bring_home(member, answer, now_s)

    def _send_out(self, member: Member, answer: Introduction, now_s: float) -> None:
        member.name = f"sender {member.number} ({answer.host})"
        ours = version("batchcredit")
        if answer.version != ours:
            self._warn(f"{member.name} has batchcredit {answer.version}, and the driver {ours}")
            self._drop(member)
            self._unfilled += 1
            return
        member.is_placed, member.asked_s = True, now_s
        member.work = member.actor.send.remote(sealed(self._errand().packed(), answer.public))

    def _bring_home(self, member: Member, report: Report, now_s: float) -> None:
        self._keep(member, report.told)
        self._drop(member)
        if report.problem:
            self._warn(f"{member.name}: {report.problem}")
        if self._stopping:
            return
        if report.left or report.reason == "evicted":  # as when its driver's connection was made anew
            self._warn(f"{member.name} has ended before its time")
            self._replace(now_s)
        elif report.problem:
            self._unfilled += 1
        else:
            self._nothing_left_s = now_s

    def _hear(self, member: Member) -> None:
        with suppress(RayError):  # whether it is dead, its work will tell
            self._keep(member, ray.get(member.asked))
        member.asked = None

    def _keep(self, member: Member, told: Told) -> None:
        member.told = told
        self._said += [(f"{member.name}: {text}", is_warning) for text, is_warning in told.said]
        self._heard += told.heard
        if told.unsaid:
            self._said.append((f"{member.name}: {told.unsaid} more messages", False))

    def _lose(self, member: Member, what: str, now_s: float) -> None:
        self._drop(member)
        self._warn(f"{member.name} {what}")
        if not self._stopping:
            self._replace(now_s)

    def _replace(self, now_s: float) -> None:
        if self._number < self._senders * (1 + REPLACED_MOST):
            self._add(now_s)
            return
        self._unfilled += 1
        self._warn("too many senders have gone: no other one takes the place")

    def _drop(self, member: Member) -> None:
        """Whatever it is doing, it does no more."""
        self._living.remove(member)
        self._ended.append(member.told)
        ray.kill(member.actor)

    def _stop(self) -> None:
        self._stopping = True
        for member in list(self._living):
            if member.is_placed:
                member.actor.stop.remote()
            else:
                self._drop(member)

    def _look_after_waiting(self, now_s: float) -> None:
        waiting = [member for member in self._living if not member.is_placed]
        is_alone = len(waiting) == len(self._living)
        for member in waiting:
            if is_alone and member.since_s <= self._nothing_left_s:
                self._drop(member)
            elif now_s - member.since_s > self._place_s:
                self._drop(member)
                self._unfilled += 1
                self._warn(f"{member.name} found no place on the cluster in {self._place_s:.0f} s")
        if waiting and not self._told_of_waiting and now_s - waiting[0].since_s > WAITING_S:
            self._told_of_waiting = True
            self._warn(f"{len(waiting)} of {self._senders} senders wait for a place on the cluster")

    def _look_after_silent(self, now_s: float) -> None:
        if all(member.is_silent(now_s) for member in self._living):
            for member in list(self._living):
                self._lose(member, f"has said nothing for {SILENT_S:.0f} s, and was ended", now_s)

    def _warn(self, text: str) -> None:
        self._said.append((text, True))


def _actor(name: str) -> Any:
    """Actors that outlive their driver, to hear out what is in flight. Ray restarts and repeats nothing."""
    return ray.remote(Sender).options(
        name=name,
        lifetime="detached",
        max_restarts=0,
        max_task_retries=0,
        max_concurrency=4,
        num_cpus=1,
        scheduling_strategy="SPREAD",
    )
