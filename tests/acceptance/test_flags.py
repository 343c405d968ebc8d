"""The flags of `run` that decide what is sent, how fast, and what is asked of the providers first."""

import statistics
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from command_line import CommandLine, Ended, Sandbox
from terminal import terminal

from batchcredit.cli.flags import with_values

LIKE = ("--yes", "--json")
OUT = ("--out", "batch.results.csv")


def rows(number: int, amount: str = "5") -> list[tuple[Any, ...]]:
    return [("clicksend", row, amount, "USD", f"r{row}") for row in range(1, number + 1)]


def refused_before(shop: CommandLine, sandbox: Sandbox, ended: Ended, word: str) -> None:
    """Exit 2 for this reason, nothing sent, and no batch and no file kept."""
    assert ended.refusal == (2, word), ended
    assert sandbox.arrivals() == []
    assert shop.ledger.exists() is False or shop("show", "--json").json["batches"] == []
    assert not [file.name for file in shop.folder.iterdir() if "results" in file.name]


# how much is sent


def test_limit_is_over_all_lanes(shop: CommandLine, sandbox: Sandbox) -> None:
    """At most N rows are sent, whatever the lanes, and the rest waits for the same command."""
    mixed = [*rows(5), *(("fastmessage", f"shop{row}", 5, "KES") for row in range(5))]
    path = shop.write("batch.csv", mixed)
    for sent, code in ((3, 4), (6, 4), (9, 4), (10, 0)):
        ended = shop("run", path, *LIKE, *OUT, "--limit", 3)
        assert (ended.code, len(sandbox.arrivals())) == (code, sent), ended
        assert ended.json["reasons"] == ({"limit": 10 - sent} if code else {})


@pytest.mark.parametrize(
    ("flags", "goes"),
    [
        (("--expect-rows", 3, "--expect-total", "USD=15.00"), True),
        (("--expect-rows", 4), False),
        (("--expect-total", "USD=15.01"), False),
        (("--expect-total", "KES=15"), False),
        (("--expect-total", "USD=15", "--expect-total", "KES=1"), False),
    ],
)
def test_control_totals(flags: tuple[Any, ...], goes: bool, shop: CommandLine, sandbox: Sandbox) -> None:
    """A batch goes only when rows and totals are what a person took from elsewhere."""
    ended = shop("run", shop.write("batch.csv", rows(3)), *LIKE, *flags)
    if goes:
        assert ended.code == 0, ended
    else:
        refused_before(shop, sandbox, ended, "control_totals")


@pytest.mark.parametrize(("fault", "sent"), [([], 6), (["close_after"], 2), (["none"], 6)])
def test_canary_unattended(fault: list[str], sent: int, shop: CommandLine, sandbox: Sandbox) -> None:
    """With --yes the rest follows only if each of the first rows was credited."""
    sandbox.control.script("2", fault or ["none"])
    ended = shop("run", shop.write("batch.csv", rows(6)), *LIKE, *OUT, "--canary", 2)
    assert len(sandbox.arrivals()) == sent
    assert ended.code == (0 if sent == 6 else 3), ended
    if sent == 2:
        assert Counter(row["status"] for row in shop.results()) == {
            "credited": 1,
            "in_doubt": 1,
            "not_sent": 4,
        }
        assert {row["reason"] for row in shop.results()[2:]} == {"canary"}


def test_canary_stops_at_a_refusal(shop: CommandLine, sandbox: Sandbox) -> None:
    """A rejected row among the first ones is a reason to stop, too."""
    path = shop.write("batch.csv", [("clicksend", 20404, 5, "USD"), *rows(4)])
    ended = shop("run", path, *LIKE, "--canary", 2)
    assert (ended.code, ended.json["counts"]["not_sent"], len(sandbox.arrivals())) == (4, 3, 2), ended


