"""What a person asks for, apart from how it was typed."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.ledger.registry import Note, silent
from batchcredit.reader import ReadOptions
from batchcredit.settings import Rate

if TYPE_CHECKING:
    from batchcredit.runner.outgoing.fleet import Fleet


@dataclass(frozen=True, slots=True)
class InputOptions:
    """Which file, and how it is to be understood. `batch` names the batch; None takes the default name.
    `adopt`: a person vouches that a results file of another ledger is the latest one. `typed`: how the file
    is named in a command, where that is not its path. `origin`: what it came from, where that is no file."""

    path: Path
    read: ReadOptions
    batch: str | None = None
    skip_invalid: bool = False
    allow_duplicates: bool = False
    adopt: bool = False
    typed: str = ""
    origin: str = ""

    @property
    def source(self) -> str:
        """Where it came from, for the ledger: a file, or what `origin` says."""
        return self.origin or str((self.read.content or self.path).absolute())


@dataclass(frozen=True, slots=True)
class SendOptions:
    """How it is to be sent. `command` is told to whoever meets our lock; `again` are the flags that name
    the same settings and ledger in the next command; `note` hears of what becomes of the ledger's file.
    `plan`: a check writes it, a run keeps to it. Where `only_statuses` or `only_providers` name any,
    other rows stay as they are. `fleet`: others that send what follows the first rows. `watch` is told
    the name of the batch once it is in the ledger, before anything is sent. `is_passed`: what is
    written to `out` goes on to somebody else, so it is no place where a batch has its results.
    `approval`: who agreed, where `yes` says that nobody is asked. `on_stop`: while rows are sent,
    whatever is to end it calls what it is given."""

    command: str
    out: Path | None = None
    is_passed: bool = False
    yes: bool = False
    new_ledger: bool = False
    accept_profiles: frozenset[str] = frozenset()
    sandbox: bool = False
    allow_repeat: bool = False
    skip_repeats: bool = False
    allow_currency_mismatch: bool = False
    skip_preflight: bool = False
    online: bool = False
    snapshot: bool = False
    rejected: bool = False
    only_statuses: frozenset[str] = frozenset()
    only_providers: frozenset[str] = frozenset()
    canary: int | None = None
    limit: int | None = None
    expect_rows: int | None = None
    expect_totals: Mapping[str, Decimal] = field(default_factory=dict)
    plan: Path | None = None
    wait_funds_s: int = 0
    concurrency: int | None = None
    rate: Rate | None = None
    ledger_url: str = ""
    note: Note = silent
    again: tuple[str, ...] = ()
    fleet: "Fleet | None" = None
    watch: Note = silent
    approval: str = "--yes"
    on_stop: Callable[[Callable[[], None]], AbstractContextManager[None]] = host.on_stop_signals

    def __post_init__(self) -> None:
        """Raises RefusedError where two of them contradict each other."""
        if self.allow_repeat and self.skip_repeats:
            raise _usage("--allow-repeat and --skip-repeats: one of them at a time")
        if self.skip_preflight and self.snapshot:
            raise _usage("--skip-preflight and --snapshot: one of them at a time")
        for name in ("canary", "limit", "concurrency"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise _usage(f"--{name} {number}: it has to be 1 or more")


def _usage(problem: str) -> RefusedError:
    return RefusedError(problem, reason="usage", cure="batchcredit --help")
