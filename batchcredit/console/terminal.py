"""The console of people: tables, a bar for each lane, and the next command to type."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console as RichConsole
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from batchcredit.console import bars
from batchcredit.console.base import EVERYTHING, NORMAL, QUIET, Console, agreed, agreed_to_total
from batchcredit.console.board import Board
from batchcredit.console.ending import said_of
from batchcredit.console.progress import Observer
from batchcredit.engine.judgement import Judged
from batchcredit.engine.lane import Lane
from batchcredit.engine.loop import now
from batchcredit.engine.queue import Job
from batchcredit.errors import BatchcreditError
from batchcredit.ledger.base import LaneIdentity
from batchcredit.reader import Example, Survey
from batchcredit.runner.attendant import Trial
from batchcredit.runner.intake.guard import at
from batchcredit.runner.outgoing.lanes import host_of
from batchcredit.runner.plan import LanePlan, Plan
from batchcredit.runner.summary import Summary
from batchcredit.transfer import STATUSES, Event
from batchcredit.wording import in_money, in_words, visible

#: Where nobody watches a bar, a line of progress comes so often; a bar is drawn no more often than that.
EVERY_S, DRAWN_S = 60.0, 0.2

_COLOURS = {
    "credited": "green",
    "already_credited": "green",
    "rejected": "red",
    "in_doubt": "bold yellow",
    "not_sent": "yellow",
    "invalid": "red",
    "cancelled": "dim",
}


class TerminalConsole(Console):
    """Writes to stderr; on a terminal in colour and with bars, elsewhere in plain lines."""

    def __init__(self, level: int = NORMAL) -> None:
        self.level = level
        self._out = RichConsole(file=sys.stderr, highlight=False, soft_wrap=not sys.stderr.isatty())
        self._draws = self._out.is_terminal and not self._out.is_dumb_terminal
        self._board = Board(self._out)
        self._observer = Observer()
        self._step = ""
        self._last_s = time.monotonic()

    def note(self, text: str) -> None:
        if self.level > QUIET:
            self._say(text)

    def _say(self, text: str) -> None:
        self._print(Text(visible(text)))

    def _print(self, what: RenderableType, **how: Any) -> None:
        """In the place of what was drawn, which comes again below it."""
        self._board.erase()
        self._out.print(what, **how)

    def warn(self, text: str) -> None:
        self._print(Text.assemble(("warning: ", "yellow"), visible(text)))

    def show_survey(self, path: Path, survey: Survey) -> None:
        for word, problem in survey.problems.items():
            self._print(Text.assemble((word, "bold red"), f" ({problem.count} {_rows(problem.count)})"))
            for example in problem.examples:
                self._say(f"  {_bad_row(example)}")
            if problem.count > len(problem.examples):
                self._print(f"  ... and {problem.count - len(problem.examples)} more")

    def show_plan(self, plan: Plan) -> None:
        for warning in plan.warnings:
            self.warn(warning)
        if self.level == QUIET:
            return
        style = "bold white on red" if plan.mode == "LIVE" else "bold cyan"
        what = "goes on" if plan.resumed else "is new"
        self._print(
            Text.assemble((f" {plan.mode} ", style), f" batch {plan.batch} {what}: {plan.rows} rows to send")
        )
        self._show_lanes(plan)
        self._say(f"ledger   {plan.ledger.url} ({_ledger(plan)})")
        self._say(f"settings {plan.settings or 'none'}")
        self._say(f"results  {plan.results}")
        if plan.checked:
            self._say(f"plan     {plan.checked}")
        self._say(f"takes    {in_words(plan.seconds)} at the configured rate")

    def _show_lanes(self, plan: Plan) -> None:
        """A table, or where it is too wide the same in lines: whoever agrees to it has to see all of it."""
        table = Table(box=None, header_style="dim", pad_edge=False)
        for title in ("profile", "login", "host"):
            table.add_column(title)
        for title in ("rows", "amount", "own balance", "after"):
            table.add_column(title, justify="right")
        for lane in plan.lanes:
            login, host_name = visible(lane.identity.login), visible(host_of(lane.identity.base_url))
            for rows, amount, own, after in _money(lane):
                table.add_row(lane.profile, Text(login), Text(host_name), rows, amount, own, after)
        if self._fits(table):
            self._print(table)
            return
        for lane in plan.lanes:
            login, host_name = visible(lane.identity.login), visible(host_of(lane.identity.base_url))
            self._print(Text.assemble((lane.profile, "bold"), f": {login} at {host_name}"), soft_wrap=True)
            for rows, amount, own, after in _money(lane):
                self._print(Text(f"  rows {rows}, amount {amount}"), soft_wrap=True)
                then = f", after {after}" if after else ""
                self._print(Text(f"  own balance {own}{then}"), soft_wrap=True)

    def _fits(self, table: Table) -> bool:
        boundless = self._out.options.update(max_width=sys.maxsize)
        return self._out.measure(table, options=boundless).maximum <= self._out.width

    def accept_lane(self, profile: str, identity: LaneIdentity, settings: Path | None) -> bool:
        self.warn(f"this ledger has never sent through profile {profile}:")
        self._say(f"  login {identity.login} at {identity.base_url} (from {settings or 'the environment'})")
        return agreed("Is this the right account?")

    def approve(self, plan: Plan) -> bool:
        return agreed_to_total(plan)

    def go_on(self, trials: Sequence[Trial]) -> bool:
        table = Table("profile", "row", "account", "amount", "status", "before", "after", "message", box=None)
        for trial in trials:
            table.add_row(
                *(trial.profile, str(trial.row), _cell(trial.account), f"{trial.amount} {trial.currency}"),
                *(trial.status, _known(trial.balance_before), _known(trial.balance_after)),
                _cell(trial.message),
            )
        self._print(table)
        if any(trial.adds_up is False for trial in trials):
            self.warn("the balances do not add up")
        return agreed("The first rows have ended. Send the rest?")

    def hear(self, lane: Lane, job: Job, judged: Judged, duration_ms: int) -> None:
        outcome = judged.outcome
        if self.level >= EVERYTHING or outcome.event is not Event.CREDIT:
            said = f"{outcome.event} {outcome.reason} {outcome.http_status or ''} {outcome.message}"
            row = f"{lane.profile} row {job.transfer.row}"
            self._print(Text(visible(f"{row}: {said} ({duration_ms} ms)")), style="dim")

    def step(self, what: str, rows: int = 0, of: int = 0) -> None:
        if self.level == QUIET:
            return
        is_new, self._step = what != self._step, what
        if self._is_time() or (is_new and self._draws):
            self._tell(f"{bars.counted(what, rows, of)} ...")

    def _tell(self, text: str) -> None:
        if self._draws:
            self._board.show([Text(visible(text))])
        else:
            self._say(text)

    def progress(self, lanes: Sequence[Lane]) -> None:
        if self.level == QUIET:
            return
        standings = self._observer.look(lanes, now())
        if not self._is_time():
            return
        if self._draws:
            board = self._board
            board.show(bars.lines(standings, board.width, board.height, _marks()))
        else:
            self._say(bars.sentence(standings))

    def _is_time(self) -> bool:
        """Whether progress is to be shown again."""
        now_s = time.monotonic()
        if now_s - self._last_s < (DRAWN_S if self._draws else EVERY_S):
            return False
        self._last_s = now_s
        return True

    def progress_ends(self) -> None:
        """What is drawn goes: whoever reads on finds the sums in the summary."""
        self._board.erase()
        self._observer = Observer()

    def show_summary(self, summary: Summary) -> None:
        if self.level > QUIET:
            table = _sums(summary)
            if not self._fits(table):
                table = _sums(summary, in_one_column=True)
            self._print(Text.assemble("batch ", (visible(summary.batch), "bold")), soft_wrap=True)
            self._print(table)
        for text, whole, urgent in said_of(summary):
            if urgent or self.level > QUIET:
                self._print(Text.assemble(text, (visible(whole), "bold")), soft_wrap=bool(whole))

    def show_address(self, address: str) -> None:
        self._print(Text(f"live view: {address}"), soft_wrap=True)

    def show_error(self, error: BatchcreditError) -> None:
        self._print(Text.assemble(("batchcredit: ", "bold red"), visible(str(error))), soft_wrap=True)
        if error.cure:
            self._print(Text.assemble(("  -> ", "bold"), visible(error.cure)), soft_wrap=True)


def _cell(text: str) -> Text:
    return Text(visible(text))


def _money(lane: LanePlan) -> Iterator[tuple[str, str, str, str]]:
    """By currency: rows, their amount, and the own balance before and after, as far as it is known."""
    own = lane.balance
    for currency, total in lane.totals.items():
        before = f"{in_money(own.amount)} {own.currency}".rstrip() if own else "not known"
        after = in_money(own.amount - total.amount) if own and own.currency == currency else ""
        yield f"{total.rows:,}", f"{in_money(total.amount)} {currency}", before, after


def _rows(number: int) -> str:
    return "row" if number == 1 else "rows"


def _bad_row(example: Example) -> str:
    """Where it is, what stands there with the cell at fault in quotes, and the cure."""
    cells = {"account": example.account, "amount": example.amount}
    if example.column:
        cells[example.column] = repr(example.detail)
    said = ", ".join(f"{name} {cell}" for name, cell in cells.items())
    return f"{at(example.row, example.line)}: {said}. {example.cure}"


def _sums(summary: Summary, *, in_one_column: bool = False) -> Table:
    """Rows and amounts by status, a column for each currency; or one for all, where there are many."""
    currencies = sorted(summary.amounts)
    table = Table("status", box=None, header_style="dim", pad_edge=False)
    for title in ("rows", *(["amount"] if in_one_column else currencies)):
        table.add_column(title, justify="right", no_wrap=True)

    def add(status: Text, rows: int, amounts: Sequence[Decimal | None]) -> None:
        cells = [_known(amount) for amount in amounts]
        if in_one_column:
            named = zip(cells, currencies, strict=True)
            cells = ["\n".join(f"{cell} {currency}" for cell, currency in named if cell)]
        table.add_row(status, f"{rows:,}", *cells)

    for status in STATUSES:
        if number := summary.counts.get(status):
            amounts = [summary.amounts[currency].get(status) for currency in currencies]
            add(Text(status, _COLOURS[status]), number, amounts)
    sums = [sum(summary.amounts[currency].values(), Decimal(0)) for currency in currencies]
    add(Text("all"), summary.rows, sums)
    return table


def _marks() -> tuple[str, str]:
    """What bars are made of here. Python itself sets LC_CTYPE where the locale knows only ASCII."""
    locale = os.environ.get("LC_ALL") or os.environ.get("LANG", "")
    return bars.BLOCKS if "UTF" in locale.upper() else bars.ASCII


def _ledger(plan: Plan) -> str:
    ledger = plan.ledger
    if not ledger.batches:
        return "new"
    batches = "1 batch" if ledger.batches == 1 else f"{ledger.batches} batches"
    return f"id {ledger.id}, {batches}, newest {ledger.newest}"


def _known(amount: Decimal | None) -> str:
    return "" if amount is None else in_money(amount)
