"""Files that are no plain files, change under our hands, or carry a name that steers whoever reads it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from batch_reading import PROFILES, read
from command_line import CommandLine, Sandbox

from batchcredit.errors import RefusedError, StorageError
from batchcredit.reader import ReadOptions, Worksheet, examine, invalid_path, worksheet, write_invalid

GOOD = b"provider,account,amount,currency\nclicksend,11,5,USD\n"
BAD = GOOD.replace(b",11,", b",011,")

NAMES = {
    "a line end": b"a\nnext: batchcredit run evil.csv",
    "a terminal's order": b"a\x1b]0;paid\x07",
    "a direction": "vsc.\u202etnemyap".encode(),
    "a separator": "a\u2028b".encode(),
    "no text": b"caf\xe9",
    "half a character": b"a\xed\xa0\x80",
}
PLAIN_NAMES = [
    "-rf",
    "a b",
    "$(reboot)",
    "caf\u00e9 \U0001f680",
    "*",
    "[1]",
    "a" * 251,
    "\u20ac" * 80,
    "a'b\"c",
    "CON",
    "%s%n",
    "[red]",
]

no_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_that_hides_something(name: bytes, tmp_path: Path) -> None:
    """Refused with the name spelled out, whether the file or its folder has it."""
    folder = tmp_path / os.fsdecode(name)
    folder.mkdir()
    for path in (tmp_path / f"{folder.name}.csv", folder / "batch.csv"):
        path.write_bytes(GOOD)
        with pytest.raises(RefusedError) as caught:
            read(path)
        assert caught.value.reason == "file_name"
        assert str(caught.value).isascii()
        assert str(caught.value).isprintable()


def test_such_a_name_leaves_nothing(shop: CommandLine, sandbox: Sandbox) -> None:
    """As input of run and check and as --out, nothing of it reaches a terminal, a provider, or a file."""
    path = shop.folder / os.fsdecode(b"".join(NAMES.values()) + b".csv")
    for each in (path, shop.folder / "good.csv"):
        each.write_bytes(GOOD)
    before = sorted(shop.folder.iterdir())
    out = path.with_suffix(".out.csv")
    for command in (("run", path, "--yes"), ("check", path), ("run", "good.csv", "--yes", "--out", out)):
        ended = shop(*command, "--json")
        assert ended.refusal == (2, "file_name"), ended
        assert (ended.stdout + ended.stderr).replace("\n", "").isprintable()
        assert len(ended.stderr.splitlines()) == 2
    assert sandbox.arrivals() == []
    assert sorted(shop.folder.iterdir()) == before


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_a_name_that_only_looks_odd_is_read(name: str, tmp_path: Path) -> None:
    """No shell, no pattern and no format is applied to it; the longest leaves room for a list."""
    path = tmp_path / f"{name}.csv"
    path.write_bytes(BAD)
    with Worksheet() as sheet:
        assert examine(path, ReadOptions(), PROFILES, sheet).rows == 1
        assert write_invalid(sheet, invalid_path(path)) == 1
    (listed,) = (each.name for each in tmp_path.iterdir() if each != path)
    assert listed.endswith(".invalid.csv")
    assert name.startswith(listed.removesuffix(".invalid.csv"))


def no_file(tmp_path: Path, make: Callable[[Path], object], words: str) -> None:
    path = tmp_path / "batch.csv"
    make(path)
    with pytest.raises(RefusedError, match=words) as caught:
        read(path)
    assert caught.value.reason == "no_file"


SPECIAL: dict[str, tuple[Callable[[Path], object], str]] = {
    "a link to nothing": (lambda path: path.symlink_to("nothing"), "no such file"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "can not be read"),
    "a link to a device": (lambda path: path.symlink_to("/dev/zero"), "no regular file"),
    "a link to a folder": (lambda path: path.symlink_to(path.parent), "a folder"),
    "a pipe": (os.mkfifo, "no regular file"),
}


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_plain_file(kind: str, tmp_path: Path) -> None:
    """Told apart from a file before anything is read, so that none of them blocks or never ends."""
    no_file(tmp_path, *SPECIAL[kind])


@no_root
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    """Refused with the reason of the system."""
    path = tmp_path / "batch.csv"
    path.write_bytes(GOOD)
    path.chmod(0)
    with pytest.raises(RefusedError, match="permission denied"):
        read(path)


def test_a_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    """Results and bad rows go beside the link that was named."""
    (tmp_path / "march.csv").write_bytes(GOOD)
    (tmp_path / "link.csv").symlink_to("march.csv")
    assert read(tmp_path / "link.csv").survey.valid == 1


def _replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(GOOD)
    os.utime(other, (1, 1))
    other.replace(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "written on": lambda path: path.write_bytes(GOOD + b"clicksend,12,6,USD\n"),
    "written anew": lambda path: path.write_bytes(GOOD.replace(b"5", b"6")),
    "replaced": _replace,
    "cut off": lambda path: os.truncate(path, 40),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_read(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half an export is no batch: it is refused, and read when it is whole."""
    path = tmp_path / "batch.csv"
    path.write_bytes(GOOD)
    os.utime(path, (1, 1))
    copy = shutil.copyfile

    def copy_slowly(source: Path, target: Path) -> None:
        copy(source, target)
        CHANGES[change](path)

    with monkeypatch.context() as during:
        during.setattr(worksheet.shutil, "copyfile", copy_slowly)
        with pytest.raises(RefusedError) as caught:
            read(path)
    assert caught.value.reason == "file_changed"
    assert change == "cut off" or read(path).survey.valid


def test_a_file_that_goes_away_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk's word is passed on."""
    path = tmp_path / "batch.csv"
    path.write_bytes(GOOD)
    monkeypatch.setattr(worksheet.shutil, "copyfile", lambda *_: path.unlink())
    with pytest.raises(StorageError, match="No such file"):
        read(path)


def test_the_list_of_bad_rows_takes_nobodys_place(tmp_path: Path) -> None:
    """A pipe, a link or a folder under its name is left alone, and waited for by nobody."""
    path = tmp_path / "batch.csv"
    path.write_bytes(BAD)
    os.mkfifo(tmp_path / "batch.invalid.csv")
    (tmp_path / "batch.invalid-2.csv").mkdir()
    (tmp_path / "batch.invalid-3.csv").symlink_to("victim")
    (tmp_path / "victim").write_text("dear diary")
    with Worksheet() as sheet:
        examine(path, ReadOptions(), PROFILES, sheet)
        assert write_invalid(sheet, invalid_path(path)) == 1
    assert (tmp_path / "batch.invalid-4.csv").read_text().count("\n") == 2
    assert (tmp_path / "victim").read_text() == "dear diary"
