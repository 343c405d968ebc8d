"""What is asked of the providers beforehand, and what of it refuses a batch."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

import anyio
import pytest

from batchcredit.engine.lane import Lane, LanePolicy
from batchcredit.engine.limiter import Pace
from batchcredit.engine.wire.base import Exchange, Wire
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import LaneIdentity, LaneRecord, RowKey
from batchcredit.providers.base import Answer, Balance, Client, ClientPage, Provider, Refusal, Request
from batchcredit.reader import Total
from batchcredit.runner.outgoing import preflight


@dataclass
class Played:
    """A provider and its wire in one: `answers` come back one by one, `says` is how the last one reads."""

    says: object = None
    answers: Sequence[Exchange] = (Exchange(True, Answer(200, {}, b"")),)
    pages: Sequence[Sequence[Client]] = ((),)
    asked: list[str] = field(default_factory=list)
    secrets: tuple[str, ...] = ("the-key",)

    async def exchange(self, request: Request, timeout_s: float) -> Exchange:
        self.asked.append(request.path)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]

    def own_balance(self) -> Request | None:
        return Request("GET", "/account") if self.says is not None else None

    def read_own_balance(self, answer: Answer) -> Any:
        return self.says

    def clients(self, page: int) -> Request | None:
        return Request("GET", f"/clients/{page}")

    def read_clients(self, answer: Answer) -> ClientPage | Refusal:
        page = int(self.asked[-1].rpartition("/")[2])
        return ClientPage(tuple(self.pages[page - 1]), len(self.pages))

    def account_key(self, account: str) -> str:
        return account.casefold()


def lane_of(played: Played, max_pause_s: float = 0.05) -> Lane:
    identity = LaneIdentity("clicksend", "https://one.test", "shop")
    return Lane(
        profile="shop",
        record=LaneRecord(1, identity, True, None, None),
        provider=cast(Provider, played),
        wire=cast(Wire, played),
        pace=Pace(None),
        policy=LanePolicy(4, 1.0, 3, 3, max_pause_s, 1.0),
        dice=random.Random(1),
    )


NEEDED = {"USD": Total(2, Decimal("10.50"))}


@pytest.mark.parametrize(
    ("balance", "enough"),
    [
        (Balance(Decimal("10.50"), "USD"), True),
        (Balance(Decimal("10.4999"), "USD"), False),
        (Balance(Decimal(0), "AUD"), True),
        (Balance(Decimal(0), ""), True),
    ],
)
async def test_too_little_in_the_same_currency_refuses(balance: Balance, enough: bool) -> None:
    """Balances in another currency, or in units, are shown and not compared."""
    lane = lane_of(Played(balance))
    if enough:
        assert await preflight.own_balance(lane, NEEDED) == preflight.Probed(balance, "")
        return
    with pytest.raises(RefusedError) as caught:
        await preflight.own_balance(lane, NEEDED)
    assert caught.value.reason == "wallet_empty"
    assert "10.5 USD" in str(caught.value)


async def test_refused_credentials_refuse_the_batch() -> None:
    """What concerns every row is refused before the first, in the provider's words."""
    with pytest.raises(RefusedError, match="no such key") as caught:
        await preflight.own_balance(
            lane_of(Played(Refusal("credentials", "no such key", final=True))), NEEDED
        )
    assert caught.value.reason == "credentials"


@pytest.mark.parametrize(
    "played",
    [
        Played(None),
        Played(Refusal("not_readable", "strange")),
        Played(Balance(Decimal(1)), [Exchange(True, problem="lost_answer", detail="gone")]),
        Played(Balance(Decimal(1)), [Exchange(True, Answer(429, {"retry-after": "9999"}, b""))]),
        Played(Balance(Decimal(1)), [Exchange(True, Answer(429, {"retry-after": "0"}, b""))]),
    ],
)
async def test_what_the_run_can_bear_is_a_warning(played: Played) -> None:
    """A provider that can't be asked, or does not answer now, does not stop a batch."""
    probed = await preflight.own_balance(lane_of(played), NEEDED)
    assert probed.balance is None
    assert probed.warning.startswith("shop: ")
    assert len(played.asked) <= preflight.PROBES_MOST


async def test_a_probe_that_is_told_to_slow_down_asks_again() -> None:
    """Reading moves nothing, so it may be repeated."""
    slow = Exchange(True, Answer(429, {"retry-after": "0"}, b""))
    played = Played(Balance(Decimal(99), "USD"), [slow, slow, Exchange(True, Answer(200, {}, b""))])
    assert (await preflight.own_balance(lane_of(played), NEEDED)).balance == Balance(Decimal(99), "USD")
    assert len(played.asked) == 3


async def test_a_certificate_that_does_not_verify_refuses_the_batch() -> None:
    """Whoever sits between us and the provider gets no second request."""
    untrusted = Exchange(False, problem="unreachable", detail="self-signed, the-key", untrusted=True)
    with pytest.raises(RefusedError, match="certificate does not verify") as caught:
        await preflight.own_balance(lane_of(Played(Balance(Decimal(1)), [untrusted])), NEEDED)
    assert caught.value.reason == "tls_untrusted"
    assert "the-key" not in str(caught.value)


