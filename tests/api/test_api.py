"""The same engine for programs: what it executes, what it refuses, and what it leaves alone."""

import asyncio
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_type_hints

import anyio
import polars as pl
import pytest
from books import assert_truthful, batch_rows
from command_line import HEADER, SECRETS

import batchcredit
from batchcredit.ledger import registry
from batchcredit.reader import Survey, examine
from batchcredit.sandbox import Control, SandboxAddress


class Shop:
    """A program's own corner: settings, a ledger, and what the providers executed for it."""

    def __init__(self, address: SandboxAddress, control: Control, folder: Path) -> None:
        self.folder = folder
        self.control = control
        self.ledger = f"sqlite:///{folder / 'ledger.db'}"
        self._seen = control.totals()["executions"]
        keys = {"rate": "none", "concurrency": 8, "timeout": 10}
        self.settings: Mapping[str, Any] = {
            "ledger": self.ledger,
            "providers": {
                "clicksend": {
                    **keys,
                    "kind": "clicksend",
                    "base_url": address.clicksend_url,
                    "username": folder.name,
                },
                "fastmessage": {
                    **keys,
                    "kind": "fastmessage",
                    "base_url": address.fastmessage_url,
                    "partner_id": folder.name,
                },
            },
        }

    def file(self, rows: list[tuple[str, ...]], name: str = "march.csv") -> Path:
        path = self.folder / name
        path.write_text("\n".join(map(",".join, [HEADER, *rows])) + "\n")
        return path

    def book(self) -> list[dict[str, Any]]:
        entries = self.control.book(self._seen)
        return [entry for entry in entries if entry["login"] == self.folder.name]

    def batches(self) -> list[str]:
        if not registry.exists(self.ledger):
            return []
        reader = registry.read(self.ledger)
        try:
            return [batch.name for batch in reader.batches()]
        finally:
            reader.close()