@pytest.mark.parametrize(("typed", "code", "sent"), [("yes", 0, 5), ("no", 4, 1)])
def test_canary_attended(typed: str, code: int, sent: int, shop: CommandLine, sandbox: Sandbox) -> None:
    """A person sees how the first rows ended, and decides about the rest."""
    path = shop.write("batch.csv", rows(5))
    with terminal(shop, "run", path, "--canary", 1) as person:
        person.wait_for("type the total in USD: ")
        person.type("25\n")
        person.wait_for("Send the rest?")
        assert "credited" in person.shown
        assert len(sandbox.arrivals()) == 1
        person.type(f"{typed}\n")
        assert person.end() == code, person.shown
    assert len(sandbox.arrivals()) == sent


# how fast


def test_concurrency_only_lowers(cli: CommandLine, sandbox: Sandbox) -> None:
    """Requests in flight are those of the flag or of the profile, whichever is less."""
    sandbox.control.set(latency_s=0.4)
    for number, (configured, flag, least) in enumerate(((8, 2, 2), (3, 50, 3))):
        cli.configure(sandbox.address, sandbox.login, clicksend={"concurrency": configured})
        before = len(sandbox.arrivals())
        path = cli.write(f"{number}.csv", [row[:4] for row in rows(12, f"{number + 1}")])
        assert cli("run", path, *LIKE, "--concurrency", flag).code == 0
        times = sorted(entry["arrived_at"] for entry in sandbox.arrivals()[before:])
        crowds = [sum(later - time < 0.4 for later in times[place:]) for place, time in enumerate(times)]
        assert max(crowds) == least


def test_rate_only_lowers(cli: CommandLine, sandbox: Sandbox) -> None:
    """Requests begin no closer than the flag or the profile allows, whichever is slower."""
    for number, (configured, flag) in enumerate(
        (("none", "20/s"), ("20/s", "1000/s"), ("1000/s", "1200/min"))
    ):
        cli.configure(sandbox.address, sandbox.login, clicksend={"rate": configured})
        before = len(sandbox.arrivals())
        path = cli.write(f"{number}.csv", [row[:4] for row in rows(12, f"{number + 1}")])
        assert cli("run", path, *LIKE, "--rate", flag).code == 0
        times = sorted(entry["arrived_at"] for entry in sandbox.arrivals()[before:])
        assert times[-1] - times[0] >= 11 * 0.05 * 0.8  # a busy machine may see the first one late
        assert statistics.median(later - time for time, later in pairwise(times)) > 0.04


# preflight


def test_wrong_credentials_refuse_the_batch(shop: CommandLine, sandbox: Sandbox) -> None:
    """Nothing is sent with a key that the provider does not take, and the probe that tells more is named."""
    sandbox.control.set(logins={sandbox.login: "another-key"})
    ended = shop("run", shop.write("batch.csv", rows(3)), *LIKE)
    refused_before(shop, sandbox, ended, "credentials")
    assert "providers test clicksend" in ended.json["error"]["cure"]


def test_too_little_credit_refuses_the_batch(shop: CommandLine, sandbox: Sandbox) -> None:
    """In the currency of the own account, the whole batch has to be covered."""
    sandbox.control.set(wallet="14.99")
    path = shop.write("batch.csv", [(*row[:3], "AUD", row[4]) for row in rows(3)])
    ended = shop("run", path, *LIKE)
    refused_before(shop, sandbox, ended, "wallet_empty")
    assert "14.99" in ended.json["error"]["message"]
    sandbox.control.set(wallet="15")
    assert shop("run", path, *LIKE).code == 0


def test_without_preflight_the_first_refusal_halts_the_lane(shop: CommandLine, sandbox: Sandbox) -> None:
    """--skip-preflight sends at once; refused credentials then leave all rows for the same command."""
    sandbox.control.set(logins={sandbox.login: "another-key"})
    path = shop.write("batch.csv", rows(40))
    before = sandbox.control.totals()["arrivals"]
    ended = shop("run", path, *LIKE, "--skip-preflight")
    assert (ended.code, ended.json["reasons"]) == (4, {"credentials": 40}), ended
    assert 1 <= sandbox.control.totals()["arrivals"] - before <= 16
    sandbox.control.set(logins=None)
    assert shop("run", path, *LIKE).code == 0
    assert len(sandbox.book()) == 40


