"""A settings file that others have a hand in, and secrets in places where nobody expects them."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from batchcredit.errors import RefusedError
from batchcredit.settings import Settings, load

SOUND = '[providers.clicksend]\nkind = "clicksend"\nusername = "me"\n'
KEY = "BATCHCREDIT_PROVIDERS__CLICKSEND__API_KEY"
_ANOTHER_USER = 65534


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without settings of their own."""
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home" / name))
    return tmp_path


def written(folder: Path, toml: str, mode: int = 0o600) -> Path:
    path = folder / "batchcredit.toml"
    path.write_text(toml)
    path.chmod(mode)
    return path


def loaded(folder: Path, config: Path | None = None) -> Settings:
    return load(config, None, {KEY: "secret"}, folder)


def refused(folder: Path, config: Path | None = None) -> str:
    """What is said, cure included, of settings that are refused."""
    with pytest.raises(RefusedError) as caught:
        loaded(folder, config)
    assert caught.value.reason == "settings"
    return f"{caught.value} {caught.value.cure}"


@pytest.mark.parametrize("was_named", [False, True])
@pytest.mark.parametrize("mode", [0o666, 0o602, 0o777])
def test_settings_that_everybody_can_change(mode: int, was_named: bool, folder: Path) -> None:
    """With a proxy and a ca_file of theirs they would read the login, under the provider's own address."""
    path = written(folder, SOUND, mode)
    assert f"chmod o-w {path}" in refused(folder, path if was_named else None)
    path.chmod(0o664)
    assert "clicksend" in loaded(folder).profiles


def test_settings_of_somebody_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another user left in the working directory is not taken by itself, only when it is named."""
    path = written(folder, SOUND, 0o644)
    if os.geteuid() == 0:
        os.chown(path, _ANOTHER_USER, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: _ANOTHER_USER)
    assert f"--config {path}" in refused(folder)
    assert loaded(folder, path).source == path


def test_authorities_that_everybody_can_change(folder: Path) -> None:
    """Whoever can add an authority of their own is whom the login goes to."""
    authorities = folder / "ca.pem"
    authorities.touch()
    authorities.chmod(0o646)
    written(folder, f'{SOUND}ca_file = "{authorities}"\n')
    assert f"chmod o-w {authorities}" in refused(folder)
    authorities.chmod(0o644)
    assert loaded(folder).profiles["clicksend"].ca_file == authorities


def test_other_files_are_no_settings(folder: Path) -> None:
    """Neither a .env nor a .netrc that comes with a file is read."""
    (folder / ".env").write_text(f"{KEY}=theirs\nBATCHCREDIT_PROVIDERS__EVIL__KIND=clicksend\n")
    (folder / ".netrc").write_text("machine rest.clicksend.com login theirs password theirs\n")
    written(folder, SOUND)
    found = load(None, None, {}, folder)
    assert set(found.profiles) == {"clicksend"}
    with pytest.raises(RefusedError, match="api_key is missing"):
        found.provider("clicksend")


#: Where a secret may slip into the place of a key: `@` stands for it.
SLIPS = [
    "@ = 1",
    "[@]\n[@]",
    "[@]\nx = 1",
    "x = { @ = 1, @ = 2 }",
    "x = {}\nx.@ = 1",
    f"{SOUND}@ = 1",
    f"{SOUND}@.@ = 1",
    f"{SOUND}[providers.@]\nkind = 'clicksend'",
    f"{SOUND}[providers.clicksend.@]\nx = 1",
    f"{SOUND}[providers.clicksend.map]\n@ = 1",
    f"{SOUND}[providers.clicksend.rate]\n@ = 1",
    "[limits]\n@ = { USD = '1' }",
    "[limits.max_total]\n@ = '1'",
    "[reconcile]\n@ = '1m'",
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(
    slip=st.sampled_from(SLIPS),
    secret=st.uuids().map(str) | st.from_regex(r"[A-Za-z]\d[A-Za-z'+/=]{8,30}", fullmatch=True),
)
@example(slip=SLIPS[3], secret="a1b'c\"d \\(at) x")
def test_a_secret_in_the_place_of_a_key(folder: Path, slip: str, secret: str) -> None:
    """What does not look like words is not repeated, by a fault or by the reader of TOML."""
    quoted = '"' + secret.replace("\\", "\\\\").replace('"', '\\"') + '"'
    written(folder, slip.replace("@", quoted))
    said = refused(folder)
    assert secret not in said
    assert repr(secret)[1:-1] not in said


def test_a_key_that_looks_like_words_is_named(folder: Path) -> None:
    """Or nobody could find what to mend."""
    written(folder, f"{SOUND}retries = 5\n[providers.kenya_2]\nkind = 'fastmessage'\nbase = 'x'\n")
    said = refused(folder)
    assert "providers.clicksend.retries: unknown key" in said
    assert "providers.kenya_2.base: unknown key" in said
