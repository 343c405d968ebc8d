"""What no earlier batch was like, in front of the person who has to agree."""

import json

from command_line import CommandLine, Sandbox
from terminal import terminal

from batchcredit.console.impersonal import impersonal

FIRST = [("clicksend", row, "5", "USD") for row in range(1, 4)]
SECOND = [
    ("clicksend", 1, "500", "USD"),
    ("clicksend", 2, "6", "USD"),
    ("clicksend", 3, "7", "AUD"),
    ("clicksend", 9, "8", "USD"),
]
SAID = (
    "unusual: 1 row of more than 3 times what the client ever got: row 1: account 1, 500 USD, 100.0 times",
    "unusual: 1 row for clients that were never credited before: row 4: account 9, 8 USD",
    "unusual: 1 row in a currency that the client never got: row 3: account 3, 7 AUD",
    "unusual: 514 USD in all, and no earlier batch had more than 15",
)


def test_what_is_unusual_is_said_and_not_refused(shop: CommandLine, sandbox: Sandbox) -> None:
    """Nothing in a first batch; then in the plan, in --json and in the log, before the question."""
    first = shop("run", shop.write("first.csv", FIRST), "--yes", "--json")
    assert "unusual:" not in first.stderr + first.stdout
    path = shop.write("second.csv", SECOND)
    checked = shop("check", path, "--json", "--log-format", "json")
    logged = [json.loads(line) for line in checked.stderr.splitlines()]
    planned = checked.json["warnings"]
    in_log = next(line["warnings"] for line in logged if line["event"] == "plan")
    assert in_log == [impersonal(warning) for warning in planned]
    assert len(planned) == len(SAID)
    assert all(any(text.startswith(said) for text in planned) for said in SAID)
    with terminal(shop, "run", path) as person:
        person.wait_for("type the number of rows")
        shown = " ".join(person.shown.split())
        assert all(said in shown for said in SAID)
        person.type("4\n")
        assert person.end() == 0
    assert len(sandbox.book()) == 7
