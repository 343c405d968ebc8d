"""One round of torture: batches of one ledger, blows at random moments, and the truth about it afterwards.

The seed decides batches, faults and blows. The moments are those of a real machine, so a seed repeats what
was tried, and not to the microsecond what happened.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from signal import SIGINT, SIGKILL, SIGTERM

from books import Payment, Row, payment
from command_line import CommandLine, Ended, Running, wait_for
from mortal_provider import MortalProvider
from torture_batches import TorturedBatch, endings, torture_batches
from torture_blows import BLOWS, ENDS_WITHIN_S, Victims
from torture_truth import assert_no_false_credit, assert_true, assert_whole, doubtful, paid

from batchcredit.ledger import registry
from batchcredit.ledger.base import Ledger, Verdict
from batchcredit.sandbox import SandboxSettings
from batchcredit.sandbox.faults import Fault
from batchcredit.transfer import State

LANES = 2
TIMEOUT_S = 3
PASSES_MOST = 6

#: What the providers do by themselves, to so many of the requests. 307 and 403 halt a lane for a run.
FAULTS = {
    **dict.fromkeys((Fault.CLOSE_AFTER, Fault.RESET_AFTER, Fault.CLOSE_BEFORE, Fault.RESET_BEFORE), 0.004),
    **dict.fromkeys((Fault.HALF_ANSWER, Fault.HALF_HEAD, Fault.GARBAGE, Fault.NOT_JSON), 0.002),
    **dict.fromkeys((Fault.STATUS_500_BEFORE, Fault.STATUS_500_AFTER, Fault.STATUS_503), 0.003),
    **dict.fromkeys((Fault.WRONG_SUM, Fault.WRONG_USER, Fault.INNER_ERROR, Fault.HTML_200), 0.001),
    **dict.fromkeys((Fault.LATE, Fault.LATE_BEFORE, Fault.REDIRECT_307, Fault.STATUS_403), 0.001),
    Fault.STATUS_429: 0.004,
}
HARMFUL = SandboxSettings(fault_rates=FAULTS, latency_s=0.02, jitter_s=0.04, late_s=TIMEOUT_S + 1.0)

#: How a command ends that has sent something, and why one may be refused that has not.
ENDS = {0, 1, 3, 4}
REFUSALS = {"stopped", "unreachable"}

#: How Python ends when a signal comes before there is anybody of ours to tell of it.
UNTOLD = {1, 2}

#: How a process ends that does not listen to signals, or not yet, or not any more because it was refused.
DEAF = {-SIGTERM, -SIGINT}


@dataclass(slots=True)
class Toll:
    """What was done, and what came of it."""

    rounds: int = 0
    rows: int = 0
    executions: int = 0
    in_doubt: int = 0
    executed_in_doubt: int = 0
    withheld: int = 0
    blows: Counter[str] = field(default_factory=Counter)
    ends: Counter[int] = field(default_factory=Counter)

    def __str__(self) -> str:
        blows = "\n".join(f"  {number:5} x {name}" for name, number in self.blows.most_common())
        ends = ", ".join(f"{number} x {code}" for code, number in sorted(self.ends.items()))
        return (
            f"{self.rounds} rounds, {self.blows.total()} blows\n{blows}\n"
            f"{self.rows} rows, {self.executions} executions, none twice\n"
            f"{self.in_doubt} in doubt until they were resolved, {self.executed_in_doubt} of them executed\n"
            f"{self.withheld} intents too old to be sent\n"
            f"commands by exit code: {ends}"
        )


class Round:
    """Batches, a ledger and providers of its own; an AssertionError where a promise is broken."""

    def __init__(
        self, seed: int, cli: CommandLine, provider: MortalProvider, toll: Toll, *, batches: int, rows: int
    ) -> None:
        self._dice = random.Random(seed)
        self._cli = cli
        self._provider = provider
        self._toll = toll
        self._batches = torture_batches(self._dice, cli.folder, batches, rows)
        self._unfinished = list(self._batches)
        self._width = self._configure()
        self._interrupted_most = 0
        self._unsettled_most = 0

    def _configure(self) -> int:
        """Either wire, with a rate or without; how many requests may be under way."""
        concurrency = self._dice.choice((3, 6, 12))
        lane: dict[str, object] = {"concurrency": concurrency, "timeout": TIMEOUT_S, "in_doubt_limit": 1000}
        wire = {"transport": self._dice.choice(("direct", "direct", "httpx"))}
        rate = {"rate": self._dice.choice(("none", "200/s"))}
        self._cli.configure(self._provider.address, clicksend=lane | wire, fastmessage=lane | rate)
        return LANES * concurrency

    def run(self, blows: int) -> None:
        """Strike so often, or until all batches have ended; then look at what is left, and make it good."""
        self._provider_again()
        while blows > 0 and self._unfinished:
            blows -= self._torment(self._dice.choice(self._unfinished), blows)
        self._come_to_rest()
        self._check_doubt()
        self._resolve()
        self._come_to_rest()
        self._check_all_is_settled()

    def _provider_again(self) -> None:
        """Another seed in each life, since each counts requests from the start."""
        self._provider.start(HARMFUL.model_copy(update={"seed": self._dice.randrange(10**6)}))

    # One command, and what happens to it

    def _torment(self, batch: TorturedBatch, blows_most: int) -> int:
        """Run a batch, with blows until it ends; how many there were, and 1 where it was quicker."""
        running = self._start(batch)
        blows = 0
        while blows < blows_most and not running.has_ended:
            self._wait_for_a_moment(running)
            if not running.has_ended:
                self._strike(running)
                blows += 1
        ended = running.end(ENDS_WITHIN_S)
        self._check_remains(batch)
        self._note(ended)
        if ended.stdout and ended.code in ENDS and not _not_sent(batch.results()):
            self._unfinished.remove(batch)
        return max(blows, 1)

    def _start(self, batch: TorturedBatch) -> Running:
        hurry = ("--skip-preflight",) if self._dice.random() < 0.5 else ()
        return self._cli.start(*_command(batch), *hurry)

    def _wait_for_a_moment(self, running: Running) -> None:
        """Any moment from the start on; mostly one when requests are under way."""
        mean_s = 0.5
        if self._dice.random() < 0.7:
            self._wait_for_a_request(running)
            mean_s = 0.1
        time.sleep(self._dice.expovariate(1 / mean_s))

    def _wait_for_a_request(self, running: Running) -> None:
        """At the most 3 s: the providers may be dead, or a lane may pause."""
        before, deadline = self._provider.written, time.monotonic() + 3
        while self._provider.written == before and not running.has_ended and time.monotonic() < deadline:
            time.sleep(0.005)

    def _strike(self, running: Running) -> None:
        blow = self._dice.choices(BLOWS, [blow.weight for blow in BLOWS])[0]
        lasts_s = self._dice.uniform(0, blow.lasts_most_s) ** 2 / (blow.lasts_most_s or 1)  # mostly short
        blow.strike(Victims(running, self._provider, self._provider_again), lasts_s)
        self._toll.blows[blow.name] += 1
        self._unsettled_most += self._width * blow.unsettles

    # What a command leaves behind

    def _note(self, ended: Ended) -> None:
        self._toll.ends[ended.code] += 1
        self._toll.withheld += ended.stderr.count('"stale_intent"')
        if ended.code in DEAF or (ended.code in UNTOLD and not ended.stdout):
            assert '"event": "plan"' not in ended.stderr, ended  # nothing was sent
        elif ended.code == 2:
            assert ended.refusal[1] in REFUSALS, ended
        else:
            assert ended.code in ENDS | {-SIGKILL}, ended

    def _check_remains(self, batch: TorturedBatch) -> None:
        """Nothing was paid twice, no more is under way than there was room for, and results are whole."""
        executed = self._paid()
        sending = self._sending()
        assert sending <= self._width
        self._interrupted_most += sending
        if batch.results_path.exists():
            results = batch.results()
            assert_whole(batch, results)
            assert_no_false_credit(results, executed)

    def _paid(self) -> set[Payment]:
        return paid(self._provider.entries("executed"))

    def _sending(self) -> int:
        """How many rows a dead command left in the middle."""
        if not registry.exists(self._ledger_url):
            return 0
        ledger = registry.read(self._ledger_url)
        try:
            tallies = [tally for batch in ledger.batches() for tally in ledger.tallies(batch.id)]
        finally:
            ledger.close()
        return sum(tally.rows for tally in tallies if tally.state is State.SENDING)

    @property
    def _ledger_url(self) -> str:
        return f"sqlite:///{self._cli.ledger}"

    # When all is quiet

    def _come_to_rest(self) -> None:
        """With providers that do no harm, run all until nothing is left but what waits for a row in doubt."""
        self._provider.start(SandboxSettings())
        wait_for(self._provider.answers)
        for _ in range(PASSES_MOST):
            for batch in self._batches:
                self._note(self._cli(*_command(batch), timeout_s=ENDS_WITHIN_S))
                assert_whole(batch, batch.results())
            results = self._results()
            in_doubt = {payment(row) for row in results if row["status"] == "in_doubt"}
            left = [row for row in _not_sent(results) if payment(row) not in in_doubt]
            if not left:
                return
        raise AssertionError(f"still not sent after {PASSES_MOST} runs: {left[:3]}")

    def _results(self) -> list[Row]:
        return [row for batch in self._batches for row in batch.results()]

    def _check_doubt(self) -> None:
        """The truth, and no more doubt about it than there are reasons for."""
        results = self._results()
        assert_true(results, self._paid())
        reasons = Counter(row["reason"] for row in results if row["status"] == "in_doubt")
        self._toll.in_doubt += reasons.total()
        assert reasons["interrupted"] <= self._interrupted_most + self._unsettled_most, reasons
        explained_most = doubtful(self._provider.entries("arrived")) + self._unsettled_most
        assert reasons.total() - reasons["interrupted"] <= explained_most, reasons

    def _resolve(self) -> None:
        """Say of each row in doubt what the journal knows; no request is on its way any more."""
        executed = self._paid()
        with self._held_ledger() as ledger:
            for batch in ledger.batches():
                for row in ledger.rows(batch.id, 1, batch.rows):
                    if row.state is State.IN_DOUBT:
                        wanted = Payment(row.provider, row.account, Decimal(row.amount), row.currency)
                        verdict = "credited" if wanted in executed else "not-credited"
                        problem = ledger.resolve(
                            batch.id, [Verdict(row.row, verdict, "the journal")], quiet_ms=0
                        )
                        assert not problem
                        self._toll.executed_in_doubt += wanted in executed

    @contextmanager
    def _held_ledger(self) -> Iterator[Ledger]:
        ledger = registry.hold(self._ledger_url, "resolve")
        try:
            yield ledger
        finally:
            ledger.close()

    def _check_all_is_settled(self) -> None:
        """In the end everybody was paid who can be, and once."""
        executed = self._paid()
        results = self._results()
        assert_true(results, executed)
        unsettled = [row for row in results if row["status"] not in endings(row)]
        assert not unsettled, unsettled[:3]
        self._toll.rounds += 1
        self._toll.rows += len(results)
        self._toll.executions += len(executed)


def _not_sent(results: list[Row]) -> list[Row]:
    return [row for row in results if row["status"] == "not_sent"]


def _command(batch: TorturedBatch) -> tuple[object, ...]:
    """The same each time: whoever types it again goes on."""
    flags = ("--yes", "--json", "-vv", "--log-format", "json", "--skip-invalid", "--skip-repeats")
    return "run", batch.path, "--batch", batch.name, "--out", batch.results_path, *flags