CLIENTS = {
    **{str(number): {"currency": "USD"} for number in range(1, 251)},
    "300": {"currency": "EUR"},
    "301": {"currency": "USD", "state": "closed"},
}


@pytest.mark.parametrize(
    ("account", "fault"), [(999, "is unknown"), (301, "is banned"), (300, "has an account in EUR, not USD")]
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_online_looks_at_each_client(
    command: str, account: int, fault: str, shop: CommandLine, sandbox: Sandbox
) -> None:
    """A client that is unknown, banned or of another currency refuses the batch, on whatever page it is."""
    sandbox.control.set(accounts=CLIENTS)
    path = shop.write("batch.csv", [*rows(3), ("clicksend", 250, 5, "USD"), ("clicksend", account, 5, "USD")])
    flags = ("--yes",) if command == "run" else ()
    ended = shop(command, path, "--json", "--online", *flags)
    refused_before(shop, sandbox, ended, "clients")
    assert f"row 5: client {account} {fault}" in ended.json["error"]["message"]
    assert "row 4" not in ended.json["error"]["message"]


def test_online_goes_through_for_good_clients(shop: CommandLine, sandbox: Sandbox) -> None:
    """Clients beyond the first page are found; another currency may be allowed by name."""
    sandbox.control.set(accounts=CLIENTS)
    good = [("clicksend", number, 5, "USD") for number in (1, 101, 201, 250)]
    assert shop("run", shop.write("good.csv", good), *LIKE, "--online").code == 0
    mixed = [("clicksend", 2, 5, "USD"), ("clicksend", 300, 5, "USD")]
    path = shop.write("mixed.csv", mixed)
    assert shop("run", path, *LIKE, "--online").refusal == (2, "clients")
    assert shop("run", path, *LIKE, "--online", "--allow-currency-mismatch").code == 0
    assert len(sandbox.book()) == 6


def test_online_says_what_a_provider_does_not_offer(shop: CommandLine) -> None:
    """Fast Message has no list of clients: a warning, and the batch goes on."""
    path = shop.write("batch.csv", [("fastmessage", "jane", 5, "KES")])
    ended = shop("run", path, *LIKE, "--online")
    assert ended.code == 0
    assert "warning: fastmessage: the provider has no list of clients" in ended.stderr


def test_online_compares_names(shop: CommandLine, sandbox: Sandbox) -> None:
    """The one error that no limit catches: the right sum for another client. Nothing is sent."""
    sandbox.control.set(accounts=CLIENTS)
    header = ("provider", "account", "account_name", "amount", "currency")
    named = [("clicksend", 7, "Client7", 5, "USD"), ("clicksend", 8, "client9", 5, "USD")]
    path = shop.write("batch.csv", named, header)
    for command in (("check", path, "--json"), ("run", path, *LIKE)):
        ended = shop(*command, "--online")
        refused_before(shop, sandbox, ended, "clients")
        assert "row 2: client 8 is 'client8' to the provider, and 'client9' in the file" in str(ended.json)
        assert "row 1" not in str(ended.json)
    nearly = shop.write("nearly.csv", named, (*header[:2], "acount_name", *header[3:]))
    assert shop("check", nearly, "--json").refusal == (2, "nearly_column")
    mended = shop.write("batch.csv", [named[0], ("clicksend", 8, "client8", 5, "USD")], header)
    ended = shop("run", mended, *LIKE, *OUT, "--online")
    assert ended.code == 0, ended
    assert [row["account_name"] for row in shop.results()] == ["Client7", "client8"]
    other = shop.write("other.csv", [("fastmessage", "jane", "Jane", 5, "KES")], header)
    assert "account_name could not be compared" in shop("check", other, "--online").stderr


# limits


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        ('max_amount = { USD = "4.99" }', "limit_max_amount"),
        ('max_account = { USD = "9.99" }', "limit_max_account"),
        ('max_total = { USD = "24.99" }', "limit_max_total"),
        ('max_day = { USD = "24.99" }', "limit_max_day"),
    ],
)
def test_limits_refuse_before_sending(limits: str, word: str, cli: CommandLine, sandbox: Sandbox) -> None:
    """More than a limit allows is not begun, and the message names limit and sum."""
    path = cli.write("batch.csv", [*rows(4), ("clicksend", 1, 5, "USD", "again")])
    cli.configure(sandbox.address, sandbox.login, tables=f"[limits]\n{limits}")
    ended = cli("run", path, *LIKE)
    refused_before(cli, sandbox, ended, word)
    assert limits.split('"')[1] in ended.json["error"]["message"]
    exact = limits.replace(".99", ".00").replace('"4', '"5').replace('"9', '"10').replace('"24', '"25')
    cli.configure(sandbox.address, sandbox.login, tables=f"[limits]\n{exact}")
    assert cli("run", path, *LIKE).code == 0


