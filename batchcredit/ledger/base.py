"""The promise of a ledger: the one durable truth about every transfer.

Rows enter by `enrol` and become visible to senders in its last transaction. From then on a row moves only
as `transfer.MOVES` allows. `commit` is the hot path: it makes any mix of claims, settlements and pauses
durable in one transaction and answers in order. Times are milliseconds since 1970, UTC.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.ledger.audit import AuditEntry
from batchcredit.transfer import Outcome, State, Transfer


@dataclass(frozen=True, slots=True)
class LaneIdentity:
    """One login at one provider: what a batch keeps and a ledger remembers."""

    kind: str
    base_url: str
    login: str


@dataclass(frozen=True, slots=True)
class LaneRecord:
    """A lane that a person confirmed. `proven`: a first row went through it and added up."""

    id: int
    identity: LaneIdentity
    proven: bool
    last_sent_ms: int | None
    paused_until_ms: int | None


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """One batch. `content` is the hash of its rows; `totals` the amount of all valid rows by currency.
    A batch that is closed (`closed_ms`) is sent by another ledger, and never again by this one. The rows of
    one that was pruned (`pruned_ms`) stand in the file `archive`."""

    id: int
    name: str
    content: bytes
    rows: int
    source: str
    results: str
    totals: Mapping[str, Decimal]
    created_ms: int
    finished_ms: int | None
    repeats_allowed_ms: int
    stop_reason: str
    closed_ms: int | None = None
    closed_why: str = ""
    pruned_ms: int | None = None
    archive: str = ""
    archive_sha256: str = ""


@dataclass(frozen=True, slots=True)
class BatchLane:
    """The lane that a profile's name stands for in one batch, and why it halted, if it did."""

    profile: str
    lane: LaneRecord
    halt_reason: str
    halt_message: str


@dataclass(frozen=True, slots=True)
class NewBatch:
    """What `enrol` needs beside the rows. `lanes`: profile name -> lane id."""

    name: str
    content: bytes
    source: str
    results: str
    totals: Mapping[str, Decimal]
    lanes: Mapping[str, int]
    live: bool
    repeats_allowed_ms: int = 0
    skip_repeats_since_ms: int | None = None


#: row, lane, provider, account, account_key, amount, currency, reference, state, reason, message
EnrolRow = tuple[int, int | None, str, str, str, str, str, str | None, str, str, str]


@dataclass(frozen=True, slots=True)
class EnrolChunk:
    """Rows in file order, and the input's own cells of the same rows as an opaque block."""

    first_row: int
    rows: Sequence[EnrolRow]
    cells: bytes


class AdoptRow(NamedTuple):
    """A row as another ledger's results tell of it: `enrol` with its state, and what became of it there.

    `former_id`: the transfer id that it has there, without the number of its `generation`.
    """

    enrol: EnrolRow
    http_status: int | None
    provider_code: str
    units: str | None
    balance_before: str | None
    balance_after: str | None
    attempts: int
    sent_ms: int | None
    ended_ms: int | None
    duration_ms: int | None
    settled_by: str
    verdict_ms: int | None
    former_id: str
    generation: int


@dataclass(frozen=True, slots=True)
class AdoptChunk:
    """As an `EnrolChunk`, of rows that another ledger has sent."""

    first_row: int
    rows: Sequence[AdoptRow]
    cells: bytes


@dataclass(frozen=True, slots=True)
class RowKey:
    """What makes two rows of different batches the same request for money.

    Rows of one lane, or of one profile's name: a profile that was given another login or address still stands
    for the same provider to whoever wrote the file.
    """

    row: int
    lane: int
    account_key: str
    amount: str
    currency: str
    reference: str | None
    provider: str = ""
    account_name: str = ""  # what the file calls the client; makes no difference to the request


@dataclass(frozen=True, slots=True)
class Match:
    """A row of another batch that equals, or holds the reference of, the row of `key`."""

    key: RowKey
    batch: str
    batch_id: int
    other_row: int
    state: State
    ended_ms: int | None
    same_content: bool
    same_reference: bool


