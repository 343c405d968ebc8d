"""Data for stdout: what `show`, `providers` and `sandbox` answer, as tables or as JSON."""

import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from batchcredit import host
from batchcredit.console.base import local_time, spoken
from batchcredit.ledger.audit import AuditEntry
from batchcredit.ledger.base import BatchLane, BatchRecord, Custody, HistoryRow, ResultRow, SenderRecord
from batchcredit.runner.settling.custody import LedgerView
from batchcredit.runner.settling.history import HistoryView
from batchcredit.runner.settling.money import Money, OwnAccount
from batchcredit.runner.settling.records import SHOWN, BatchView
from batchcredit.runner.settling.trail import TrailView
from batchcredit.runner.settling.verdicts import Decided, totals
from batchcredit.runner.summary import Summary
from batchcredit.sandbox.process import SandboxAddress
from batchcredit.settings import Settings
from batchcredit.transfer import STATUS, STATUSES, shortest
from batchcredit.wording import in_money, visible

#: More than any cell that is to be read; an invalid one may be as long as its file.
_LONGEST = 400


def text(*parts: Table | str) -> str:
    """Tables and lines below each other, as wide as they need."""
    out = io.StringIO()
    console = Console(file=out, highlight=False, markup=False, width=160, emoji=False)
    for part in parts:
        console.print(visible(part) if isinstance(part, str) else part, soft_wrap=isinstance(part, str))
    return out.getvalue().rstrip("\n")


def table(titles: Iterable[str], rows: Iterable[Sequence[str]]) -> Table:
    """Cells in columns; nothing in them steers a terminal, or fills it."""
    table = Table(*titles, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(visible(cell[:_LONGEST]).replace("\n", " ")) for cell in row))
    return table


def _counts(summary: Summary) -> str:
    return ", ".join(f"{summary.counts[name]} {name}" for name in STATUSES if summary.counts.get(name))


def batches(found: Sequence[tuple[BatchRecord, Summary]], zone: ZoneInfo) -> str:
    """All batches, newest first."""
    if not found:
        return "this ledger has no batch"
    rows = (
        (batch.name, local_time(batch.created_ms, zone), f"{batch.rows}", _counts(summary), batch.source)
        for batch, summary in found
    )
    return text(table(("batch", "enrolled", "rows", "status", "from"), rows))


def batch(view: BatchView, zone: ZoneInfo) -> str:
    """One batch: where it stands and who needs somebody."""
    known, summary = view.batch, view.summary
    finished = local_time(known.finished_ms, zone) or "not yet"
    head = [
        f"batch    {known.name}: {known.rows} rows from {known.source}",
        f"enrolled {local_time(known.created_ms, zone)}, finished {finished}",
        f"status   {_counts(summary)}",
    ]
    head += map(_lane, view.lanes)
    if summary.reasons:
        head.append("reasons  " + ", ".join(f"{number} {word}" for word, number in summary.reasons.items()))
    head.append(f"results  {known.results}")
    if known.pruned_ms is not None:
        head.append(f"archived {local_time(known.pruned_ms, zone)}: {known.archive}")
        head.append(f"         SHA-256 {known.archive_sha256}")
    parts: list[Table | str] = ["\n".join(head)]
    if view.rows:
        titles = ("row", "status", "reason", "account", "amount", "currency", "sent", "message")
        parts += ["", table(titles, (_row(row, zone) for row in view.rows)), *_how_to_resolve(view)]
    parts += ["", *money(view.money)]
    if summary.next and summary.next[1] != "show":
        parts.append(f"next     {spoken(summary.next)}")
    return text(*parts)


#: What stands over the sums of each status.
_SUMS = {
    "credited": "credited",
    "already_credited": "credited before",
    "rejected": "refused",
    "in_doubt": "in doubt",
    "not_sent": "not sent",
    "cancelled": "cancelled",
}


def money(found: Money) -> list[Table | str]:
    """A batch in sums, by provider and currency, and what its own accounts say of it."""
    shown = {
        status: title
        for status, title in _SUMS.items()
        if any(line.amounts.get(status) for line in found.lines)
    }
    rows = (
        (
            *(line.profile, line.currency, in_money(line.enrolled)),
            *(in_money(line.amounts.get(status, Decimal(0))) for status in shown),
        )
        for line in found.lines
    )
    parts: list[Table | str] = [table(("provider", "currency", "enrolled", *shown.values()), rows)]
    if found.invalid:
        parts.append(f"invalid rows, in no amount: {found.invalid}")
    if found.accounts:
        titles = ("own account", "before", "after", "expected", "difference")
        parts += ["", table(titles, map(_own_account, found.accounts))]
        parts += [f"{account.profile}: {account.meaning.words}" for account in found.accounts]
    return parts


