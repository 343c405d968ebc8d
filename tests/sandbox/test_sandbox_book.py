"""What the book promises: nothing lost, nothing invented, the same dice for the same seed."""

import base64
import json
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sandbox_client import Line

from batchcredit.sandbox import Control, Fault, SandboxAddress, SandboxSettings
from batchcredit.sandbox.answers import Answer, Dialect, Refusal
from batchcredit.sandbox.book import Order
from batchcredit.sandbox.clicksend import ClickSend
from batchcredit.sandbox.fastmessage import FastMessage
from batchcredit.sandbox.faults import drawn
from batchcredit.sandbox.simulation import Simulation, Windows

HEADERS = [
    (b"content-type", b"application/json"),
    (b"authorization", b"Basic " + base64.b64encode(b"shop:key")),
]

clicksend_amounts = st.decimals("0.0001", "99999", places=4).map(lambda amount: f"{amount:f}")
fastmessage_amounts = st.decimals("0.01", "99999", places=2).map(lambda amount: f"{amount:f}")
currencies = st.sampled_from(["AUD", "USD", "KES"])
orders = st.one_of(
    st.tuples(
        st.just("clicksend"), st.sampled_from(["1", "2", "10403", "10404"]), clicksend_amounts, currencies
    ),
    st.tuples(
        st.just("fastmessage"), st.sampled_from(["a", "A", "closed"]), fastmessage_amounts, st.just("KES")
    ),
)
settings = st.builds(
    SandboxSettings,
    seed=st.integers(0, 5),
    wallet=st.sampled_from([Decimal(50), Decimal(10**12)]),
    currency=st.sampled_from([None, "AUD"]),
    clicksend_fractions=st.sampled_from(["accepted", "refused", "truncated"]),
    clicksend_mismatch=st.sampled_from(["as_is", "convert", "refuse"]),
    sms_rate=st.sampled_from([Decimal(1), Decimal("0.7"), Decimal(3)]),
    fastmessage_rounding=st.sampled_from(["half_up", "down", "up"]),
    fastmessage_unit_decimals=st.integers(0, 2),
)


def _carry_out(simulation: Simulation, order: tuple[str, str, str, str]) -> Answer | Refusal:
    kind, account, amount, currency = order
    dialect: Dialect = ClickSend(simulation) if kind == "clicksend" else FastMessage(simulation)
    if kind == "clicksend":
        body = f'{{"client_user_id": {account}, "balance": {amount}, "currency": "{currency}"}}'
    else:
        body = json.dumps({"apikey": "k", "partnerID": "7", "childID": account, "amount": amount})
    read, refusal = dialect.read(HEADERS, body.encode())
    simulation.arrive(read, 0.0)
    return refusal or dialect.execute(read, 0.0, "")


@given(settings=settings, wanted=st.lists(orders, max_size=25))
def test_opening_and_executions_make_the_balance(
    settings: SandboxSettings, wanted: list[tuple[str, str, str, str]]
) -> None:
    """For every client and any sequence: opening + what the book credited = balance, to the last digit."""
    simulation = Simulation(settings)
    outcomes = [_carry_out(simulation, order) for order in wanted]
    credited: Counter[tuple[str, str, str]] = Counter()
    for row in simulation.book.executions:
        credited[row[1], row[2], row[3].lower()] += Decimal(row[6])  # type: ignore[assignment]
    for key, account in simulation.accounts.everyone():
        assert account.opening + credited[key] == account.balance
    assert simulation.book.arrived == len(wanted)
    assert simulation.book.executed == sum(isinstance(outcome, Answer) for outcome in outcomes)


@given(settings=settings, wanted=st.lists(orders, max_size=25))
def test_wallets_are_never_overdrawn(
    settings: SandboxSettings, wanted: list[tuple[str, str, str, str]]
) -> None:
    """What a login gave away and what it has left is what it had, and it never gives what it has not."""
    simulation = Simulation(settings)
    for order in wanted:
        _carry_out(simulation, order)
    for (kind, _), wallet in simulation.accounts.wallets():
        rows = [row for row in simulation.book.executions if row[1] == kind]
        assert wallet.opening - wallet.balance == sum(_cost(settings, row) for row in rows)
        assert wallet.balance >= 0