class Claim(NamedTuple):
    """A durable intent to send this transfer now. `patience_s`: for how long another sender may have its
    account in flight before the row is held back for it."""

    batch: int
    lane: int
    transfer: Transfer
    patience_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Claimed:
    """The intent stands: `boot_s` says since when, on the clock that counts suspended time."""

    boot_s: float


@dataclass(frozen=True, slots=True)
class NotClaimed:
    """The row may not be sent now; it stays as it is, with this reason.

    `busy_s`: another sender has had another row of its account in flight for so long, which the claim has
    patience with: the row has no reason yet, and may be tried again.
    """

    reason: str
    message: str
    busy_s: float | None = None


class Settle(NamedTuple):
    """How an attempt ended. `not_before_ms`: a retry waits until then."""

    batch: int
    transfer: Transfer
    outcome: Outcome
    duration_ms: int
    not_before_ms: int = 0


@dataclass(frozen=True, slots=True)
class Pause:
    """The lane's provider asked for no request before this time, while this batch was sent. What asks for it
    during a pause makes that one longer, and is no other."""

    batch: int
    lane: int
    until_ms: int
    why: str = ""


class Verdict(NamedTuple):
    """What is found of one row: `credited`, `not-credited`, or `in-doubt` to take such a finding back.

    `settled_by`: `person`, `balance` or `statement`. `known`: JSON, what the finding rests on.
    """

    row: int
    verdict: str
    note: str
    settled_by: str = "person"
    known: str = ""


class Problem(NamedTuple):
    """Why a verdict on this row can't be written."""

    row: int
    why: str


Operation = Claim | Settle | Pause
Answered = Claimed | NotClaimed | None


@dataclass(frozen=True, slots=True)
class Caps:
    """Limits that each claim checks, by currency; an empty mapping is no limit.

    `day_start` says when the day of a given moment began, in the operator's time zone; both in ms.
    """

    day_start: Callable[[int], int]
    transfer: Mapping[str, Decimal] = field(default_factory=dict)
    account_day: Mapping[str, Decimal] = field(default_factory=dict)
    batch: Mapping[str, Decimal] = field(default_factory=dict)
    day: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows of a batch stand in one state for one reason, and their amount where it is a number."""

    state: State
    reason: str
    currency: str
    rows: int
    amount: Decimal


class OwnBalance(NamedTuple):
    """What the reseller's own account had before or after (`moment`) a run of a batch, as the provider told.
    `currency` is "" where the provider counts in units of its own."""

    lane: int
    moment: str
    at_ms: int
    amount: Decimal
    currency: str


class ClientBalance(NamedTuple):
    """What a client had before a run, as the provider told."""

    lane: int
    account_key: str
    at_ms: int
    amount: Decimal
    currency: str


class Share(NamedTuple):
    """How many rows of one profile stand in one state, and their amount; "" and 0 where a row is invalid."""

    profile: str
    state: State
    currency: str
    rows: int
    amount: Decimal


class Moved(NamedTuple):
    """What one batch sent through a lane in a period: credited, in doubt, or under way."""

    batch: str
    state: State
    currency: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Left:
    """What is left to send through one profile in one currency."""

    profile: str
    currency: str
    rows: int
    amount: Decimal


@dataclass(slots=True)
class ResultRow:
    """All that the ledger knows of one row, for a results file. Not frozen: it is made a million times, and
    freezing costs as much as all the rest of making one."""

    row: int
    provider: str
    account: str
    amount: str
    currency: str
    reference: str | None
    state: State
    reason: str
    http_status: int | None
    provider_code: str
    message: str
    units: str | None
    balance_before: str | None
    balance_after: str | None
    attempts: int
    sent_ms: int | None
    ended_ms: int | None
    duration_ms: int | None
    settled_by: str
    transfer_id: str


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Transfers of any of these accounts, with this reference, from `from_ms` up to but without `before_ms`;
    what is not named does not matter."""

    account_keys: tuple[str, ...] = ()
    reference: str | None = None
    from_ms: int | None = None
    before_ms: int | None = None


