"""The main job in front of your eyes: `make demo`.

Each command runs as a process of its own, as you would type it, in the folder `.demo` of this checkout, which
is emptied first. Settings and ledgers of yours are neither read nor touched, and nothing leaves this machine.
Exits with 0 exactly when every command ended as it should.
"""

import csv
import os
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEMO = HERE.parent / ".demo"
INPUTS = ("month_end.csv", "accidents.csv")
LONGEST_S = 120

SETTINGS = """\
# What a settings file needs at the least. No secret is here: in a rehearsal none is needed.
[providers.clicksend]
kind = "clicksend"
username = "reseller@example.com"
rate = "100/s"

[providers.fastmessage]
kind = "fastmessage"
base_url = "https://sms.example.co.ke"
partner_id = "123"
rate = "100/s"
"""

#: The sandbox knows no client whose number ends in 0404 and so on: see make_samples.py.
EXPECTED = {"credited": 315, "rejected": 5}

SHOWN = ("provider", "account", "amount", "currency", "status", "reason", "balance_after")


class UnexpectedError(Exception):
    """A command did not end as the demo says it does."""


def main() -> int:
    """Play the demo; the exit code."""
    try:
        _prepare()
        _play()
    except (UnexpectedError, OSError) as error:
        _say(f"\nThe demo did not go as expected: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _prepare() -> None:
    if DEMO.exists():
        shutil.rmtree(DEMO)
    (DEMO / "samples").mkdir(parents=True)
    (DEMO / "batchcredit.toml").write_text(SETTINGS)
    for name in INPUTS:  # results and lists of bad rows are written beside the input
        shutil.copyfile(HERE / name, DEMO / "samples" / name)


def _play() -> None:
    _say("A month-end batch: 320 clients of two providers, both simulated on this machine.")
    _run(("run", "samples/month_end.csv", "--sandbox", "--yes"), expected=1)
    _say("\nIts first rows, and the first that was refused, in the results file:")
    _show_rows(_results())
    _say("\nThe next command that it names tells who needs somebody:")
    _run(("show", "month_end", "--sandbox"), expected=0)
    _say("\nA batch that went through a spreadsheet. It is refused before a cent moves:")
    _run(("check", "samples/accidents.csv", "--sandbox"), expected=2)
    _say(
        "\nAll as it should be: 315 of 320 clients are credited, each once; the provider refused 5;\n"
        "and the bad file was stopped. To look around by hand:\n\n"
        "  cd .demo && export XDG_DATA_HOME=$PWD/data PATH=$PWD/../.venv/bin:$PATH\n"
        "  batchcredit run samples/month_end.csv --sandbox"
    )


def _run(arguments: Sequence[str], expected: int) -> None:
    _say(f"\n$ batchcredit {shlex.join(arguments)}")
    command = (sys.executable, "-m", "batchcredit", *arguments)
    try:
        ended = subprocess.run(
            command, cwd=DEMO, env=_environment(), stdin=subprocess.DEVNULL, timeout=LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise UnexpectedError(f"`{arguments[0]}` had not ended after {LONGEST_S} s") from None
    if ended.returncode != expected:
        raise UnexpectedError(f"`{arguments[0]}` ended with {ended.returncode}, not with {expected}")
    _say(f"(exit code {expected})")


def _environment() -> dict[str, str]:
    """Ours, without anything that would lead to the user's own settings and ledgers."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("BATCHCREDIT_")}
    return kept | {"XDG_DATA_HOME": str(DEMO / "data"), "XDG_CONFIG_HOME": str(DEMO / "config")}


def _results() -> list[dict[str, str]]:
    found = sorted((DEMO / "samples").glob("sandbox-month_end-*.results.csv"))
    if len(found) != 1:
        raise UnexpectedError(f"there are {len(found)} results files, not one")
    with found[0].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    counts = Counter(row["status"] for row in rows)
    if counts != EXPECTED:
        raise UnexpectedError(f"the results hold {dict(counts)}, not {EXPECTED}")
    return rows


def _show_rows(rows: Sequence[dict[str, str]]) -> None:
    refused = next(row for row in rows if row["status"] == "rejected")
    table = [SHOWN, *([row[name] for name in SHOWN] for row in (*rows[:5], refused))]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        _say("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()  # what the commands say follows on the same screen


if __name__ == "__main__":
    sys.exit(main())