def _own_account(account: OwnAccount) -> tuple[str, ...]:
    amounts = (account.before.amount, account.after.amount, account.expected, account.difference)
    name = f"{account.profile} {account.after.currency}".rstrip()
    return name, *("" if amount is None else in_money(amount) for amount in amounts)


def _lane(lane: BatchLane) -> str:
    identity = lane.lane.identity
    halted = f", halted: {lane.halt_reason} ({lane.halt_message})" if lane.halt_reason else ""
    return f"lane     {lane.profile}: {identity.login} at {identity.base_url}{halted}"


def _row(row: ResultRow, zone: ZoneInfo) -> tuple[str, ...]:
    sent = local_time(row.sent_ms, zone)
    status, reference = STATUS[row.state], row.reference or ""
    account = f"{row.account} ({reference})" if reference else row.account
    return f"{row.row}", status, row.reason, account, row.amount, row.currency, sent, row.message


def _how_to_resolve(view: BatchView) -> list[str]:
    doubtful = next((row.row for row in view.rows if STATUS[row.state] == "in_doubt"), None)
    if doubtful is None:
        return []
    command = (
        f"batchcredit resolve {view.batch.name} --row {doubtful} --as credited --note 'seen in the dashboard'"
    )
    return [
        "",
        "Compare each row in doubt with the provider's own records, then say what you found:",
        command,
    ]


def history(view: HistoryView, zone: ZoneInfo) -> str:
    """Transfers across batches, newest first."""
    titles = (
        "time",
        "batch",
        "row",
        "account",
        "amount",
        "currency",
        "status",
        "settled by",
        "by",
        "approval",
    )
    parts: list[Table | str] = ["nothing was found"]
    if view.rows:
        parts = [table(titles, (_past(row, zone) for row in view.rows))]
    more = view.found - len(view.rows)
    if more:
        parts += [f"... and {more} more: --limit N shows more of them, --out FILE.csv writes all"]
    return text(*parts, *_elsewhere(view))


def _elsewhere(view: HistoryView) -> list[str]:
    """Where older transfers are that the ledger has no more."""
    if not view.archived:
        return []
    files = (f"{batch.name}: {batch.archive}" for batch in view.archived[:SHOWN])
    more = f"... and {len(view.archived) - SHOWN} more" if len(view.archived) > SHOWN else ""
    head = f"transfers of {len(view.archived)} archived batches are not among them, but in their archives:"
    return ["", head, *files, *([more] if more else [])]


def _past(row: HistoryRow, zone: ZoneInfo) -> tuple[str, ...]:
    account = f"{row.account} ({row.reference})" if row.reference else row.account
    by = f"{row.user}@{row.host}" if row.user else ""
    status = f"{STATUS[row.state]} {row.reason}".rstrip()
    money = (row.amount, row.currency)
    when = local_time(row.at_ms, zone)
    return (when, row.batch, f"{row.row}", account, *money, status, row.settled_by, by, row.approval)


def history_as_json(view: HistoryView) -> dict[str, object]:
    """The same, times in UTC."""
    return {
        "transfers": [_past_as_json(row) for row in view.rows],
        "found": view.found,
        "archived": [{"batch": batch.name, "archive": batch.archive} for batch in view.archived],
    }


def _past_as_json(row: HistoryRow) -> dict[str, object]:
    said = row._asdict()
    return {"time": host.iso(said.pop("at_ms")), "status": STATUS[said.pop("state")], **said}


