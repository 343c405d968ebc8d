"""The sample of a third party's adapter; what every adapter owes is asked in test_provider_contract."""

import tomllib
from pathlib import Path

import pytest
from batchcredit_acme import Acme
from test_registry import install

from batchcredit.providers.base import Answer, Judgement, Ruling
from batchcredit.providers.registry import GROUP, load
from batchcredit.transfer import Transfer

SAMPLE = Path(__file__).parents[2] / "samples" / "acme_adapter"


def test_its_package_declares_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry point in the sample's project file is all it takes to be found."""
    project = tomllib.loads((SAMPLE / "pyproject.toml").read_text())["project"]
    (kind, target), *others = project["entry-points"][GROUP].items()
    install(tmp_path, kind, target, project["name"])
    monkeypatch.syspath_prepend(tmp_path)
    assert load("acme") is Acme
    assert not others


@pytest.mark.parametrize(
    ("result", "ruling", "reason"),
    [
        ("no-such-customer", Ruling.REJECTED, "unknown_account"),
        ("bad-token", Ruling.LANE_REFUSED, "credentials"),
        ("purse-empty", Ruling.LANE_REFUSED, "wallet_empty"),
        ("later", Ruling.DOUBTFUL, "unknown_code"),
    ],
)
def test_its_refusals(result: str, ruling: Ruling, reason: str) -> None:
    """Each word of the provider is judged with its own words kept."""
    acme = Acme("https://acme.invalid", Acme.settings(shop="corner", token="t0ken-for-tests"))
    body = f"result: {result}\ntext: Sorry.\nend\n".encode()
    judgement = acme.judge(Transfer(1, 1, "C-60", "C-60", "5", "EUR", ""), Answer(400, {}, body))
    assert judgement == Judgement(ruling, reason=reason, provider_code=result, message="Sorry.")