def keys(*accounts: str) -> list[RowKey]:
    return [RowKey(row, 1, account, "1", "USD", None) for row, account in enumerate(accounts, 1)]


async def test_clients_are_compared_page_by_page() -> None:
    """Every page is read; unknown, banned and foreign clients are named with their rows."""
    pages = [[Client("1", currency="USD"), Client("2", banned=True)], [Client("Three", currency="AUD")]]
    check = preflight.ClientCheck(lane_of(Played(pages=pages)), allow_currency_mismatch=False)
    assert await check.read() == ""
    check.check(keys("1", "1"))
    with pytest.raises(RefusedError) as caught:
        check.check(keys("1", "2", "three", "4"))
    said = str(caught.value)
    assert "3 rows" in said
    for line in (
        "row 2: client 2 is banned",
        "row 3: client three has an account in AUD, not USD",
        "row 4: client 4 is unknown",
    ):
        assert line in said


async def test_currencies_alone_can_be_allowed() -> None:
    """--allow-currency-mismatch lets another currency pass, and nothing else."""
    pages = [[Client("1", currency="AUD")]]
    check = preflight.ClientCheck(lane_of(Played(pages=pages)), allow_currency_mismatch=True)
    await check.read()
    check.check(keys("1"))
    with pytest.raises(RefusedError, match="unknown"):
        check.check(keys("2"))


@pytest.mark.parametrize(
    ("theirs", "ours", "same"),
    [
        ("Jane's Shop", "  jane's   SHOP ", True),
        ("Cafe\u0301", "CAF\u00c9", True),
        ("jane", "", True),
        ("=cmd", "'=cmd", True),
        ("", "jane", True),
        ("jane", "john", False),
        ("jane", "jane2", False),
        ("the-key", "jane", False),
    ],
)
async def test_names_are_compared(theirs: str, ours: str, same: bool) -> None:
    """A client of another name refuses the batch, with both names; case and spaces do not count."""
    check = preflight.ClientCheck(
        lane_of(Played(pages=[[Client("7", name=theirs)]])), allow_currency_mismatch=False
    )
    await check.read()
    rows = [RowKey(5, 1, "7", "1", "USD", None, "shop", ours)]
    if same:
        check.check(rows)
        return
    with pytest.raises(RefusedError, match="row 5: client 7 is ") as caught:
        check.check(rows)
    shown = "***" if theirs == "the-key" else theirs
    assert f"is '{shown}' to the provider, and '{ours}' in the file" in str(caught.value)
    assert caught.value.reason == "clients"
    assert "account_name is wrong" in caught.value.cure


async def test_a_list_of_clients_has_a_limit_on_the_screen() -> None:
    """Twenty clients are named, the rest counted."""
    check = preflight.ClientCheck(lane_of(Played()), allow_currency_mismatch=False)
    await check.read()
    with pytest.raises(RefusedError, match=r"\.\.\. and 5 more") as caught:
        check.check(keys(*map(str, range(25))))
    assert str(caught.value).count("is unknown") == preflight.SHOWN


async def test_a_list_that_costs_too_much_is_left_after_its_first_page() -> None:
    """A snapshot is worth a tenth of the run, and no more."""
    played = Played(pages=[[Client("a")], [Client("b")], [Client("c")]])
    warning = await preflight.ClientCheck(lane_of(played), allow_currency_mismatch=True).read(2)
    assert warning.startswith("shop: the list of clients could not be read: it has 3 pages")
    assert played.asked == ["/clients/1"]


async def test_balances_are_kept_of_the_clients_of_these_rows() -> None:
    """By the key of the account, once each; not of strangers, and not what the list does not tell."""
    page = [Client("Anna", Decimal("2.50"), "USD"), Client("ben"), Client("cleo", Decimal(7), "USD")]
    check = preflight.ClientCheck(lane_of(Played(pages=[page])), allow_currency_mismatch=True)
    assert await check.read() == ""
    rows = [
        RowKey(row, 1, key, "1", "USD", None) for row, key in enumerate(("anna", "ben", "dora", "anna"), 1)
    ]
    found = check.balances(rows)
    assert [(told.lane, told.account_key, told.amount, told.currency) for told in found] == [
        (1, "anna", Decimal("2.50"), "USD")
    ]


async def test_what_is_read_afterwards_is_bounded_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A provider that refuses or keeps silent costs a warning and a moment."""
    monkeypatch.setattr(preflight, "AFTERWARDS_S", 0.05)

    class Silent(Played):
        async def exchange(self, request: Request, timeout_s: float) -> Exchange:
            await anyio.sleep_forever()
            raise AssertionError

    warnings: list[str] = []
    good, silent = Played(Balance(Decimal(5), "USD")), Silent(Balance(Decimal(5), "USD"))
    assert await preflight.read_again([lane_of(good)], warnings.append) == {
        "shop": Balance(Decimal(5), "USD")
    }
    assert not warnings
    for bad in (silent, Played(Refusal("credentials", "no", final=True))):
        assert await preflight.read_again([lane_of(bad)], warnings.append) == {}
    assert warnings == ["shop: own balance after the run could not be read"] * 2
