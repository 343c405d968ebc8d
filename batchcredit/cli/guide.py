"""What --help teaches beside the flags: the commands in the order of a person's day, and examples."""

import inspect
from typing import Any

from cyclopts import App, Group, Parameter

FIRST_STEPS = Group("First steps", sort_key=1)
SEND = Group("Send", sort_key=2)
AFTER = Group("After a run", sort_key=3)
LEDGER = Group("The ledger", sort_key=4)
MACHINES = Group("Many machines", sort_key=5)
TRY = Group("Try and measure", sort_key=6)
OTHER = Group("Help", sort_key=7)

_PARTS = Group("Commands", sort_key=1)
_FLAGS = Group("Flags", sort_key=1)

INTRODUCTION = """Move prepaid credit from a reseller's account to many client accounts, from a file.

Nothing is sent twice: a run that was stopped or killed goes on with the same command."""

BEGINNING = """Examples:

  batchcredit init                     write the settings
  batchcredit check march.csv          what a run would do
  batchcredit run march.csv --sandbox  rehearse; no money
  batchcredit run march.csv            send; it asks first

Each command explains itself: batchcredit run --help
What else there is to know stands in README.md and docs/"""

EXIT_CODES = """Exit codes:

  0   every row is credited, already credited or cancelled
  1   finished; some rows rejected or invalid: correct them
  2   refused; this command sent nothing
  3   rows are in doubt: find out with batchcredit reconcile
  4   rows are left that the same command will send
  5   the ledger or the results could not be written
  70  a defect of batchcredit"""

#: What one types, by command. Lines of at most 58 characters stay whole on a narrow terminal.
_EXAMPLES = {
    "run": """  batchcredit run march.csv --sandbox
  batchcredit run march.csv
  batchcredit run march.csv --canary 5 --online
  batchcredit run march.csv --yes --expect-total USD=1250.50
  batchcredit run list.csv --provider clicksend \\
      --map account=client_id --currency USD""",
    "check": """  batchcredit check march.csv
  batchcredit check march.csv --online
  batchcredit check march.csv --plan march.plan""",
    "init": """  batchcredit init
  batchcredit init --demo
  batchcredit init --provider clicksend --yes \\
      --set clicksend.username=shop@example.com""",
    "completion": """  batchcredit completion bash --install
  source <(batchcredit completion bash)""",
    "resume": """  batchcredit resume
  batchcredit resume march --include rejected
  batchcredit resume march-1a2b3c4d.to-fix.csv
  batchcredit resume march --only provider=clicksend""",
    "results": """  batchcredit results march
  batchcredit results march --out march.xlsx""",
    "show": """  batchcredit show
  batchcredit show march""",
    "report": """  batchcredit report march
  batchcredit report march-1a2b3c4d.results.csv
  batchcredit report march --out /shared/march.html""",
    "resolve": """  batchcredit resolve march --row 17 --as credited \\
      --note "seen on the dashboard"
  batchcredit resolve march --from march.in-doubt.csv""",
    "cancel": """  batchcredit cancel march --note "wrong month"
  batchcredit cancel march --row 17 --note "left us\"""",
    "reconcile": """  batchcredit reconcile march
  batchcredit reconcile march --statement credits.csv \\
      --statement-tz Africa/Nairobi --apply""",
    "history": """  batchcredit history 100001
  batchcredit history --from 2026-03-01 --out march.csv""",
    "health": """  batchcredit health
  batchcredit health --within 26h --json""",
    "explain": """  batchcredit explain wallet_empty
  batchcredit explain""",
    "audit": """  batchcredit audit march
  batchcredit audit --json""",
    "ledger": """  batchcredit ledger
  batchcredit ledger backup /backup/ledger.db
  batchcredit ledger move /new/ledger.db --note "new disk\"""",
    "senders": """  batchcredit senders""",
    "evict": """  batchcredit evict 3 --note "its machine is gone\"""",
    "prune": """  batchcredit prune --older-than 180d --out archive""",
    "providers": """  batchcredit providers
  batchcredit providers test clicksend
  batchcredit providers clients clicksend --out clients.csv""",
    "sandbox": """  batchcredit sandbox
  batchcredit sandbox --port 8090 --fault reset_after=0.01""",
    "bench": """  batchcredit bench
  batchcredit bench --latency 300ms --concurrency 64""",
}

_SENDING = ("run", "resume")
_ALIASES = {"resume": "rerun"}


def commands(name: str, text: str, group: Group = _PARTS) -> App:
    """Commands under one name; `group` is the heading of those that `offer` gives none."""
    return App(
        name=name,
        help=text,
        help_format="plaintext",
        group_commands=group,
        group_parameters=_FLAGS,
        default_parameter=Parameter(show_default=default_in_words),
        suppress_keyboard_interrupt=False,
    )


def default_in_words(value: object) -> str | None:
    """A default as --help tells it: none where a flag is simply not given."""
    return f"{value}" if value else None


def offer(app: App, group: Group, *commands: Any) -> None:
    """Add commands under a heading of --help, in this order, each with its examples."""
    for command in commands:
        name = command.name[0] if isinstance(command, App) else command.__name__.rstrip("_")
        known: dict[str, Any] = {
            "group": group,
            "sort_key": len(app.resolved_commands()),
            "help_epilogue": _epilogue(name),
        }
        if isinstance(command, App):
            for key, value in known.items():
                setattr(command, key, value)
            app.command(command)
        else:
            app.command(command, help=flowing(command), alias=_ALIASES.get(name), **known)


def flowing(command: Any) -> str:
    """The docstring with its paragraphs unbroken: the terminal's width breaks them."""
    text = inspect.getdoc(command) or ""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _epilogue(name: str) -> str:
    examples = f"Examples:\n\n{_EXAMPLES[name]}" if name in _EXAMPLES else ""
    return f"{examples}\n\n{EXIT_CODES}" if name in _SENDING else examples
