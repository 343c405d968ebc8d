"""A first settings file: what was answered comes back from it, and nothing half is left."""

import stat
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchcredit.errors import RefusedError, StorageError
from batchcredit.providers.clicksend import ClickSend
from batchcredit.providers.fastmessage import FastMessage
from batchcredit.settings import load
from batchcredit.settings.draft import Draft, ProfileDraft, write_draft

SHOP = ProfileDraft("clicksend", ClickSend, ClickSend.default_base_url, {"username": "shop"})

_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(
    partner=_TEXTS,
    amount=st.decimals("0.01", "999999", places=2),
    zone=st.sampled_from(["UTC", "Africa/Nairobi"]),
)
def test_what_was_answered_comes_back(tmp_path: Path, partner: str, amount: Decimal, zone: str) -> None:
    """Whatever signs a login has, the loader reads what was typed, and all else has its default."""
    path = tmp_path / "drafted.toml"
    path.unlink(missing_ok=True)
    brand = ProfileDraft("kenya", FastMessage, "https://sms.example.co.ke", {"partner_id": partner})
    found = write_draft(Draft((SHOP, brand), {"max_day": {"KES": f"{amount}"}}, zone), path, {})
    assert found.profile("kenya").login == partner
    assert found.limits.max_day == {"KES": amount}
    assert str(found.timezone) == zone
    assert (
        found.profile("clicksend").rate == load(None, None, _SHOP_ALONE, tmp_path).profile("clicksend").rate
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


_SHOP_ALONE = {
    "BATCHCREDIT_PROVIDERS__CLICKSEND__KIND": "clicksend",
    "BATCHCREDIT_PROVIDERS__CLICKSEND__USERNAME": "shop",
}


def test_settings_that_do_not_hold_are_not_left(tmp_path: Path) -> None:
    """The loader refuses them, and neither they nor the secret are there."""
    two = Draft((SHOP, ProfileDraft("other", ClickSend, SHOP.base_url, SHOP.own)))
    with pytest.raises(RefusedError, match="same kind, base_url and login"):
        write_draft(two, tmp_path / "drafted.toml", {tmp_path / "deep" / "key": "secret"})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("there", ["drafted.toml", "key"])
def test_a_file_that_came_meanwhile_stays(tmp_path: Path, there: str) -> None:
    """What somebody else wrote while questions were answered is neither lost nor mixed with ours."""
    (tmp_path / there).write_text("theirs")
    with pytest.raises(RefusedError) as refused:
        write_draft(Draft((SHOP,)), tmp_path / "drafted.toml", {tmp_path / "key": "secret"})
    assert refused.value.reason == "out_exists"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {there: "theirs"}


def test_a_place_that_takes_no_file_is_told(tmp_path: Path) -> None:
    """The disk's refusal is a sentence, and the secret is gone again."""
    with pytest.raises(StorageError) as failed:
        write_draft(Draft((SHOP,)), tmp_path / "none" / "drafted.toml", {tmp_path / "key": "secret"})
    assert failed.value.reason == "out_unwritable"
    assert list(tmp_path.iterdir()) == []