@pytest.mark.parametrize("name", ["max_amount", "max_account", "max_total", "max_day"])
def test_limits_hold_for_resume(name: str, cli: CommandLine, sandbox: Sandbox) -> None:
    """A limit that was lowered after a batch was enrolled refuses to go on with it."""
    path = cli.write("batch.csv", rows(5))
    cli.configure(sandbox.address, sandbox.login)
    assert cli("run", path, *LIKE, *OUT, "--batch", "march", "--limit", 1).code == 4
    cli.configure(sandbox.address, sandbox.login, tables=f'[limits]\n{name} = {{ USD = "4" }}')
    assert cli("resume", "march", *LIKE).refusal == (2, f"limit_{name}")
    assert len(sandbox.book()) == 1


def test_the_day_counts_every_batch(cli: CommandLine, sandbox: Sandbox) -> None:
    """What other batches of the day have sent is part of max_day."""
    cli.configure(sandbox.address, sandbox.login, tables='[limits]\nmax_day = { USD = "20" }')
    assert cli("run", cli.write("a.csv", rows(3)), *LIKE).code == 0
    second = [("clicksend", row, 2, "USD") for row in range(11, 14)]
    assert cli("run", cli.write("b.csv", second), *LIKE).refusal == (2, "limit_max_day")
    assert cli("run", cli.write("c.csv", second[:2]), *LIKE).code == 0


def test_the_day_of_a_client_counts_every_batch(cli: CommandLine, sandbox: Sandbox) -> None:
    """What a client got today through another batch counts for max_account, once, before anything is sent."""
    cli.configure(sandbox.address, sandbox.login, tables='[limits]\nmax_account = { USD = "20" }')
    assert cli("run", cli.write("a.csv", rows(3, "12")), *LIKE).code == 0
    over = cli(
        "run", cli.write("b.csv", [("clicksend", 9, 9, "USD"), ("clicksend", 2, "8.01", "USD")]), *LIKE
    )
    assert over.refusal == (2, "limit_max_account")
    assert "row 2 (line 3): account 2: the client's day, with this batch, comes to 20.01" in str(over.json)
    assert "raise the limit" in over.json["error"]["cure"]
    assert len(sandbox.book()) == 3
    again = [*rows(1, "12"), ("clicksend", 1, 8, "USD", "new")]  # the first is known by its reference
    assert cli("run", cli.write("c.csv", again), *LIKE).counts == {"already_credited": 1, "credited": 1}
    assert cli("run", cli.write("d.csv", [("clicksend", 3, 8, "USD")]), *LIKE).code == 0
    assert len(sandbox.book()) == 5