def _cost(settings: SandboxSettings, row: tuple[str, ...]) -> Decimal:
    """Fast Message takes units from the wallet, ClickSend the amount, less what it may have cut off."""
    if row[1] == "fastmessage":
        return Decimal(row[6])
    return Decimal(int(Decimal(row[4])) if settings.clicksend_fractions == "truncated" else row[4])


@given(
    rates=st.dictionaries(st.sampled_from(Fault), st.floats(0, 0.03)),
    seed=st.integers(0, 9),
    mix=st.randoms(),
)
def test_drawn_faults_do_not_depend_on_the_order(
    rates: dict[Fault, float], seed: int, mix: random.Random
) -> None:
    """The n-th request for an account meets the same fault, however the accounts' requests interleave."""
    names = [name for name in ("1", "2", "3") for _ in range(6)]
    settings = SandboxSettings(seed=seed, fault_rates=rates)
    first = _faults(settings, names)
    mix.shuffle(names)
    assert _faults(settings, names) == first


def _faults(settings: SandboxSettings, names: list[str]) -> dict[str, list[Fault | None]]:
    simulation = Simulation(settings)
    met: dict[str, list[Fault | None]] = {}
    for name in names:
        fault = simulation.arrive(Order("clicksend", "shop", name, name, "1", "USD"), 0.0)
        met.setdefault(name, []).append(fault)
    return met


def test_drawn_faults_have_their_probability() -> None:
    """Of 4,000 requests, a rate of one half meets about half, and another seed meets others."""
    names = [str(number) for number in range(1, 4001)]
    one, other = (
        _faults(SandboxSettings(seed=seed, fault_rates={Fault.EMPTY: 0.5}), names) for seed in (1, 2)
    )
    assert 1850 < sum(faults == [Fault.EMPTY] for faults in one.values()) < 2150
    assert one != other


@given(rates=st.dictionaries(st.sampled_from(Fault), st.floats(0, 1)), dice=st.floats(0, 1, exclude_max=True))
def test_a_fault_without_a_rate_is_never_drawn(rates: dict[Fault, float], dice: float) -> None:
    """What is drawn has a rate above zero."""
    fault = drawn(rates, dice)
    assert fault is None or rates[fault] > 0


@given(
    gaps=st.lists(st.floats(0, 2), max_size=60),
    limit=st.integers(1, 5),
    window_s=st.sampled_from([0.5, 1.0, 3.0]),
)
def test_windows_let_no_more_pass_than_their_limit(gaps: list[float], limit: int, window_s: float) -> None:
    """However requests come, a window passes at most its limit, and the next one begins after it."""
    windows, now, passed = Windows(), 0.0, []
    for gap in gaps:
        now += gap
        grant = windows.take(("x",), limit, window_s, now)
        assert 0 <= grant.reset_s <= window_s + 1
        if grant.allowed:
            passed.append(now)
    for first, beyond in zip(passed, passed[limit:], strict=False):
        assert beyond > first
    assert all(sum(t <= p < t + window_s for p in passed) <= 2 * limit for t in passed)


def test_book_is_exact_under_concurrency(address: SandboxAddress, control: Control) -> None:
    """Eight clients crediting one account at once: the balance has every one of their transfers."""
    before = control.totals()["executions"]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: _twenty_five(address), range(8)))
    rows = control.book(before)
    account = next(row for row in control.accounts() if row["account"] == "90")
    assert len(rows) == 200
    assert [row["seq"] for row in rows] == list(range(before + 1, before + 201))
    assert Decimal(account["opening"]) + 200 * Decimal("0.0001") == Decimal(account["balance"])


def _twenty_five(address: SandboxAddress) -> None:
    with Line(address) as line:
        for _ in range(25):
            line.clicksend("90", "0.0001")


