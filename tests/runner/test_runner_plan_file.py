"""A plan that was changed, in whatever way, is not one any more."""

import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runner_parts import how, profile

from batchcredit.errors import RefusedError
from batchcredit.reader import ReadOptions, Survey, Total, Twins
from batchcredit.runner import plan_file
from batchcredit.runner.options import InputOptions

SURVEY = Survey(2, 2, {}, {("clicksend", "USD"): Total(2, Decimal("11.50"))}, b"c" * 32, Twins(), Twins(), ())
SUBJECT = plan_file.subject_of(
    InputOptions(Path("march.csv"), ReadOptions(currency="USD")),
    SURVEY,
    how(),
    {"clicksend": profile()},
    "LIVE",
)
NEEDED = {"clicksend": {"USD": Total(2, Decimal("11.50"))}}


def written(folder: str) -> Path:
    path = Path(folder) / "plan.json"
    plan_file.write_plan(path, Path("march.csv"), SUBJECT, "march", NEEDED)
    return path


def test_a_plan_comes_back_as_it_was() -> None:
    """What was written agrees with what was checked, and with nothing beyond it."""
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_file.read_plan(written(folder))
    plan.refuse_other(SUBJECT, 1000_000)
    plan.refuse_more(NEEDED)
    plan.refuse_more({"clicksend": {"USD": Total(1, Decimal("11.5"))}})
    for more in (Total(2, Decimal("11.5001")), Total(3, Decimal(1))):
        with pytest.raises(RefusedError, match="were checked, now there are"):
            plan.refuse_more({"clicksend": {"USD": more}})


SCALARS = st.one_of(st.none(), st.integers(), st.text(max_size=5), st.just([]))


def places(said: Any, where: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The way to each value that is no object."""
    if not isinstance(said, dict):
        return [where]
    return [place for key, value in said.items() for place in places(value, (*where, key))]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_each_change_by_hand_is_seen(data: st.DataObject) -> None:
    """Whatever value is changed, taken away or added, whatever stands there instead: refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = written(folder)
        said = json.loads(path.read_text())
        place = data.draw(st.sampled_from([*places(said), ("extra",)]))
        inner = said
        for key in place[:-1]:
            inner = inner[key]
        value = data.draw(SCALARS.filter(lambda one: one != inner.get(place[-1], ...)))
        inner[place[-1]] = value
        path.write_text(json.dumps(said))
        with pytest.raises(RefusedError) as caught:
            plan_file.read_plan(path)
    assert caught.value.reason == "plan_edited"


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b'{"hash": 1}', b"[" * 100_000, b"\xff"])
def test_what_is_no_plan_is_refused(content: bytes, tmp_path: Path) -> None:
    """Any bytes get an answer."""
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(RefusedError) as caught:
        plan_file.read_plan(path)
    assert caught.value.reason == "plan_edited"