def test_the_day_of_a_client_counts_for_a_correction(cli: CommandLine, sandbox: Sandbox) -> None:
    """A corrected file is measured by the rows that it sends, beside what its batch has sent already."""
    cli.configure(sandbox.address, sandbox.login, tables='[limits]\nmax_account = { USD = "10" }')
    name = ("--batch", "march")
    first = [("clicksend", 1, 6, "USD", "a"), ("clicksend", 10404, 4, "USD", "b")]
    assert cli("run", cli.write("a.csv", first), *LIKE, *name).counts == {"credited": 1, "rejected": 1}
    for amount, code in (("4.5", 2), ("4", 0)):
        mended = [first[0], ("clicksend", 1, amount, "USD", "b")]
        assert cli("run", cli.write("a.csv", mended), *LIKE, *name).code == code
    assert sandbox.sums() == {"USD": 10}


# how a file is understood


def test_flags_for_reading(shop: CommandLine, sandbox: Sandbox) -> None:
    """--provider, --map, --currency and --thousands stand for what a file does not say."""
    path = shop.write("batch.csv", [("7", "1,250.50"), ("8", "2")], ("customer", "amount"))
    flags = ("--provider", "clicksend", "--map", "account=customer", "--currency", "USD", "--thousands", ",")
    ended = shop("run", path, *LIKE, *flags)
    assert (ended.code, ended.json["amounts"]) == (0, {"USD": {"credited": "1252.5"}}), ended
    assert {entry["amount"] for entry in sandbox.book()} == {"1250.5", "2"}


def test_bad_rows_and_twins_have_flags(shop: CommandLine, sandbox: Sandbox) -> None:
    """--skip-invalid and --allow-duplicates send what is otherwise refused."""
    path = shop.write("bad.csv", [*rows(2), ("clicksend", "seven", 5, "USD")])
    assert shop("run", path, *LIKE).refusal == (2, "invalid_rows")
    ended = shop("run", path, *LIKE, "--skip-invalid")
    assert (ended.code, ended.json["counts"]["invalid"], len(sandbox.book())) == (1, 1, 2)
    twins = shop.write("twins.csv", [("clicksend", 9, 5, "USD"), ("clicksend", 9, 5, "USD")])
    assert shop("run", twins, *LIKE).refusal == (2, "duplicate_rows")
    assert shop("run", twins, *LIKE, "--allow-duplicates").code == 0
    assert len(sandbox.book()) == 4


def test_settings_from_elsewhere(shop: CommandLine, sandbox: Sandbox) -> None:
    """--config, BATCHCREDIT_CONFIG and single variables reach the command; --ledger goes before all."""
    settings = (shop.folder / "batchcredit.toml").rename(shop.home / "other.toml")
    path = shop.write("batch.csv", rows(1))
    assert shop("check", path, "--json").code == 2
    assert shop("check", path, "--json", "--config", settings).code == 0
    shop.env["BATCHCREDIT_CONFIG"] = str(settings)
    shop.env["BATCHCREDIT_LIMITS__MAX_AMOUNT__USD"] = "4"
    assert shop("check", path, "--json").refusal == (2, "limit_max_amount")
    del shop.env["BATCHCREDIT_LIMITS__MAX_AMOUNT__USD"]
    other = shop.home / "elsewhere.db"
    assert shop("run", path, *LIKE, "--ledger", f"sqlite:///{other}").code == 0
    assert other.exists()
    assert not shop.ledger.exists()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("run --serve month.csv", "run --serve=0 month.csv"),
        ("run --serve 8642 month.csv", "run --serve 8642 month.csv"),
        ("run --serve=8642 month.csv", "run --serve=8642 month.csv"),
        ("run month.csv --serve", "run month.csv --serve=0"),
        ("run month.csv --serve --yes", "run month.csv --serve=0 --yes"),
        ("run -- --serve", "run -- --serve"),
    ],
)
def test_a_port_may_be_left_out(typed: str, meant: str) -> None:
    """What follows `--serve` is its port if it is a number, and else what it would be without it."""
    assert with_values(typed.split()) == meant.split()