def test_totals_name_what_came_twice(line: Line, control: Control) -> None:
    """Sums are exact text, and an account that was asked for twice is named with both its counts."""
    control.script("92", [Fault.CLOSE_BEFORE])
    line.clicksend("91", "0.1", "NZD")
    line.clicksend("93", "0.2", "NZD")
    with pytest.raises(ConnectionError):
        line.clicksend("92", "5", "NZD")
    line.clicksend("92", "5", "NZD")
    totals = control.totals()
    assert totals["sums"]["clicksend"]["NZD"] == "5.3"
    twice = {row["account"]: (row["arrivals"], row["executions"]) for row in totals["repeated"]}
    assert twice["92"] == (2, 1)
    assert "91" not in twice


def test_totals_only_keeps_no_rows(line: Line, control: Control) -> None:
    """With `keep_book` at `totals` the counts go on, and the lists do not grow."""
    control.set(keep_book="totals")
    before = control.totals()
    line.clicksend("94")
    after = control.totals()
    assert (after["arrivals"], after["executions"]) == (before["arrivals"] + 1, before["executions"] + 1)
    assert control.book(before["executions"]) == []
    assert control.arrivals(before["arrivals"]) == []


def test_a_full_book_moves_nothing_more(line: Line, control: Control) -> None:
    """Rather than lose a row, the server refuses."""
    line.clicksend("95")
    control.set(book_rows=1)
    line.clicksend("95")
    before = control.totals()["executions"]
    assert line.clicksend("95").status == 503
    assert control.totals()["executions"] == before


def test_paging_gives_every_row_once(address: SandboxAddress, line: Line) -> None:
    """`after` and `limit` walk the book without a gap."""
    for _ in range(5):
        line.clicksend("96")
    rows: list[int] = []
    while page := line.ask("GET", f"/_sandbox/book?after={rows[-1] if rows else 0}&limit=2").json["rows"]:
        assert len(page) <= 2
        rows += [row["seq"] for row in page]
    assert rows == [row["seq"] for row in address.control().book()]


def test_no_secret_is_told(line: Line, control: Control) -> None:
    """The control API, and the settings' own repr, never repeat a secret."""
    control.set(logins={"shop": "s3cret-key"})
    line.clicksend("97", login=("shop", "s3cret-key"))
    told = [control.settings(), control.book(), control.arrivals(), control.totals(), control.accounts()]
    assert "s3cret-key" not in repr(told)
    assert "s3cret-key" not in repr(SandboxSettings(logins={"shop": "s3cret-key"}))
    with pytest.raises(ValueError, match="logins") as refusal:
        control.set(logins={"shop": ["s3cret-key"]})
    assert "s3cret-key" not in str(refusal.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"latency": 1},
        {"latency_s": -1},
        {"fault_rates": {"flood": 0.1}},
        {"fault_rates": {"empty": 0.6, "late": 0.6}},
    ],
)
def test_wrong_settings_are_refused(control: Control, wrong: dict[str, object]) -> None:
    """A setting that is unknown or out of range is an error at once, at the start and while running."""
    with pytest.raises(ValidationError):
        SandboxSettings.model_validate(wrong)
    before = control.settings()
    with pytest.raises(ValueError, match=next(iter(wrong))):
        control.set(**wrong)
    assert control.settings() == before


def test_wrong_scripts_are_refused(control: Control) -> None:
    """A fault that does not exist is an error of the script, not of a later test."""
    with pytest.raises(ValueError, match="flood"):
        control.script("60", ["flood"])


def test_settings_can_change_a_client_that_is_known(line: Line, control: Control) -> None:
    """A client who is closed while the sandbox runs is refused from then on, and keeps the balance."""
    balance = line.clicksend("98").json["data"]["balance"]
    control.set(accounts={"98": {"state": "closed"}})
    assert line.clicksend("98").status == 400
    assert line.read("/reseller/accounts/98").json["data"]["balance"] == balance
