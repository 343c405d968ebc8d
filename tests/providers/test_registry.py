"""Finding adapters, and refusing those that do not keep the promise."""

import subprocess
import sys
from pathlib import Path

import pytest

from batchcredit.errors import RefusedError
from batchcredit.providers.clicksend import ClickSend
from batchcredit.providers.fastmessage import FastMessage
from batchcredit.providers.registry import installed, load


def install(folder: Path, kind: str, target: str, distribution: str) -> None:
    """Lays a distribution's metadata into `folder`, as an installer would."""
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[batchcredit.providers]\n{kind} = {target}\n")


def refusal(kind: str) -> RefusedError:
    with pytest.raises(RefusedError) as refused:
        load(kind)
    return refused.value


def test_the_built_in_two_come_through_the_door() -> None:
    """Both are found by their entry points."""
    assert load("clicksend") is ClickSend
    assert load("fastmessage") is FastMessage
    assert {"clicksend", "fastmessage"} <= set(installed())
    assert installed()["clicksend"].startswith("batchcredit ")


def test_only_the_kind_that_is_asked_for_is_imported() -> None:
    """A broken or slow adapter costs nothing to those who do not use it."""
    program = (
        "import sys; from batchcredit.providers.registry import installed, load;"
        "installed(); load('clicksend');"
        "sys.exit('batchcredit.providers.fastmessage' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_an_unknown_kind_names_the_known_and_the_nearest() -> None:
    """A slip of the keyboard is answered with what was probably meant."""
    refused = refusal("clicksned")
    assert refused.reason == "unknown_kind"
    assert "clicksend, fastmessage" in str(refused)
    assert "clicksend" in refused.cure


@pytest.mark.parametrize(
    ("source", "breach"),
    [
        ("raise ValueError('no such thing')", "imported"),
        ("other = 1", "imported"),
        ("adapter = 1", "not a subclass"),
        ("class adapter: kind = 'broken'", "not a subclass"),
        ("from batchcredit.providers.base import Provider as adapter", "lacks"),
        ("from batchcredit.providers.clicksend import ClickSend as adapter", "'clicksend'"),
        (
            "from batchcredit.providers.clicksend import ClickSend\n"
            "class adapter(ClickSend): kind, settings = 'broken', dict",
            "settings",
        ),
        (
            "from batchcredit.providers.clicksend import ClickSend\n"
            "class adapter(ClickSend): kind, rules = 'broken', {}",
            "rules",
        ),
    ],
)
def test_a_broken_adapter_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, breach: str
) -> None:
    """An adapter that breaks the promise is refused before use, naming the distribution it came with."""
    (tmp_path / "broken_adapter.py").write_text(source)
    install(tmp_path, "broken", "broken_adapter:adapter", "broken-dist")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_adapter", raising=False)
    refused = refusal("broken")
    assert refused.reason == "broken_adapter"
    assert breach in str(refused)
    assert "broken-dist 1.0" in str(refused)
    assert load("clicksend") is ClickSend


def test_two_distributions_with_one_kind_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of two adapters would send the money must not be a guess."""
    install(tmp_path, "clicksend", "somewhere:Else", "impostor")
    monkeypatch.syspath_prepend(tmp_path)
    refused = refusal("clicksend")
    assert "impostor 1.0" in str(refused)
    assert "batchcredit " in str(refused)
    assert load("fastmessage") is FastMessage