class HistoryRow(NamedTuple):
    """One transfer of any batch. `at_ms`: when it was sent last, else enrolled. `user`, `host` and
    `approval` are those of the run that sent it last, "" where none did."""

    at_ms: int
    batch: str
    row: int
    provider: str
    account: str
    amount: str
    currency: str
    reference: str | None
    state: State
    reason: str
    settled_by: str
    transfer_id: str
    user: str
    host: str
    approval: str


@dataclass(frozen=True, slots=True)
class SentRow:
    """A row that may have been credited, or was: a request went out for it, or a verdict says so.

    `state` is sending, in doubt or credited; `id` stands for the row in the whole ledger. `sent_ms` and
    `ended_ms` are None where another ledger sent it and did not say when.
    """

    id: int
    batch: str
    row: int
    provider: str
    account: str
    account_key: str
    amount: Decimal
    currency: str
    state: State
    settled_by: str
    sent_ms: int | None
    ended_ms: int | None
    units: Decimal | None = None
    balance_before: Decimal | None = None
    balance_after: Decimal | None = None

    @property
    def is_known(self) -> bool:
        """Whether it counts as credited; the others are in doubt."""
        return self.state is State.CREDITED


@dataclass(frozen=True, slots=True)
class Custody:
    """Whether this is the ledger to send with. `copied_ms`: it is a copy since then, and not in use;
    `moved_to`: closed for ever, and where it went; `accepted_ms`: when a copy was last taken into use."""

    copied_ms: int | None
    moved_to: str
    accepted_ms: int | None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One time that rows were sent. `settings`: JSON, what it was made with; "" where that was not kept."""

    id: int
    user: str
    host: str
    started_ms: int
    ended_ms: int | None
    reason: str
    approval: str
    settings: str


@dataclass(frozen=True, slots=True)
class CrewRecord:
    """A process that sent in a run of a ledger that is shared, and in words why it ended."""

    run: int
    user: str
    host: str
    pid: int
    started_ms: int
    ended_ms: int | None
    why: str


class PauseRecord(NamedTuple):
    """A pause of a lane while a batch was sent."""

    lane: int
    began_ms: int
    until_ms: int
    why: str


class Span(NamedTuple):
    """A time from `from_ms` up to but without `before_ms`."""

    from_ms: int
    before_ms: int


#: The lengths of pieces of time. Seconds and minutes consist of whole pieces, or pieces of whole ones:
#: so what was kept in each of them is not seen exceeded.
PIECES_MS = tuple(
    [100, 200, 500]
    + [seconds * 1000 for seconds in (1, 2, 5, 10, 20, 30)]
    + [minutes * 60_000 for minutes in (1, 2, 5, 10, 20, 30, 60, 120, 360, 720, 1440)]
)


class Began(NamedTuple):
    """So many requests of a profile began in one piece of a span: `span` and `piece` count from 0."""

    span: int
    profile: str
    piece: int
    requests: int


class Took(NamedTuple):
    """So many requests of a profile took so long."""

    profile: str
    duration_ms: int
    requests: int


class Tried(NamedTuple):
    """So many rows were tried so often; `dated` of them say when the last time was."""

    attempts: int
    rows: int
    dated: int


@dataclass(frozen=True, slots=True)
class Activity:
    """The requests of a batch in numbers. Of each row the last one is dated and measured. `widths_ms`: how
    wide the pieces of each span are."""

    widths_ms: Sequence[int]
    began: Sequence[Began]
    took: Sequence[Took]
    tried: Sequence[Tried]


@dataclass(frozen=True, slots=True)
class Tidings:
    """What other senders of a batch did meanwhile.

    `paused_until_ms`: lane -> the moment, on the clock of our own host, before which its provider wants no
    request. `halts`: lane -> reason and message. `driver_gone`: the sender for which this one works has
    ended. `evicted`: somebody has ended this sender for good.
    """

    paused_until_ms: Mapping[int, int] = field(default_factory=dict)
    halts: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    driver_gone: bool = False
    evicted: bool = False


@dataclass(frozen=True, slots=True)
class SenderRecord:
    """A process that sends now. `batch` is the name of its batch, "" where it has none yet; `sending`: rows
    it has in flight, the oldest of them since `oldest_intent_ms`; `driver`: the sender that started it, and
    without which it ends."""

    id: int
    run: int | None
    batch: str
    user: str
    host: str
    pid: int
    command: str
    started_ms: int
    sending: int
    oldest_intent_ms: int | None
    driver: int | None = None


@dataclass(frozen=True, slots=True)
class Slots:
    """Moments at which a request of a lane may leave, and nobody else's does.

    `at_s`: seconds from `now_s`, which is the ledger's own clock while it answered, and is compared with
    nothing but itself. Where fewer were granted than wanted, ask again in `retry_s`.
    """

    at_s: tuple[float, ...]
    retry_s: float = 0.0
    now_s: float = 0.0


class LedgerReader(ABC):
    """What may be asked at any time, also while another process sends."""

    id: str
    url: str

    #: Whether several processes may send with it at once, each with a `Ledger` of its own.
    is_shared: bool

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def is_live(self) -> bool | None:
        """Live or test; None before the first batch."""

    @abstractmethod
    def senders(self) -> list[SenderRecord]:
        """Those that send now, oldest first; where the ledger is not shared, its holder while it lives."""

    @abstractmethod
    def custody(self) -> Custody: ...

    @abstractmethod
    def version(self) -> int:
        """Of its tables."""

    @abstractmethod
    def size_bytes(self) -> int:
        """What it takes on disk."""

    @abstractmethod
    def faults(self) -> Iterator[str]:
        """What is wrong with the file as such: damaged pages and indexes, rows that refer to nothing."""

    @abstractmethod
    def back_up(self, path: Path) -> None:
        """Write a copy, as of this moment, to a free `path`, whole or not at all. It is marked as one: it
        can be read, and is sent with only once accepted. Raises RefusedError (`out_exists`), StorageError."""

    @abstractmethod
    def lane(self, identity: LaneIdentity) -> LaneRecord | None: ...

    @abstractmethod
    def batches(self, name: str = "") -> list[BatchRecord]:
        """Ready batches whose name begins with `name`, newest first; an exact name comes alone."""

    @abstractmethod
    def batches_of(self, content: bytes) -> list[BatchRecord]:
        """Ready batches with this content, newest first."""

    @abstractmethod
    def batch_lanes(self, batch: int) -> list[BatchLane]: ...

    @abstractmethod
    def tallies(self, batch: int) -> list[Tally]:
        """The whole batch, grouped; every row is in exactly one."""

    @abstractmethod
    def matches(self, rows: Iterable[RowKey], batch: int) -> Iterator[Match]:
        """Rows of other ready batches (not `batch`) that equal these, or hold their references.

        Equal: lane or profile, account, amount and currency; not where both have references and these differ.
        Only other rows that are pending, unsent, sending, in doubt or credited count.
        """

    @abstractmethod
    def left(self, batch: int, *, rejected: bool) -> list[Left]:
        """What a run would send, by profile and currency: pending and unsent, and rejected rows if asked."""

    @abstractmethod
    def left_keys(self, batch: int, *, rejected: bool) -> Iterator[RowKey]:
        """The same rows one by one, in order."""

    @abstractmethod
    def rows(self, batch: int, first_row: int, last_row: int) -> list[ResultRow]:
        """Rows first_row..last_row of a batch, in order."""

    @abstractmethod
    def rows_in(
        self, batch: int, states: Sequence[State], reasons: Sequence[str], limit: int, *, after_row: int = 0
    ) -> list[ResultRow]:
        """The first `limit` rows behind `after_row` that are in one of these states or have one of these
        reasons, in order."""

    @abstractmethod
    def sent_rows(
        self,
        lane: int,
        *,
        account_key: str | None = None,
        since_ms: int | None = None,
        until_ms: int | None = None,
    ) -> Iterator[SentRow]:
        """Sending, doubtful and credited rows of a lane, in any batch, those of an account together: of one
        account, or of those that were last sent in this time."""

    @abstractmethod
    def rows_in_doubt(self, batch: int) -> dict[int, list[SentRow]]:
        """The rows of a batch that are sending or in doubt, by lane, in order."""

    @abstractmethod
    def sent_span(self, batch: int, lane: int) -> tuple[int, int] | None:
        """When the first and the last of a batch's `sent_rows` of a lane were sent."""

    @abstractmethod
    def decided(self, batch: int) -> Iterator[ResultRow]:
        """Rows that stand where they do by a verdict or a withdrawal, in order."""

    @abstractmethod
    def audit(self, batch: str = "") -> Iterator[AuditEntry]:
        """The audit trail, oldest first: of the batch of this name, or all of it."""

    @abstractmethod
    def archived_until(self, lane: int) -> int | None:
        """When the last credit that only an archive knows went through a lane; None where there is none."""

    @abstractmethod
    def history(self, query: HistoryQuery, limit: int | None = None) -> Iterator[HistoryRow]:
        """Transfers of all ready batches that fit, newest first."""

    @abstractmethod
    def history_size(self, query: HistoryQuery) -> int:
        """How many fit."""

    @abstractmethod
    def cells(self, batch: int) -> Iterator[tuple[int, int, bytes]]:
        """(first row, number of rows, block) of the input's own cells, in order."""

    @abstractmethod
    def shares(self, batch: int) -> list[Share]:
        """The whole batch, grouped by profile, state and currency; every row is in exactly one."""

    @abstractmethod
    def own_balances(self, batch: int) -> list[OwnBalance]:
        """What was told of the own accounts around the runs of a batch, oldest first."""

    @abstractmethod
    def runs(self, batch: int) -> list[RunRecord]:
        """Each time that rows of a batch were sent, oldest first."""

    @abstractmethod
    def crews(self, batch: int) -> list[CrewRecord]:
        """Who sent in these runs, oldest first; nobody where the ledger is not shared."""

    @abstractmethod
    def pauses(self, batch: int, limit: int) -> tuple[list[PauseRecord], int]:
        """The first `limit` pauses of the lanes while a batch was sent, oldest first, and how many there
        were."""

    @abstractmethod
    def activity(self, batch: int, spans: Sequence[Span], pieces: int) -> Activity:
        """The requests of a batch in numbers. Each span is cut from its begin to the last request in it, into
        so many pieces at the most, each as long as one of `PIECES_MS` where these are long enough."""

    @abstractmethod
    def moved(self, lane: int, since_ms: int, until_ms: int) -> list[Moved]:
        """What all batches sent through a lane in a period, by when each row's last request began."""

    @abstractmethod
    def snapshots(self, lane: int, account_key: str) -> list[ClientBalance]:
        """What was told of a client before runs, oldest first."""

    @abstractmethod
    def spent(self, batch: int | None, currency: str, since_ms: int) -> Decimal:
        """Credited, sending and in doubt since then: of one batch, or of the whole ledger."""

    @abstractmethod
    def spent_by_account(self, lane: int, account_key: str, currency: str, since_ms: int) -> Decimal:
        """What one account of a lane has got since then, sending and in doubt included."""

    @abstractmethod
    def has_credited(self, lane: int, but: int) -> bool:
        """Whether a batch other than `but` has credited a row through this lane."""

    @abstractmethod
    def largest_credited(
        self, lane: int, currency: str, account_keys: Sequence[str], but: int
    ) -> list[float | None]:
        """The largest amount that other batches than `but` ever credited to each of these accounts, in their
        order; None where there is none. About: it is fit to be compared, and no money."""

    @abstractmethod
    def ever_credited(self, lane: int, account_keys: Sequence[str], but: int) -> set[str]:
        """Those of these accounts that other batches than `but` ever credited, in any currency."""


