"""Ways to lose money or be misled that a reviewer found, each as the sequence that showed it."""

import signal
from collections import Counter

import pytest
from command_line import CommandLine, Sandbox, wait_for

HEADER = ("provider", "account", "amount", "currency", "reference")


def executed(sandbox: Sandbox) -> Counter[str]:
    return Counter(entry["account"] for entry in sandbox.book())


def test_a_profile_with_another_address_is_still_the_same_provider(
    shop: CommandLine, sandbox: Sandbox
) -> None:
    """Rows in doubt wait and credited rows are repeats, also after base_url got another spelling."""
    rows = [("clicksend", "1001", "5", "USD", ""), ("clicksend", "1002", "6", "USD", "")]
    shop.write("a.csv", rows, HEADER)
    sandbox.control.script("1001", ["close_after"])
    assert shop("run", "a.csv", "--yes").code == 3
    settings = shop.folder / "batchcredit.toml"
    settings.write_text(settings.read_text().replace("127.0.0.1", "localhost"))
    shop.write("b.csv", [*rows, ("clicksend", "1003", "7", "USD", "")], HEADER)
    assert shop("run", "b.csv", "--yes", "--batch", "b").code == 2
    ended = shop("run", "b.csv", "--yes", "--batch", "b", "--skip-repeats", "--json")
    assert ended.code == 4
    assert ended.json["reasons"]["open_elsewhere"] == 1
    assert executed(sandbox) == {"1001": 1, "1002": 1, "1003": 1}


def test_an_approved_repeat_covers_no_later_correction(shop: CommandLine, sandbox: Sandbox) -> None:
    """--allow-repeat was said of the rows that were shown, not of those that a correction brings."""
    shop.write(
        "a.csv", [("clicksend", "1001", "5", "USD", ""), ("clicksend", "1002", "5", "USD", "")], HEADER
    )
    assert shop("run", "a.csv", "--yes").code == 0
    rows = [("clicksend", account, "5", "USD", f"r{account}") for account in ("1001", "20404", "3", "4", "5")]
    shop.write("b.csv", rows, HEADER)
    assert shop("run", "b.csv", "--yes", "--batch", "b", "--allow-repeat").code == 1
    rows[1] = ("clicksend", "1002", "5", "USD", "r20404")
    shop.write("b.csv", rows, HEADER)
    ended = shop("run", "b.csv", "--yes", "--batch", "b", "--json")
    assert ended.refusal == (2, "repeat")
    assert executed(sandbox)["1002"] == 1


def test_a_correction_of_one_provider_leaves_the_other_alone(shop: CommandLine, sandbox: Sandbox) -> None:
    """The row of a provider of which nothing is left to send stays as it is."""
    rows = [("clicksend", "1001", "5", "USD", "r1"), ("fastmessage", "unknownx", "6", "KES", "r2")]
    shop.write("a.csv", rows, HEADER)
    assert shop("run", "a.csv", "--yes", "--batch", "m").code == 1
    rows[1] = ("fastmessage", "bob", "6", "KES", "r2")
    shop.write("a.csv", rows, HEADER)
    assert shop("run", "a.csv", "--yes", "--batch", "m").code == 0
    assert executed(sandbox) == {"1001": 1, "bob": 1}


def test_a_row_that_has_become_valid_goes_with_the_correction(shop: CommandLine, sandbox: Sandbox) -> None:
    """Once its profile is configured, an unchanged row with a reference is sent, and the sums still hold."""
    rows = [("clicksend", "20403", "5", "USD", "r1"), ("later", "bob", "6", "KES", "r2")]
    shop.write("a.csv", rows, HEADER)
    assert shop("run", "a.csv", "--yes", "--batch", "m", "--skip-invalid").code == 1
    settings = shop.folder / "batchcredit.toml"
    settings.write_text(settings.read_text().replace("[providers.fastmessage]", "[providers.later]"))
    shop.env["BATCHCREDIT_PROVIDERS__LATER__APIKEY"] = "key"
    shop.env.pop("BATCHCREDIT_PROVIDERS__FASTMESSAGE__APIKEY", None)
    rows[0] = ("clicksend", "20405", "5", "USD", "r1")
    shop.write("a.csv", rows, HEADER)
    ended = shop("run", "a.csv", "--yes", "--batch", "m", "--json")
    assert ended.code == 0, ended.stderr
    assert executed(sandbox) == {"20405": 1, "bob": 1}