@pytest.fixture
def shop(address: SandboxAddress, control: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    monkeypatch.chdir(tmp_path)
    return Shop(address, control, tmp_path)


def truthful(shop: Shop, rows: list[tuple[str, ...]], frame: pl.DataFrame) -> dict[str, int]:
    """What the frame says, after it was held against what the providers executed."""
    told = [{name: str(value) for name, value in row.items()} for row in frame.to_dicts()]
    return dict(assert_truthful(rows, told, shop.book()))


async def test_a_run_tells_what_was_executed(shop: Shop) -> None:
    """The outcome and its frame agree with the providers' book; the same call again sends nothing."""
    rows = batch_rows(20, 5, refused_every=10)
    seen: list[batchcredit.Progress] = []
    outcome = await batchcredit.run(shop.file(rows), settings=shop.settings, progress=seen.append)
    assert (outcome.exit_code, outcome.counts) == (1, {"credited": 18, "rejected": 2})
    assert truthful(shop, rows, outcome.results()) == outcome.counts
    assert outcome.amounts["USD"]["credited"] == sum(
        Decimal(entry["amount"]) for entry in shop.book() if entry["currency"] == "USD"
    )
    assert outcome.results_path
    assert outcome.results_path.exists()
    assert outcome.plan
    assert outcome.plan.rows == 20
    assert (seen[-1].rows, seen[-1].done) == (20, 20)
    executed = len(shop.book())
    again = await batchcredit.run(shop.file(rows), settings=shop.settings)
    assert (again.counts, len(shop.book())) == (outcome.counts, executed)


async def test_a_frame_has_exact_types(shop: Shop) -> None:
    """Money is Decimal, times are UTC, accounts keep their zeros, and the input's other columns are there."""
    (shop.folder / "list.csv").write_text("childID,amount,note\n007shop,00012.50,first\n8shop,7,=1+1\n")
    outcome = await batchcredit.run("list.csv", settings=shop.settings, provider="fastmessage")
    frame = batchcredit.results(outcome.batch, settings=shop.settings)
    assert frame.select("account", "amount", "currency", "status", "note").rows() == [
        ("007shop", Decimal("12.50"), "KES", "credited", "first"),
        ("8shop", Decimal(7), "KES", "credited", "=1+1"),
    ]
    assert isinstance(frame["sent_at"][0], datetime)
    assert frame.schema["sent_at"] == pl.Datetime("ms", "UTC")
    assert frame.schema["balance_after"] == frame.schema["units"] == pl.Decimal(38, 12)


async def test_a_frame_is_a_batch_like_a_file(shop: Shop) -> None:
    """It is sent once, however often it is given; without a name it is refused."""
    rows = batch_rows(7, 3)
    frame = pl.DataFrame(rows, schema=list(HEADER), orient="row")
    with pytest.raises(batchcredit.RefusedError, match="no name"):
        await batchcredit.run(frame, settings=shop.settings)
    for _ in range(2):
        outcome = await batchcredit.run(frame, settings=shop.settings, batch="march")
        assert (outcome.batch, outcome.counts) == ("march", {"credited": 7})
        assert outcome.results_path == shop.folder / "march.results.parquet"
    assert len(shop.book()) == 7
    same = await batchcredit.check(shop.file(rows), settings=shop.settings)
    assert same.batch == "march"


async def test_a_frame_is_called_by_its_batch(shop: Shop) -> None:
    """Its bad rows are listed where they stay, a rehearsal takes no place from what is real, and no command
    is given for a file that is not there."""
    rows = [*batch_rows(3, 1), ("clicksend", "abc", "1", "USD", "")]
    frame = pl.DataFrame(rows, schema=list(HEADER), orient="row")
    with pytest.raises(batchcredit.RefusedError, match="1 of 4 rows are invalid") as refused:
        await batchcredit.run(frame, settings=shop.settings, batch="march")
    assert str(shop.folder / "march.invalid.csv") in (refused.value.cure or "")
    assert "abc" in (shop.folder / "march.invalid.csv").read_text()
    rehearsal: Any = {"sandbox": True, "ledger": f"sqlite:///{shop.folder / 'other.db'}"}
    for given in (rehearsal, {}):
        outcome = await batchcredit.run(
            frame, settings=shop.settings, batch="march", skip_invalid=True, **given
        )
        assert outcome.counts == {"credited": 3, "invalid": 1}
    assert len(shop.book()) == 3
    checked = await batchcredit.check(frame, settings=shop.settings, batch="march", skip_invalid=True)
    assert checked.next is None
    with pytest.raises(batchcredit.RefusedError, match="no name for a batch"):
        await batchcredit.run(frame, settings=shop.settings, batch="../march")


async def test_what_is_no_batch_is_said(shop: Shop) -> None:
    """A list, or a frame that is not read yet."""
    for wrong in ([1], pl.LazyFrame({"account": ["1"]})):
        with pytest.raises(TypeError, match=type(wrong).__name__):
            await batchcredit.run(wrong, settings=shop.settings, batch="march")  # type: ignore[arg-type]


async def test_check_and_resume(shop: Shop) -> None:
    """check moves nothing; resume sends the rest."""
    rows = batch_rows(7, 3)
    checked = await batchcredit.check(shop.file(rows), settings=shop.settings)
    assert (checked.exit_code, checked.counts, shop.batches()) == (0, {"not_sent": 7}, [])
    assert checked.plan
    assert {currency: total.rows for currency, total in checked.plan.totals.items()} == {"USD": 4, "KES": 3}
    begun = await batchcredit.run(shop.file(rows), settings=shop.settings, limit=2)
    assert (begun.exit_code, begun.counts) == (4, {"credited": 2, "not_sent": 5})
    done = await batchcredit.resume(settings=shop.settings)
    assert (done.exit_code, done.counts) == (0, {"credited": 7})
    assert truthful(shop, rows, done.results()) == {"credited": 7}


@pytest.mark.parametrize("answer", [False, None, 1, "yes"])
@pytest.mark.parametrize("later", [False, True])
async def test_only_true_is_an_approval(shop: Shop, answer: Any, later: bool) -> None:
    """Anything but True, at once or awaited, refuses, and nothing is kept."""

    async def slowly(plan: object) -> Any:
        await anyio.sleep(0.001)
        return answer

    with pytest.raises(batchcredit.RefusedError) as refused:
        await batchcredit.run(
            shop.file(batch_rows(2, 2)),
            settings=shop.settings,
            approve=slowly if later else lambda plan: answer,
        )
    assert refused.value.reason == "not_approved"
    assert (shop.book(), shop.batches()) == ([], [])


async def test_the_plan_is_shown_before_anything_is_sent(shop: Shop) -> None:
    """approve sees rows, sums and login while the book is still empty."""

    async def approve(plan: Any) -> bool:
        assert shop.book() == []
        assert plan.totals["USD"].amount == Decimal("1.01")
        return True

    rows = batch_rows(1, 1)
    outcome = await batchcredit.run(shop.file(rows), settings=shop.settings, approve=approve)
    assert outcome.counts == {"credited": 1}


@pytest.mark.parametrize(
    ("choices", "limits", "reason"),
    [
        ({}, {}, "no_limits"),
        ({"expect_total": {"USD": "1.00"}}, {}, "control_totals"),
        ({}, {"max_total": {"USD": "5"}}, "new_ledger"),
        ({"new_ledger": True}, {"max_total": {"USD": "5"}}, "new_lane"),
        ({"new_ledger": True, "accept_profile": "clicksend"}, {"max_total": {"USD": "1"}}, "limit_max_total"),
    ],
)
async def test_a_program_has_no_easier_way(
    shop: Shop,
    choices: dict[str, Any],
    limits: dict[str, Any],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A live run needs from a program all that it needs with --yes, whatever approve would say."""
    monkeypatch.delenv("BATCHCREDIT_PROVIDERS__FASTMESSAGE__APIKEY")
    live = {"kind": "clicksend", "username": "shop", "base_url": "https://pay.invalid"}
    settings = {"ledger": shop.ledger, "limits": limits, "providers": {"clicksend": live}}
    with pytest.raises(batchcredit.RefusedError) as refused:
        await batchcredit.run(
            shop.file(batch_rows(1, 1)), settings=settings, approve=lambda plan: True, **choices
        )
    assert refused.value.reason == reason


@pytest.mark.parametrize("choice", ["sandbx", "yes", "exit_code"])
async def test_an_unknown_keyword_is_a_slip(shop: Shop, choice: str) -> None:
    """As Python says it of any other call."""
    slip: Any = {choice: True}
    with pytest.raises(TypeError, match=choice):
        await batchcredit.run(shop.file(batch_rows(1, 1)), settings=shop.settings, **slip)


@pytest.mark.parametrize(
    "choice", [{"skip_preflight": "no"}, {"limit": "2"}, {"limit": True}, {"concurrency": 2.5}, {"batch": 3}]
)
async def test_a_value_of_another_type_is_a_slip(shop: Shop, choice: Any) -> None:
    """Text that says no would be a yes."""
    with pytest.raises(TypeError, match=next(iter(choice))):
        await batchcredit.run(shop.file(batch_rows(2, 1)), settings=shop.settings, **choice)
    assert shop.book() == []


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "much"])
async def test_a_total_is_a_number(shop: Shop, amount: str) -> None:
    """Nothing can be compared with what is none."""
    with pytest.raises(ValueError, match="no amount"):
        await batchcredit.run(
            shop.file(batch_rows(1, 1)), settings=shop.settings, expect_total={"USD": amount}
        )


async def test_a_plan_is_for_a_file(shop: Shop) -> None:
    """resume would not read it, and takes nothing as a bound that it does not hold to."""
    plan: Any = {"plan": "anything.json"}
    with pytest.raises(TypeError, match="plan"):
        await batchcredit.resume("march", settings=shop.settings, **plan)


async def test_a_total_is_never_a_float(shop: Shop) -> None:
    """A float has been rounded before we see it."""
    inexact: Any = {"USD": 1.01}
    with pytest.raises(TypeError, match="Decimal"):
        await batchcredit.run(shop.file(batch_rows(1, 1)), settings=shop.settings, expect_total=inexact)


async def until(condition: Callable[[], bool]) -> None:
    """Come back when it holds, within 20 seconds."""
    for _ in range(1000):
        if condition():
            return
        await anyio.sleep(0.02)
    raise AssertionError("not within 20 s")


async def _cancelled_by_task(run: Callable[[], Any], when: Callable[[], bool]) -> None:
    task = asyncio.create_task(run())
    await until(when)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _cancelled_by_scope(run: Callable[[], Any], when: Callable[[], bool]) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await until(when)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("cancel", [_cancelled_by_task, _cancelled_by_scope])
async def test_a_cancelled_run_hears_out_what_is_in_flight(shop: Shop, cancel: Any) -> None:
    """Nothing is in doubt, the results tell what was executed, and the same call sends the rest."""
    rows = batch_rows(60, 30)
    shop.control.set(latency_s=0.15)
    path = shop.file(rows)
    await cancel(lambda: batchcredit.run(path, settings=shop.settings), lambda: len(shop.book()) > 5)
    (name,) = shop.batches()
    told = batchcredit.results(name, settings=shop.settings)
    assert (shop.folder / f"{name}.results.csv").exists()
    counts = truthful(shop, rows, told)
    assert counts.keys() == {"credited", "not_sent"}
    assert counts["credited"] == len(shop.book())
    shop.control.set(latency_s=0)
    outcome = await batchcredit.run(path, settings=shop.settings)
    assert truthful(shop, rows, outcome.results()) == {"credited": 60}


async def test_cancelled_before_it_begins_it_ends(shop: Shop) -> None:
    """A scope that is over lets nothing begin, and is not waited for in vain."""
    task = asyncio.create_task(_in_a_scope_that_is_over(shop))
    done, _ = await asyncio.wait([task], timeout=20)
    assert done, "it never comes back"
    assert (shop.book(), shop.batches()) == ([], [])


async def _in_a_scope_that_is_over(shop: Shop) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await batchcredit.run(shop.file(batch_rows(2, 2)), settings=shop.settings)


async def test_cancelled_twice_it_ends_at_once(shop: Shop) -> None:
    """What was in flight is in doubt, and is not sent again."""
    rows = batch_rows(12, 12)
    shop.control.set(latency_s=5)
    task = asyncio.create_task(batchcredit.run(shop.file(rows), settings=shop.settings))
    await until(lambda: any(entry["login"] == shop.folder.name for entry in shop.control.arrivals(0)))
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0.2)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 3)
    told = batchcredit.results(shop.batches()[0], settings=shop.settings)
    assert set(told["status"]) == {"in_doubt"} or set(told["status"]) == {"in_doubt", "not_sent"}


async def test_cancelled_while_it_is_asked_nothing_is_sent(shop: Shop) -> None:
    """A question that nobody answers any more is no approval."""
    asked = anyio.Event()

    async def never(plan: object) -> bool:
        asked.set()
        await anyio.sleep_forever()
        return True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            lambda: batchcredit.run(shop.file(batch_rows(2, 2)), settings=shop.settings, approve=never)
        )
        await asked.wait()
        tasks.cancel_scope.cancel()
    assert (shop.book(), shop.batches()) == ([], [])


async def test_an_error_of_the_caller_stops_the_run(shop: Shop) -> None:
    """It comes back as it is, after what was in flight has been written down."""
    rows = batch_rows(40, 20)
    shop.control.set(latency_s=0.4)

    def fails(progress: batchcredit.Progress) -> None:
        if progress.done:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await batchcredit.run(shop.file(rows), settings=shop.settings, progress=fails)
    told = batchcredit.results(shop.batches()[0], settings=shop.settings)
    assert truthful(shop, rows, told).keys() == {"credited", "not_sent"}


async def test_the_host_program_is_left_alone(
    shop: Shop, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signals, output, logging and the running loop are as they were, and the loop is not held up."""
    libraries = [logging.getLogger(name) for name in ("asyncio", "psycopg")]
    for logger in libraries:
        monkeypatch.setattr(logger, "disabled", False)  # as in a program that never was a command line
    loop = asyncio.get_running_loop()
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    shop.control.set(latency_s=0.05)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await anyio.sleep(0.01)
            ticks += 1
            assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tick)
        await batchcredit.run(shop.file(batch_rows(40, 20)), settings=shop.settings)
        tasks.cancel_scope.cancel()
    assert ticks > 10
    assert not any(logger.disabled for logger in libraries)
    assert loop.get_exception_handler() is None
    assert capfd.readouterr() == ("", "")


def test_it_runs_beside_the_main_thread(shop: Shop) -> None:
    """A program's worker thread, with a loop of its own, can send as well."""
    path, found = shop.file(batch_rows(4, 2)), []
    worker = threading.Thread(
        target=lambda: found.append(asyncio.run(batchcredit.run(path, settings=shop.settings)))
    )
    worker.start()
    worker.join(30)
    assert [outcome.counts for outcome in found] == [{"credited": 4}]


async def test_the_sentences_come_to_the_caller(shop: Shop) -> None:
    """What the command line would show is told; the bad rows of a refused file, too."""
    said: list[str] = []
    with pytest.raises(batchcredit.RefusedError):
        await batchcredit.run(
            shop.file([("clicksend", "abc", "1", "USD", "")]), settings=shop.settings, tell=said.append
        )
    assert any("account" in text and "user id" in text for text in said), said


def test_everything_public_is_typed() -> None:
    """Each name exists, each call says what it takes and gives, and type checkers are told to look."""
    for name in batchcredit.__all__:
        assert getattr(batchcredit, name).__doc__, name
    for call in (batchcredit.run, batchcredit.check, batchcredit.resume, batchcredit.results):
        hints = get_type_hints(call, localns={"pl": pl})
        assert "return" in hints
        assert set(call.__code__.co_varnames[: call.__code__.co_argcount]) <= hints.keys()
    assert (Path(batchcredit.__file__).parent / "py.typed").exists()


def test_importing_the_package_is_cheap() -> None:
    """Nothing is loaded before it is asked for: the command line begins here, too."""
    script = "import batchcredit, sys; print([n for n in sys.modules if n[:11] in ('batchcredit', 'polars')])"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout.strip() == "['batchcredit']"


async def test_cancelled_while_the_file_is_read_nothing_is_kept(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no batch then, even where nothing but the file stood before the first request."""
    begun, cancelled = threading.Event(), threading.Event()

    def examined(*given: Any) -> Survey:
        begun.set()
        cancelled.wait(20)
        return examine(*given)

    monkeypatch.setattr("batchcredit.runner.batch.examine", examined)
    path = shop.file(batch_rows(200, 10))
    task = asyncio.create_task(batchcredit.run(path, settings=shop.settings, skip_preflight=True))
    await until(begun.is_set)
    task.cancel()
    await asyncio.sleep(0.1)
    cancelled.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (shop.book(), shop.batches()) == ([], [])