def decided(rows: Sequence[Decided], zone: ZoneInfo) -> str:
    """What a person is asked about verdicts: how many, how much, and the first of them."""
    sums = ", ".join(f"{shortest(amount)} {currency}" for currency, amount in sorted(totals(rows).items()))
    lines = [_decided(each, zone) for each in rows[:SHOWN]]
    more = [f"... and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
    counts = Counter(each.verdict.verdict for each in rows)
    said = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
    return "\n".join([*lines, *more, f"Resolve {len(rows)} rows over {sums} ({said})?"])


def _decided(each: Decided, zone: ZoneInfo) -> str:
    row, sent = each.row, local_time(each.row.sent_ms, zone) or "never"
    return visible(
        f"Row {row.row}: account {row.account}, {row.amount} {row.currency}, last sent {sent}: "
        f"{each.verdict.verdict}"
    )


def trail(view: TrailView, zone: ZoneInfo) -> str:
    """The audit trail, oldest first, and the head that tells later whether some of it was cut off."""
    titles = ("no", "time", "by", "what", "batch", "row", "was", "rests on", "note")
    said = "broken" if view.broken else "verified"
    newest = f", the newest hash is {view.head}" if view.count else ""
    lines = [f"{view.count} entries in this ledger{newest}: {said}"]
    if view.count and not view.broken:
        lines.append(f"keep it elsewhere; later: batchcredit audit --expect {view.head}")
    lines.append("what each entry rests on: batchcredit audit --json")
    return text(table(titles, (_entry(entry, zone) for entry in view.entries)), "", *lines)


def _entry(entry: AuditEntry, zone: ZoneInfo) -> tuple[str, ...]:
    when, who = local_time(entry.at_ms, zone), f"{entry.user}@{entry.host}"
    row = "" if entry.row is None else f"{entry.row}"
    return (
        *(f"{entry.id}", when, who, entry.what, entry.batch),
        *(row, entry.was, entry.settled_by, entry.note),
    )


def trail_as_json(view: TrailView) -> dict[str, object]:
    """The same, times in UTC."""
    entries = [_entry_as_json(entry) for entry in view.entries]
    return {"entries": entries, "count": view.count, "head": view.head}


def _entry_as_json(entry: AuditEntry) -> dict[str, object]:
    said = entry._asdict()
    return {"time": host.iso(said.pop("at_ms")), **said}


def ledger(view: LedgerView, zone: ZoneInfo) -> str:
    """What a ledger is, who has it, and whether it is sound."""
    kinds = {True: "live", False: "test", None: "new"}
    names = ", ".join(batch.name for batch in view.open[:10]) or "none"
    lines = [
        f"ledger   {view.url}",
        f"id       {view.id}, {kinds[view.live]}",
        f"size     {view.size_bytes:,} bytes, tables of version {view.version}",
        f"batches  {len(view.batches)}, of which {len(view.open)} have rows left to send: {names}",
        f"held     {'; '.join(_held(sender, zone) for sender in view.senders) or 'by nobody'}",
        *_custody(view.custody, zone),
        *(f"fault    {fault}" for fault in view.faults),
    ]
    return text("\n".join(lines if view.faults else [*lines, "check    no fault was found"]))


def _held(sender: SenderRecord, zone: ZoneInfo) -> str:
    since = local_time(sender.started_ms, zone)
    return f"by process {sender.pid} ({sender.command}, {sender.user} on {sender.host}) since {since}"


def _custody(custody: Custody, zone: ZoneInfo) -> list[str]:
    said = []
    if custody.moved_to:
        said.append(f"moved    to {custody.moved_to}: closed for ever, can be read")
    if custody.copied_ms is not None:
        said.append(f"copy     of {local_time(custody.copied_ms, zone)}: can be read, is not sent with")
    if custody.accepted_ms is not None:
        said.append(f"accepted {local_time(custody.accepted_ms, zone)}, after it was restored from a copy")
    return said


def ledger_as_json(view: LedgerView) -> dict[str, object]:
    """The same, times in UTC."""
    custody, oldest = view.custody, next(iter(view.senders), None)
    return {
        "ledger": {
            "url": view.url,
            "id": view.id,
            "live": view.live,
            "bytes": view.size_bytes,
            "version": view.version,
            "batches": len(view.batches),
            "open": [batch.name for batch in view.open],
            "holder": oldest and {"pid": oldest.pid, "command": oldest.command},
            "copied_at": custody.copied_ms and host.iso(custody.copied_ms),
            "moved_to": custody.moved_to or None,
            "accepted_at": custody.accepted_ms and host.iso(custody.accepted_ms),
            "faults": list(view.faults),
        }
    }


def providers(installed: Mapping[str, str], settings: Settings) -> str:
    """Adapters and profiles."""
    adapters = table(("adapter", "from"), installed.items())
    rows = (
        (name, profile.kind, profile.login or "not set", profile.base_url, f"{profile.rate or 'none'}")
        for name, profile in settings.profiles.items()
    )
    profiles = table(("profile", "kind", "login", "base_url", "rate"), rows)
    source = f"settings: {settings.source or 'none; batchcredit init writes them'}"
    return text(adapters, "", profiles, source) if settings.profiles else text(adapters, "", source)


def providers_as_json(installed: Mapping[str, str], settings: Settings) -> dict[str, object]:
    """The same; no secret is part of it."""
    profiles = [
        {"name": name, "kind": profile.kind, "login": profile.login, "base_url": profile.base_url}
        for name, profile in settings.profiles.items()
    ]
    return {"adapters": dict(installed), "profiles": profiles}


def sandbox(address: SandboxAddress) -> str:
    """The settings to paste into a batchcredit.toml."""
    return f"""\
# both providers are played on this machine until this command is stopped (Ctrl-C)
ledger = "sqlite:///sandbox-ledger.db"  # in the working folder, apart from the ledger of real money

[providers.clicksend]
kind = "clicksend"
base_url = "{address.clicksend_url}"
username = "sandbox"
api_key = "sandbox"

[providers.fastmessage]
kind = "fastmessage"
base_url = "{address.fastmessage_url}"
partner_id = "1"
apikey = "sandbox"

# what was executed: {address.control_url}/book"""


def sandbox_as_json(address: SandboxAddress) -> dict[str, str]:
    """The addresses."""
    return {
        "clicksend": address.clicksend_url,
        "fastmessage": address.fastmessage_url,
        "control": address.control_url,
    }