def test_a_denied_row_goes_through_the_lane_that_its_batch_has_now(
    shop: CommandLine, sandbox: Sandbox
) -> None:
    """It was in doubt when the lane was changed; once denied, it is sent and not planned for ever."""
    settings = shop.folder / "batchcredit.toml"
    settings.write_text(settings.read_text() + '[reconcile]\nquiet = "0s"\n')
    shop.write(
        "a.csv", [("clicksend", "1001", "5", "USD", ""), ("clicksend", "1002", "6", "USD", "")], HEADER
    )
    sandbox.control.script("1001", ["close_before"])
    assert shop("run", "a.csv", "--yes", "--batch", "a", "--limit", "1").code == 3
    settings.write_text(settings.read_text().replace("127.0.0.1", "localhost"))
    assert shop("resume", "a", "--yes", "--accept-profile", "clicksend").code == 3
    denied = (
        "resolve",
        "a",
        "--row",
        "1",
        "--as",
        "not-credited",
        "--note",
        "n",
        "--yes",
        "--account",
        "1001",
    )
    assert shop(*denied).code == 0
    assert shop("resume", "a", "--yes").code == 0
    assert executed(sandbox) == {"1001": 1, "1002": 1}


def test_check_counts_what_waits_as_not_sent(shop: CommandLine, sandbox: Sandbox) -> None:
    """A row in doubt elsewhere is not called credited, and the next command says what was said."""
    shop.write("a.csv", [("clicksend", "1001", "5", "USD", "")], HEADER)
    sandbox.control.script("1001", ["close_after"])
    assert shop("run", "a.csv", "--yes").code == 3
    shop.write(
        "b.csv", [("clicksend", "1001", "5", "USD", ""), ("clicksend", "1002", "6", "USD", "")], HEADER
    )
    ended = shop("check", "b.csv", "--json", "--batch", "b")
    assert ended.json["counts"]["already_credited"] == 0
    assert ended.json["reasons"] == {"open_elsewhere": 1}
    assert ended.json["next"][:5] == ["batchcredit", "run", "b.csv", "--batch", "b"]


def test_rows_that_wait_are_not_called_safe_to_send(shop: CommandLine, sandbox: Sandbox) -> None:
    """What is open elsewhere is told with its batch and row, and the next command is to look."""
    shop.write("a.csv", [("clicksend", "1001", "5", "USD", "")], HEADER)
    sandbox.control.script("1001", ["close_after"])
    assert shop("run", "a.csv", "--yes", "--batch", "first").code == 3
    shop.write(
        "b.csv", [("clicksend", "1001", "5", "USD", ""), ("clicksend", "1002", "6", "USD", "")], HEADER
    )
    ended = shop("run", "b.csv", "--yes", "--batch", "second")
    assert ended.code == 4
    assert "safe to send again" not in ended.stderr
    assert "batchcredit show second" in ended.stderr
    assert "row 1 of batch first" in shop("show", "second").stdout


def test_a_cell_steers_no_terminal(shop: CommandLine) -> None:
    """What `show` prints of a row holds no escape, and markup stays the text that it is."""
    shop.write(
        "a.csv",
        [("clicksend", "1001", "5", "USD", ""), ("fastmessage", "\x1b]0;x\x07[b]", "6", "KES", "")],
        HEADER,
    )
    assert shop("run", "a.csv", "--yes", "--batch", "a", "--skip-invalid").code == 1
    shown = shop("show", "a").stdout
    assert "\x1b" not in shown
    assert "[b]" in shown
    assert "\\[b]" not in shown


def test_the_list_of_bad_rows_takes_no_other_files_place(shop: CommandLine) -> None:
    """A file of that name that is no such list stays; an earlier list is replaced."""
    (shop.folder / "a.invalid.csv").write_text("mine\n")
    shop.write("a.csv", [("clicksend", "x", "5", "USD", "")], HEADER)
    for _ in range(2):
        assert shop("check", "a.csv").code == 2
    assert (shop.folder / "a.invalid.csv").read_text() == "mine\n"
    assert "account_form" in (shop.folder / "a.invalid-2.csv").read_text()
    assert not (shop.folder / "a.invalid-3.csv").exists()


def test_repeats_are_sent_or_left_out_not_both(shop: CommandLine) -> None:
    """Two flags that contradict each other are refused, and so is a profile that nobody configured."""
    shop.write("a.csv", [("clicksend", "1", "5", "USD", "")], HEADER)
    assert shop("run", "a.csv", "--yes", "--allow-repeat", "--skip-repeats").code == 2
    assert shop("run", "a.csv", "--yes", "--accept-profile", "clicksnd").code == 2
    assert shop("cancel", "", "--note", "n", "--yes").code == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_behind_the_results_hides_no_outcome(
    shop: CommandLine, sandbox: Sandbox, number: signal.Signals
) -> None:
    """Once the results are written the exit code is the batch's, whatever is pressed."""
    shop.write("a.csv", [("clicksend", f"{100 + n}", "5", "USD", "") for n in range(20)], HEADER)
    results = shop.folder / "a.results.csv"
    running = shop.start("run", "a.csv", "--yes", "--out", str(results), "--json")
    wait_for(results.exists)
    running.signal(number)
    ended = running.end()
    assert ended.code == 0, ended.stderr
    assert ended.json["counts"]["credited"] == 20
