"""Tab in a real shell: commands, flags, files and batches."""

import re
import shutil
import sys

import pytest
from command_line import CommandLine, Ended, Sandbox, run
from terminal import terminal

#: From the shell's prompt to the word that Tab made of what was typed: Ctrl-A, and the words one by one.
_SHOW = "\x01printf '<%s>' \x05\r"


def bash(cli: CommandLine, line: str) -> list[str]:
    """The words of a command line after Tab was pressed at its end, in a bash that was started anew."""
    shim = cli.home / "bin" / "batchcredit"
    shim.parent.mkdir(exist_ok=True)
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m batchcredit "$@"\n')
    shim.chmod(0o755)
    cli.env["PATH"] = f"{shim.parent}:{cli.env['PATH']}"
    with (cli.home / ".bashrc").open("a") as start:
        start.write("PS1='ready> '\n")
    with terminal(cli, "--noprofile", "-i", program=("bash",)) as shell:
        shell.wait_for("ready> ")
        shell.type(f"{line}\t")
        shell.type(_SHOW)
        shell.type("echo END\r")
        shell.wait_for("\nEND")
        return re.findall(r"<([^<>%]*)>", shell.shown)  # without the echo of what was typed


def installed(cli: CommandLine, shell: str) -> Ended:
    ended = cli("completion", shell, "--install")
    assert ended.code == 0, ended
    return ended


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ledger b", ["ledger", "backup"]),
        ("run --expect-r", ["run", "--expect-rows"]),
        ("resolve march --as not", ["resolve", "march", "--as", "not-credited"]),
        ("run mar", ["run", "march list.csv"]),
    ],
)
def test_bash_offers_what_fits(cli: CommandLine, line: str, words: list[str]) -> None:
    """Commands, their parts, flags, choices, and files where a file is meant."""
    (cli.folder / "march list.csv").write_text("")
    installed(cli, "bash")
    assert bash(cli, f"batchcredit {line}") == ["batchcredit", *words]


def test_bash_offers_the_batches_of_the_ledger(shop: CommandLine, sandbox: Sandbox) -> None:
    """A batch is offered by name, with a file of ours beside it where one may be given; nothing is made."""
    installed(shop, "bash")
    assert bash(shop, "batchcredit show mar") == ["batchcredit", "show", "mar"]
    assert not shop.ledger.exists()
    assert run(shop, shop.write("march.csv", [("clicksend", "10001", "5", "USD")])).code == 0
    *_, name = bash(shop, "batchcredit show mar")
    assert re.fullmatch("march-[0-9a-f]{8}", name)
    assert bash(shop, f"batchcredit resume {name}.r")[-1] == f"{name}.results.csv"


@pytest.mark.parametrize(
    "start",
    ["", "autoload -Uz compinit && compinit -u\n"],
    ids=["a zsh without completion", "one that completes already"],
)
def test_zsh_completes_whatever_it_read_before(cli: CommandLine, start: str) -> None:
    """What --install adds is enough by itself, and is added once."""
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed here: what it does with the script is not tried")
    rc = cli.home / ".zshrc"
    rc.write_text(f"{start}PS1='ready> '\n")
    installed(cli, "zsh")
    text = rc.read_text()
    assert str(rc) not in installed(cli, "zsh").stderr
    assert rc.read_text() == text
    with terminal(cli, "-i", program=("zsh",)) as shell:
        shell.wait_for("ready> ")
        shell.type("echo $_comps[batchcredit]\r")
        shell.wait_for("\n_cyclopts_batchcredit")


def test_it_writes_only_when_asked_and_says_what(cli: CommandLine) -> None:
    """Without --install nothing is written; with it one file and one line, however often."""
    start = cli.home / ".bashrc"
    start.write_text("# mine\n")
    printed = cli("completion", "bash")
    assert "-F _batchcredit batchcredit" in printed.stdout
    assert start.read_text() == "# mine\n"
    first = installed(cli, "bash")
    path = first.stdout.strip()
    assert path.startswith(str(cli.home))
    assert str(start) in first.stderr
    text = start.read_text()
    assert text.startswith("# mine\n")
    assert path in text
    assert str(start) not in installed(cli, "bash").stderr
    assert start.read_text() == text


def test_what_can_not_be_written_is_told(cli: CommandLine) -> None:
    """A home that takes no file ends in a sentence and its cure."""
    (cli.home / ".local").write_text("in the way")
    ended = cli("completion", "bash", "--install", "--json")
    assert ended.refusal == (5, "out_unwritable")
    assert "batchcredit completion bash >" in ended.json["error"]["cure"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_of_that_shell(cli: CommandLine, shell: str) -> None:
    """The shell itself finds no fault in it."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed here: its script is not tried")
    script = cli.folder / "script"
    script.write_text(cli("completion", shell).stdout)
    ended = cli.program(shell, "-n", str(script))
    assert (ended.returncode, ended.stderr) == (0, "")
