"""The values of a report as they go out as JSON."""

import dataclasses
import json
from decimal import Decimal

from report_parts import example

from batchcredit.report.model import ROWS, Balance, as_json


def test_json_is_exact_and_whole() -> None:
    """Each field is in it, amounts are text without rounding, moments are UTC."""
    report = example()
    told = as_json(report)
    assert isinstance(told, dict)
    assert json.loads(json.dumps(told)) == told
    assert set(told) == {field.name for field in dataclasses.fields(report)}
    assert told["totals"][0]["by_status"]["credited"] == {"rows": 9_700, "amount": "1234567.8901"}
    assert told["series"][1]["limit_per_s"].startswith("0.3333")
    assert told["made_at"] == "2026-04-01T09:04:05.678Z"
    assert told["attempts"]["1"] == 9_980


def test_example_adds_up_and_a_lost_cent_shows() -> None:
    """What is drawn as conserved is; a cent less, or a row more, is not."""
    report = example()
    assert report.is_conserved
    cent_less = Balance("AUD", Decimal(10), {"credited": Decimal("9.99")})
    row_more = Balance(ROWS, Decimal(10), {"credited": Decimal(11)})
    assert not dataclasses.replace(report, conservation=(*report.conservation, cent_less)).is_conserved
    assert not dataclasses.replace(report, conservation=(*report.conservation, row_more)).is_conserved
