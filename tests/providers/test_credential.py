"""Where a profile's secret comes from."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from batchcredit.errors import RefusedError
from batchcredit.providers.credential import secret_of

KEY = "s3cret-value"


def key_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    file = folder / "key"
    file.write_bytes(content)
    file.chmod(mode)
    return file


def test_a_secret_comes_from_its_setting() -> None:
    """What is given directly is taken as it stands."""
    assert secret_of("api_key", SecretStr(KEY), None) == KEY


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_a_file_gives_its_one_line(tmp_path: Path, ending: bytes) -> None:
    """One line ending of an editor is no part of the secret; spaces are."""
    assert secret_of("api_key", None, key_file(tmp_path, b" s3cret " + ending)) == " s3cret "


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb\n", b"a\n\n", b"\xff", b"a\x00b", b"x" * 5000])
def test_a_file_without_one_line_is_refused(tmp_path: Path, content: bytes) -> None:
    """Anything but one line of text is somebody's mistake, not a secret."""
    with pytest.raises(RefusedError, match="one line") as refused:
        secret_of("api_key", None, key_file(tmp_path, content))
    assert refused.value.reason == "settings"


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such modes")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_others_read_is_refused(tmp_path: Path, mode: int) -> None:
    """A secret that other users can read is refused with the command that mends it."""
    with pytest.raises(RefusedError, match="other users") as refused:
        secret_of("api_key", None, key_file(tmp_path, KEY.encode(), mode))
    assert "chmod 600" in refused.value.cure
    assert KEY not in f"{refused.value} {refused.value.cure}"


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    """A folder, a missing file and a pipe, which would be waited for, are refused."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "missing", tmp_path / "pipe"):
        with pytest.raises(RefusedError):
            secret_of("api_key", None, path)


@pytest.mark.parametrize("given", [None, SecretStr(""), SecretStr("a\nb")])
def test_no_usable_secret_is_refused(given: SecretStr | None) -> None:
    """A missing, empty or unprintable secret is refused, naming its key."""
    with pytest.raises(RefusedError, match="api_key"):
        secret_of("api_key", given, None)


def test_two_secrets_are_refused(tmp_path: Path) -> None:
    """Which of two logins would send the money must not be a guess."""
    with pytest.raises(RefusedError, match="both"):
        secret_of("api_key", SecretStr(KEY), key_file(tmp_path, KEY.encode()))
