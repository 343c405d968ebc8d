"""One round of torture for senders that share a PostgreSQL: they, their lines, and the server itself."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from signal import SIGCONT, SIGINT, SIGSTOP, SIGTERM

from command_line import CommandLine, Ended, Running
from mortal_provider import MortalProvider
from postgres_proxy import PostgresProxy
from postgres_server import Server
from torture_batches import TorturedBatch
from torture_blows import ENDS_WITHIN_S
from torture_truth import assert_no_false_credit, assert_whole
from torturer import ENDS, Round, Toll, _not_sent

#: So many commands send at a time.
CROWD = 3

#: Why a command may end that could not go on.
LOSSES = {"ledger_lost", "ledger_unusable"}


@dataclass(frozen=True, slots=True)
class Sender:
    """A command under way."""

    batch: TorturedBatch
    running: Running


class SendersRound(Round):
    """A round whose batches are sent by a crowd; an AssertionError where a promise is broken."""

    def __init__(
        self,
        seed: int,
        cli: CommandLine,
        provider: MortalProvider,
        server: Server,
        line: PostgresProxy,
        toll: Toll,
        *,
        batches: int,
        rows: int,
    ) -> None:
        self._server = server
        self._line = line
        self._url = server.fresh_url()
        self._crowd: list[Sender] = []
        super().__init__(seed, cli, provider, toll, batches=batches, rows=rows)
        cli.env["BATCHCREDIT_LEDGER"] = self._url
        if self._dice.random() < 0.5:
            self._limit()

    def _limit(self) -> None:
        """Limits that are never reached: with them each claim waits for the sums of all."""
        settings = self._cli.folder / "batchcredit.toml"
        limits = ('max_total = { USD = "100000000" }', 'max_day = { KES = "100000000" }')
        settings.write_text("\n".join((settings.read_text(), "[limits]", *limits)) + "\n")

    @property
    def _ledger_url(self) -> str:
        return self._url

    def _torment(self, batch: TorturedBatch, blows_most: int) -> int:
        """Let a crowd send, with so many blows, each followed by new senders; then hear all of them out."""
        blows = 0
        while blows < blows_most and self._unfinished:
            self._gather()
            self._wait_for_a_moment(self._dice.choice(self._crowd).running)
            name, strike = self._dice.choices(_BLOWS, _WEIGHTS)[0]
            strike(self)
            self._toll.blows[name] += 1
            blows += 1
            self._part_with_those_that_ended()
        while self._crowd:
            self._crowd[0].running.end(ENDS_WITHIN_S)
            self._part_with_those_that_ended()
        return max(blows, 1)

    def _gather(self) -> None:
        while len(self._crowd) < CROWD:
            batch = self._dice.choice(self._unfinished or self._batches)
            port = self._dice.choice((self._server.port, self._line.port))
            self._cli.env["BATCHCREDIT_LEDGER"] = self._url.replace(f":{self._server.port}/", f":{port}/")
            self._crowd.append(Sender(batch, self._start(batch)))
            self._cli.env["BATCHCREDIT_LEDGER"] = self._url

    def _part_with_those_that_ended(self) -> None:
        for sender in [sender for sender in self._crowd if sender.running.has_ended]:
            self._crowd.remove(sender)
            ended = sender.running.end()
            self._note(ended)
            self._check_remains(sender.batch)
            done = ended.stdout and ended.code in ENDS and not _not_sent(sender.batch.results())
            if done and sender.batch in self._unfinished:
                self._unfinished.remove(sender.batch)

    def _note(self, ended: Ended) -> None:
        """Who sends outlives each loss; who has not begun, only reads, or is asked to end, does not."""
        if ended.code != 5:
            super()._note(ended)
            return
        assert ended.json["error"]["reason"] in LOSSES, ended
        self._toll.ends[5] += 1
        self._interrupted_most += self._width

    def _check_remains(self, batch: TorturedBatch) -> None:
        """Nothing was paid twice, and results are whole, whoever wrote them last."""
        if batch.results_path.exists():
            results = batch.results()
            assert_whole(batch, results)
            assert_no_false_credit(results, self._paid())

    # what is done to them

    def _victim(self) -> Running:
        return self._dice.choice(self._crowd).running

    def _moment_s(self, most_s: float) -> float:
        return self._dice.uniform(0, most_s**0.5) ** 2  # mostly short

    def kill(self) -> None:
        """kill -9 of a sender."""
        self._victim().kill()
        self._interrupted_most += self._width

    def terminate(self) -> None:
        self._victim().signal(self._dice.choice((SIGTERM, SIGINT)))

    def terminate_twice(self) -> None:
        victim = self._victim()
        victim.signal(SIGTERM)
        time.sleep(self._moment_s(0.1))
        victim.signal(SIGTERM)
        self._interrupted_most += self._width

    def freeze(self) -> None:
        self._freeze(lambda: None)

    def freeze_and_end_its_session(self) -> None:
        """By the server, which ends those of others as well; they come back at once."""
        self._freeze(self._server.end_sessions)

    def freeze_and_kill(self) -> None:
        victim = self._freeze(self._server.end_sessions, goes_on=False)
        victim.kill()
        self._interrupted_most += self._width

    def _freeze(self, meanwhile: Callable[[], object], *, goes_on: bool = True) -> Running:
        victim = self._victim()
        victim.signal(SIGSTOP)
        time.sleep(self._moment_s(1))
        meanwhile()
        time.sleep(self._moment_s(4))
        if goes_on:
            victim.signal(SIGCONT)
        self._unsettled_most += self._width  # its requests may have been too long on their way
        return victim

    def evict(self) -> None:
        """A sender that does not hang at all: it ends by itself, with what it has heard."""
        if senders := self._cli("senders", "--json").json.get("senders"):
            number = self._dice.choice(senders)["sender"]
            ended = self._cli("evict", number, "--note", "torture", "--yes", "--json")
            assert ended.code == 0 or ended.refusal == (2, "no_sender"), ended
        self._unsettled_most += self._width

    def end_sessions(self) -> None:
        self._server.end_sessions()

    def restart_the_server(self) -> None:
        how = self._dice.choice(("immediate", "fast", "kill9"))
        self._server.kill9() if how == "kill9" else self._server.stop(how)  # type: ignore[arg-type]
        time.sleep(self._moment_s(2))
        self._server.start()

    def stall_the_line(self) -> None:
        self._line.stall(self._dice.choice(("server", "client", "both")))
        time.sleep(self._moment_s(4))
        if self._dice.random() < 0.5:
            self._line.reset()
        self._line.flow()

    def reset_the_line(self) -> None:
        self._line.refuse()
        self._line.reset()
        time.sleep(self._moment_s(3))
        self._line.accept()

    def kill_the_providers(self) -> None:
        self._provider.kill()
        time.sleep(self._moment_s(2))
        self._provider_again()
        self._unsettled_most += self._width * len(self._crowd)


_WEIGHED: tuple[tuple[str, Callable[[SendersRound], None], int], ...] = (
    ("kill", SendersRound.kill, 8),
    ("term", SendersRound.terminate, 2),
    ("term twice", SendersRound.terminate_twice, 1),
    ("freeze", SendersRound.freeze, 1),
    ("freeze, end all sessions", SendersRound.freeze_and_end_its_session, 4),
    ("freeze, end all sessions, kill", SendersRound.freeze_and_kill, 2),
    ("evict", SendersRound.evict, 2),
    ("end all sessions", SendersRound.end_sessions, 4),
    ("restart PostgreSQL", SendersRound.restart_the_server, 6),
    ("stall a line", SendersRound.stall_the_line, 3),
    ("reset a line", SendersRound.reset_the_line, 3),
    ("kill the providers", SendersRound.kill_the_providers, 2),
)
_BLOWS = [(name, strike) for name, strike, _ in _WEIGHED]
_WEIGHTS = [weight for _, _, weight in _WEIGHED]