class Ledger(LedgerReader):
    """A ledger held for sending or deciding: one holder at a time, unless it is shared."""

    #: For so long a connection to it that is lost is made again.
    away_most_s: float = 900.0

    #: The number of this sender, since `begin_run` or `enlist`; another one after a connection was lost and
    #: made again. 0 before, and where the ledger is not shared.
    sender: int = 0

    @abstractmethod
    def accept_lane(self, identity: LaneIdentity) -> LaneRecord:
        """Remember a lane that a person has seen and confirmed."""

    @abstractmethod
    def prove_lane(self, lane: int) -> None: ...

    @abstractmethod
    def enrol(self, new: NewBatch, chunks: Iterable[EnrolChunk]) -> BatchRecord:
        """Enter a whole batch; senders see it only once it is complete."""

    @abstractmethod
    def adopt(self, new: NewBatch, chunks: Iterable[AdoptChunk], note: str, known: str) -> BatchRecord:
        """Enter a whole batch as another ledger left it, and the adoption (`note`, `known`) into the audit
        trail; nobody sees it before it is complete."""

    @abstractmethod
    def close_batch(self, batch: int, why: str) -> None:
        """Never send, correct or decide rows of this batch again, and say so in the audit trail. What is
        closed already stays as it is."""

    @abstractmethod
    def correct(
        self,
        batch: int,
        content: bytes,
        chunks: Iterable[EnrolChunk],
        rows: Collection[int] | None = None,
    ) -> int:
        """Give a batch its corrected rows, each as a new generation; how many. Only rows that were not
        credited, are not in doubt and were not withdrawn may.

        `rows`: the numbers of those that are corrected. Without it, all of `chunks` that differ from the
        ledger's and all invalid ones that have become valid, and each must keep its reference."""

    @abstractmethod
    def place_results(self, batch: int, path: str) -> None:
        """Remember where the results of a batch go."""

    @abstractmethod
    def forget(self, batch: int) -> None:
        """Delete a batch of a test ledger."""

    @abstractmethod
    def change_lane(self, batch: int, profile: str, lane: int) -> None:
        """What is left to send of a profile goes through another lane."""

    @abstractmethod
    def begin_run(
        self,
        batch: int,
        allow_repeats_ms: int,
        skip_repeats_since_ms: int | None,
        *,
        rejected: bool,
        only: Iterable[int] | None = None,
        approval: str = "",
        settings: str = "",
    ) -> int:
        """Start a run: unsent rows (rejected ones if asked) are pending again; what was credited elsewhere
        under the same reference, or with `skip_repeats_since_ms` as an equal row, is recognised.

        `only`: the numbers of the rows that may go; others are set aside (reason `not_picked`), which is
        refused (`senders_beside`) while others send the batch. `approval` says how a person agreed,
        `settings` (JSON, without a secret) what the run is made with."""

    @abstractmethod
    def enlist(self, run: int, driver: int | None = None) -> int:
        """Become a sender of a run, as `begin_run` does for its caller; the sender's number, 0 where the
        ledger is not shared. With `driver`, this sender's work ends when that one's session has gone."""

    @abstractmethod
    def tidings(self, batch: int) -> Tidings:
        """What others did; rows of senders that have ended are in doubt from now on."""

    @abstractmethod
    def reserve(self, lane: int, count: int, spacing_us: int, horizon_us: int, after_us: int = 0) -> Slots:
        """Take up to `count` of the next moments at which a request of this lane may leave, each `spacing_us`
        before the next one of all senders, the first no sooner than in `after_us`, none further ahead than
        `horizon_us`; none while the lane is paused."""

    @abstractmethod
    def evict(self, sender: int, note: str) -> int:
        """End a sender for good, and say so in the audit trail: its session ends, what it had in flight is in
        doubt, and it never comes back. How many rows became in doubt. Raises RefusedError (`no_sender`)."""

    @abstractmethod
    def hurry(self) -> None:
        """Somebody waits for the end: give up soon where the connection is lost. From any thread."""

    @abstractmethod
    def note_own_balances(self, batch: int, balances: Sequence[OwnBalance]) -> None:
        """Remember what was told of the own accounts around a run."""

    @abstractmethod
    def note_snapshot(self, batch: int, balances: Iterable[ClientBalance]) -> None:
        """Remember what was told of the clients before a run."""

    @abstractmethod
    def end_run(self, run: int, batch: int, reason: str) -> None:
        """What is still `sending` is in doubt; what has no reason of its own was not sent for `reason`."""

    @abstractmethod
    def halt(self, batch: int, lane: int, reason: str, message: str) -> None: ...

    @abstractmethod
    def guard(self, batch: int, caps: Caps, repeat_window_ms: int) -> None:
        """What each claim of this batch checks from now on, beside what it always checks."""

    @abstractmethod
    def candidates(
        self, batch: int, lane: int, after_row: int, limit: int, *, own: bool = False
    ) -> list[tuple[Transfer, int]]:
        """Pending rows of a lane behind a row, in order, each with the time before which it is not sent.

        `own`: of this sender's share of the accounts alone. A shared ledger leaves out rows that a claim was
        refused for, which have its reason until the next run; what an ending put back is among them, though
        it has a reason too."""

    @abstractmethod
    def commit(self, operations: Sequence[Operation]) -> list[Answered]:
        """Make all of them durable together, in order."""

    @abstractmethod
    def resolve(self, batch: int, verdicts: Sequence[Verdict], quiet_ms: int) -> list[Problem]:
        """Write these verdicts, all of them or, where one of them may not be written, none."""

    @abstractmethod
    def stays(self, batch: BatchRecord, before_ms: int) -> str:
        """Why a batch can't be pruned: something of it is not final, or has changed since `before_ms`. ""
        where it can."""

    @abstractmethod
    def prune(self, batch: int, before_ms: int, archive: str, sha256: str, note: str) -> None:
        """Let the rows of a batch go that stand in the file `archive`, and say so in the audit trail. What
        guards compare is kept: content, references, what clients got at most; and the totals. Killed at any
        moment, `sweep` finishes it. Raises RefusedError (`not_prunable`) where it `stays`."""

    @abstractmethod
    def sweep(self) -> None:
        """Finish what a kill has left of pruning."""

    @abstractmethod
    def accept(self, note: str) -> int:
        """Take a copy into use that lags behind what was sent: rows that are not final are in doubt from
        now on; how many have become so."""

    @abstractmethod
    def move_to(self, path: Path, note: str) -> None:
        """Close this ledger for ever and open a copy of it at `path`. Whatever is killed when, no two are in
        use, and the same call again finishes it."""

    @abstractmethod
    def cancel(self, batch: int, row: int | None, note: str) -> int:
        """Withdraw what is not sent or rejected; how many rows."""


def no_sender(sender: int, url: str) -> RefusedError:
    """Why nothing is ended: nobody sends under this number."""
    return RefusedError(
        f"no sender {sender} sends with the ledger {url} now",
        reason="no_sender",
        cure="batchcredit senders lists those that do",
    )


def refuse_pruned(batch: BatchRecord) -> None:
    """Raise RefusedError (`pruned`) for a batch whose rows only an archive has."""
    if batch.pruned_ms is not None:
        raise RefusedError(
            f"batch {batch.name} was archived at {host.iso(batch.pruned_ms)}: its rows are in "
            f"{batch.archive}",
            reason="pruned",
            cure=f"open that file; its totals: batchcredit show {batch.name}",
        )


def refuse_closed(batch: BatchRecord) -> None:
    """Raise RefusedError for a batch that another ledger has taken over (`batch_closed`), or a pruned one."""
    refuse_pruned(batch)
    if batch.closed_ms is not None:
        raise RefusedError(
            f"batch {batch.name} was closed in this ledger at {host.iso(batch.closed_ms)}: "
            f"{batch.closed_why}",
            reason="batch_closed",
            cure="go on where it was taken to; what is known here: "
            f"batchcredit show {batch.name}, and its file again: batchcredit results {batch.name}",
        )
