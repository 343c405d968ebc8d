"""report: one batch as a page, for those who approve it and those who look after it."""

import json
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from batchcredit.cli.flags import Common, Guarding, Out, Reading, Sandbox, returned_options, send_options
from batchcredit.cli.naming import BatchOrInput
from batchcredit.cli.pipes import file_of, form_to, incoming, refuse_reading
from batchcredit.cli.session import console_of, put, settings_of, without_batch
from batchcredit.transfer import OVERPAID, STATUSES, shortest

if TYPE_CHECKING:
    from batchcredit.report.model import Report

_READING, _COMMON = Reading(), Common()


def report(
    batch: BatchOrInput,
    /,
    *,
    out: Out = None,
    reading: Reading = _READING,
    sandbox: Sandbox = False,
    common: Common = _COMMON,
) -> int:
    """Write one batch as a page that opens in any browser.

    What was asked and what happened, the rows that need someone and what to do about each, whether rows and
    money add up; then requests, latencies, pauses and settings for the engineer. From the ledger, or from a
    results file alone, which then has to be as it was written. It needs no network, and nothing leaves it.
    """
    from batchcredit.report import renderer
    from batchcredit.runner.returned.reported import report_of_file
    from batchcredit.runner.settling.reporting import refuse_unconserved, report_of_batch
    from batchcredit.writer import report_path, write_report

    draw, console, settings = renderer(), console_of(common), settings_of(common)
    how = send_options("report", common, Guarding(out=out, sandbox=sandbox))
    file = file_of(batch)
    if file is None:
        refuse_reading("report", reading)
        form_to(out, reading.format)
        found = report_of_batch(batch, how, settings)
    else:
        with incoming(file, reading.format) as (called, content):
            given = returned_options(called, reading, content, adopt=False)
            found = report_of_file(given, how, settings)
    path = report_path(found.batch, Path(found.results), out, sandbox=sandbox)
    written = write_report(found.batch, draw(found), path)
    if written != path:
        console.warn(f"{path} is no report of this batch, or is held open; this one is in {written}")
    refuse_unconserved(found, written)
    put(json.dumps(_as_json(found, written)) if common.json else written)
    return 0


def _as_json(report: "Report", page: Path) -> dict[str, object]:
    """The keys of --json, and all figures of the page."""
    from batchcredit.report.model import as_json

    amounts = {
        total.currency: {status: shortest(one.amount) for status, one in total.by_status.items()}
        for total in report.totals
    }
    return without_batch(
        batch=report.batch,
        rows=report.rows,
        counts={status: report.counts.get(status, 0) for status in STATUSES},
        reasons=_reasons(report),
        amounts=amounts,
        results=report.results,
        next=shlex.split(report.standing.next) or None,
        report=str(page),
        figures=as_json(report),
    )


def _reasons(report: "Report") -> dict[str, int]:
    """Rows that are not credited, or not as they should be, by reason."""
    counted: Counter[str] = Counter()
    for one in report.reasons:
        if one.status != "credited" or one.reason == OVERPAID:
            counted[one.reason] += one.rows
    return dict(counted)
