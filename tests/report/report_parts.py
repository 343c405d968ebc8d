"""A report to draw: a month end that went badly, and whose cells mean harm."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from batchcredit.report.model import (
    FROM_LEDGER,
    LIVE,
    ROWS,
    Balance,
    ControlTotal,
    Enrolled,
    LaneFigures,
    Latency,
    LatencyBucket,
    MoneyFigures,
    NeedsSomeone,
    OwnAccount,
    PauseFigures,
    ReasonCount,
    Report,
    RequestSeries,
    RunFigures,
    SenderFigures,
    Standing,
    Sum,
)

BEGAN = datetime(2026, 3, 31, 15, 4, 5, 678000, tzinfo=UTC)

#: What somebody may have written into a cell, a reference or an answer.
HOSTILE = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "\"><svg/onload=document.title='owned'>",
    "</script><script>document.title='owned'</script>",
    "<!--<script>",
    "javascript:document.title='owned'",
    "'; document.title='owned'; //",
    '=HYPERLINK("http://192.0.2.1/","x")',
    "{{constructor.constructor('document.title=1')()}}",
    "\u202egnp.exe",
    "\x1b[2J\x1b]0;owned\x07",
    "&lt;b&gt; & \u2028 \u2029 ]]>",
    "https://192.0.2.1/beacon.png",
    "long " * 80,
)

_STEPS = {
    "in_doubt": ("Look it up at the provider, then say what you found. Do not send it again.", "reconcile"),
    "rejected": ("The provider has no such client. Correct the account.", "resume"),
    "invalid": ("The amount has more decimals than the provider takes. Correct the amount.", "resume"),
    "not_sent": ("The run was stopped before its turn: send what is left.", "resume"),
}

_REASONS = {
    "in_doubt": "lost_answer",
    "rejected": "unknown_account",
    "invalid": "amount_decimals",
    "not_sent": "stopped",
}


def need(row: int, status: str, **said: str) -> NeedsSomeone:
    """A row that needs somebody, as most of them look."""
    step, command = _STEPS[status]
    reason = _REASONS[status]
    return NeedsSomeone(
        row=row,
        provider=said.get("provider", "clicksend-au" if row % 2 else "kenya"),
        account=said.get("account", f"client-{row:05}"),
        amount=said.get("amount", f"{row}.25"),
        currency=said.get("currency", "AUD" if row % 2 else "KES"),
        reference=said.get("reference", f"INV-{row}"),
        status=status,
        reason=reason,
        message=said.get("message", "the answer was lost" if status == "in_doubt" else ""),
        sent_at=BEGAN + timedelta(seconds=row) if status in ("in_doubt", "rejected") else None,
        next_step=step,
        command=f"batchcredit {command} march-1a2b3c4d",
    )


def needs_of(number: int) -> tuple[NeedsSomeone, ...]:
    """So many rows that need somebody, the most urgent first, hostile text in each kind of cell."""
    statuses = list(_STEPS)
    found = []
    for row in range(1, number + 1):
        hostile = HOSTILE[row % len(HOSTILE)]
        cell = ("account", "reference", "message", "currency", "amount", "provider")[row % 6]
        said = {cell: hostile} if row % 3 == 0 else {}
        found.append(need(row, statuses[(row - 1) * len(statuses) // number], **said))
    return tuple(found)


def _money(provider: str, currency: str, **rows_and_amounts: tuple[int, str]) -> MoneyFigures:
    sums = {status: Sum(rows, Decimal(amount)) for status, (rows, amount) in rows_and_amounts.items()}
    total = Sum(
        sum(one.rows for one in sums.values()), sum((one.amount for one in sums.values()), Decimal(0))
    )
    return MoneyFigures(provider, currency, total, sums)


_AUD = {"credited": (9_700, "1234567.8901"), "rejected": (2, "20"), "in_doubt": (2, "12.5")}
_KES = {"credited": (280, "56000"), "not_sent": (12, "2400.75"), "cancelled": (2, "400")}


def _runs() -> tuple[RunFigures, ...]:
    settings = {
        "clicksend-au.rate": "10/s",
        "clicksend-au.concurrency": "8",
        "clicksend-au.timeout": "30 s",
        "kenya.rate": "20/min",
        "kenya.concurrency": "1",
        "limits.max_total.AUD": "2000000",
        "max_pause": "900 s",
    }
    said = {
        "approval": "asked and agreed",
        "version": "0.1.0",
        "python": "3.11.9",
        "platform": "Linux x86_64",
    }
    first = RunFigures(
        number=1,
        began=BEGAN,
        ended=BEGAN + timedelta(minutes=16),
        user="ada",
        host="finance-1",
        stop_reason="stopped",
        command="run march.csv",
        settings=settings,
        senders=(SenderFigures("ada", "finance-1", 4711, BEGAN, BEGAN + timedelta(minutes=16), ""),),
        **said,
    )
    second = RunFigures(
        number=2,
        began=BEGAN + timedelta(hours=17),
        ended=None,
        user=HOSTILE[0],
        host="finance-2",
        stop_reason="",
        command="resume march",
        settings=settings,
        senders=(),
        **said,
    )
    return first, second


def _series() -> tuple[RequestSeries, ...]:
    busy = tuple(0 if 60 <= second < 75 else 47 + second % 4 for second in range(0, 960, 5))
    return (
        RequestSeries(1, "clicksend-au", BEGAN, 5_000, busy, Decimal(10)),
        RequestSeries(1, "kenya", BEGAN, 5_000, (2, 1) * 96, Decimal(20) / 60),
        RequestSeries(2, "clicksend-au", BEGAN + timedelta(hours=17), 1_000, (9, 10, 10, 4), None),
    )


def _latencies() -> tuple[Latency, ...]:
    peak = ((64, 120), (128, 4200), (256, 4800), (512, 540), (1024, 30), (2048, 0), (4096, 0), (8192, 14))
    buckets = tuple(LatencyBucket(from_ms, from_ms * 2, requests) for from_ms, requests in peak)
    return (
        Latency("clicksend-au", buckets, 241, 488, 870, 12_004),
        Latency("kenya", (LatencyBucket(512, 1024, 282),), 700, 910, 1001, 1010),
    )


def example(needing: int = 18, needs_total: int | None = None) -> Report:
    """A report with `needing` rows that need somebody on it."""
    lanes = (
        LaneFigures(
            "clicksend-au",
            "clicksend",
            "top-up@example.com",
            "https://rest.clicksend.com",
            "",
            "",
            (_money("clicksend-au", "AUD", **_AUD),),
        ),
        LaneFigures(
            "kenya",
            "fastmessage",
            "KE-1041",
            "https://fastmessage.example/<b>path</b>",
            "wallet_empty",
            f"Insufficient balance {HOSTILE[1]}",
            (_money("kenya", "KES", **_KES),),
        ),
    )
    counts = {"credited": 9_980, "rejected": 2, "in_doubt": 2, "not_sent": 12, "cancelled": 2, "invalid": 2}
    aud = {status: Decimal(amount) for status, (_, amount) in _AUD.items()}
    kes = {status: Decimal(amount) for status, (_, amount) in _KES.items()}
    return Report(
        batch="march-1a2b3c4d",
        mode=LIVE,
        made_at=BEGAN + timedelta(hours=18),
        made_by="0.1.0",
        source=FROM_LEDGER,
        where="sqlite:////var/lib/batchcredit/ledger.db",
        zone="Africa/Nairobi",
        enrolled=Enrolled("/home/ada/march & <april>.csv", "1a2b3c4d" * 8, BEGAN - timedelta(seconds=40)),
        results="/home/ada/march-1a2b3c4d.results.csv",
        rows=10_000,
        invalid=2,
        standing=Standing(exit_code=3, next="batchcredit reconcile march-1a2b3c4d", stop_reason="stopped"),
        lanes=lanes,
        counts=counts,
        totals=(_money("", "AUD", **_AUD), _money("", "KES", **_KES)),
        conservation=(
            Balance(ROWS, Decimal(10_000), {status: Decimal(rows) for status, rows in counts.items()}),
            Balance("AUD", Decimal("1234600.3901"), aud),
            Balance("KES", Decimal("58800.75"), kes),
        ),
        controls=(
            ControlTotal(ROWS, Decimal(10_000), Decimal(10_000), 1),
            ControlTotal("AUD", Decimal("1234600.3901"), Decimal("1234600.3901"), 1),
        ),
        own_accounts=(
            OwnAccount(
                provider="clicksend-au",
                currency="AUD",
                before=Decimal(1300000),
                after=Decimal("65419.61"),
                expected=Decimal("65432.1099"),
                difference=Decimal("-12.4999"),
                explained=None,
                words="explained if every row in doubt was credited",
            ),
        ),
        needs=needs_of(needing),
        needs_total=needing if needs_total is None else needs_total,
        reasons=(
            ReasonCount("stopped", "not_sent", 12),
            ReasonCount("lost_answer", "in_doubt", 2),
            ReasonCount("unknown_account", "rejected", 2),
            ReasonCount("amount_decimals", "invalid", 2),
            ReasonCount(HOSTILE[2], "rejected", 1),
        ),
        overpaid=0,
        decisions=3,
        runs=_runs(),
        series=_series(),
        latencies=_latencies(),
        pauses=(
            PauseFigures(
                "clicksend-au", BEGAN + timedelta(seconds=60), BEGAN + timedelta(seconds=75), "HTTP 429"
            ),
            PauseFigures(
                "kenya", BEGAN + timedelta(minutes=5), BEGAN + timedelta(minutes=6), f"slow down {HOSTILE[0]}"
            ),
        ),
        pauses_total=2,
        attempts={0: 14, 1: 9_980, 2: 4, 3: 2},
        requests=9_994,
        dated=9_986,
        absent=("When the earlier requests of rows that were tried more than once began is not kept: 8.",),
    )


def large(needing: int = 2_000, total: int = 200_000) -> Report:
    """The same with as many rows as a page may hold, of many more."""
    return example(needing, total)
