"""--out onto what must not be overwritten: refused by whatever command, before anything is sent."""

import pytest
from command_line import CommandLine, Sandbox

ROWS = [("clicksend", "11", "5", "USD"), ("fastmessage", "jane", "6", "KES")]
PLACES = {
    "march.csv": "out_is_input",
    "twin.csv": "out_is_input",
    "settings.csv": "out_exists",
    "ledger.csv": "out_exists",
    "ledger.csv-wal": "out_format",
    "nowhere/out.csv": "out_unwritable",
}


@pytest.fixture
def places(shop: CommandLine, sandbox: Sandbox) -> CommandLine:
    """A shop whose ledger and settings are called like tables, with one batch that was sent."""
    folder = shop.folder
    shop.write("march.csv", ROWS)
    shop.configure(sandbox.address, sandbox.login, top='repeat_window = "6d"').rename(folder / "settings.csv")
    shop.env |= {"BATCHCREDIT_CONFIG": str(folder / "settings.csv")}
    shop.env |= {"BATCHCREDIT_LEDGER": f"sqlite:///{folder / 'ledger.csv'}"}
    (folder / "twin.csv").hardlink_to(folder / "march.csv")
    (folder / "diary.csv").write_text("dear,diary\nday,one\n")
    return shop


def test_out_spares_what_is_there(places: CommandLine, sandbox: Sandbox) -> None:
    """Input under two names, ledger and log, settings, strangers' files, another batch's results."""
    ended = places("check", "march.csv", "--out", "diary.csv", "--json")
    assert ended.refusal == (2, "out_exists"), "before there is a ledger"
    assert places("run", "march.csv", "--yes", "--batch", "march").code == 0
    places.write("april.csv", [(*row[:2], "7", row[3]) for row in ROWS])
    kept = contents(places)
    arrived = len(sandbox.arrivals())
    for place, reason in PLACES.items():
        ended = places("check", "march.csv", "--out", place, "--json")
        assert ended.refusal == (2, reason), (place, ended)
    for command in (("results", "march"), ("run", "march.csv", "--yes")):
        for place in ("march.csv", "ledger.csv"):
            ended = places(*command, "--out", place, "--json")
            assert ended.refusal == (2, PLACES[place]), (command, ended)
    ended = places("check", "april.csv", "--out", "march.results.csv", "--json")
    assert ended.refusal == (2, "out_exists")
    assert contents(places) == kept
    assert len(sandbox.arrivals()) == arrived
    assert places("show", "march", "--json").counts == {"credited": 2}, "the ledger is whole"


def contents(shop: CommandLine) -> dict[str, bytes]:
    """All files but the ledger's own, which may change whenever it is opened."""
    files = (path for path in shop.folder.iterdir() if not path.name.startswith("ledger.csv"))
    return {path.name: path.read_bytes() for path in files}


def test_check_takes_the_place_that_run_would(places: CommandLine) -> None:
    """A free place, or the results of this batch; nothing is left of the look."""
    assert places("check", "march.csv", "--out", "out.csv").code == 0
    assert not list(places.folder.glob("*out.csv*"))
    assert places("run", "march.csv", "--yes", "--out", "out.csv").code == 0
    assert places("check", "march.csv", "--out", "out.csv").code == 0
