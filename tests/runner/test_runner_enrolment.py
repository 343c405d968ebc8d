"""What a batch is called, and what a file is to a ledger."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runner_parts import BATCH, worksheet

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchRecord, LedgerReader
from batchcredit.reader import ReadOptions, Survey
from batchcredit.reader.survey import Twins
from batchcredit.runner.intake import enrolment
from batchcredit.runner.options import InputOptions
from batchcredit.transfer import BATCH_NAME

CONTENT = bytes(range(32))


@settings(deadline=None)
@given(st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1))
def test_any_file_gives_a_name_that_a_batch_may_have(stem: str) -> None:
    """The default name of a file, whatever it is called, is one that --batch would take."""
    name = enrolment.default_name(Path(f"/somewhere/{stem}.csv"), CONTENT)
    assert BATCH_NAME.fullmatch(name)
    assert name.endswith("-00010203")


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "CSV", "CSV.GZ"])
def test_the_format_is_no_part_of_the_name(ending: str) -> None:
    """A batch keeps its name when its file is compressed or converted."""
    assert enrolment.default_name(Path(f"März 2026.{ending}"), CONTENT) == "M-rz-2026-00010203"


def found(
    batches: Sequence[BatchRecord], content: bytes, name: str | None, window_ms: int
) -> enrolment.Target:
    ledger = SimpleNamespace(
        batches_of=lambda wanted: [batch for batch in batches if batch.content == wanted],
        batches=lambda begin: [batch for batch in batches if batch.name.startswith(begin)],
        rows=lambda *_: [],
    )
    survey = Survey(1, 1, {}, {}, content, Twins(), Twins(), ())
    given_ = InputOptions(Path("march.csv"), ReadOptions(), name)
    reader = cast(LedgerReader, ledger)
    return enrolment.identify(reader, given_, survey, worksheet([]), window_ms)


OPEN = replace(BATCH, content=CONTENT)
HOUR_MS = 3_600_000
ENDED: dict[str, Any] = {"finished_ms": host.now_ms() - HOUR_MS}


def test_known_content_is_its_batch_whatever_the_file_is_called() -> None:
    """The newest batch of this content is the one that goes on."""
    newest = replace(OPEN, id=2, name="april")
    assert found([newest, OPEN], CONTENT, None, 0).batch is newest


def test_a_name_makes_known_content_new() -> None:
    """With --batch the same rows are another batch, unless the name is theirs."""
    assert found([OPEN], CONTENT, "april", 0).batch is None
    assert found([OPEN], CONTENT, OPEN.name, 0).batch is OPEN


def test_unknown_content_is_new() -> None:
    """Rows that no batch has are a new batch with the default name."""
    target = found([OPEN], bytes(32), None, 0)
    assert (target.batch, target.name) == (None, "march-00000000")


@pytest.mark.parametrize("name", [None, OPEN.name])
def test_a_batch_that_ended_long_ago_is_refused(name: str | None) -> None:
    """Within the window a finished batch is itself; after it, its date and the way out are told."""
    ended = replace(OPEN, **ENDED)
    assert found([ended], CONTENT, name, 24 * HOUR_MS).batch is ended
    with pytest.raises(RefusedError) as caught:
        found([ended], CONTENT, name, HOUR_MS // 2)
    assert host.iso(ENDED["finished_ms"]) in str(caught.value)
    assert "--batch NAME" in caught.value.cure
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["", "a/b", "-x", ".x", "a b", "x" * 101, "ü"])
def test_a_name_that_could_be_no_file_is_refused(name: str) -> None:
    """A batch's name becomes a file's name."""
    with pytest.raises(RefusedError, match="no name for a batch"):
        found([], CONTENT, name, 0)
