"""Each command of README, tutorial and how-tos is typed, in order, and says what the page shows."""

import csv
import os
import re
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from command_line import SECRETS, CommandLine, Sandbox, command_line
from documents import ROOT
from forked_program import ForkedProgram
from terminal import terminal
from walkthrough import Command, Event, File, NotRun, missing, plain, steps, words

from batchcredit.sandbox import SandboxAddress, SandboxSettings, sandbox_process

#: So many blocks of each page are not run; each says why on its page.
NOT_RUN = {
    "README.md": 3,
    "docs/tutorial.md": 3,
    "docs/how-to/airflow-kubernetes.md": 2,
    "docs/how-to/cron.md": 1,
    "docs/how-to/proxies.md": 1,
    "docs/how-to/reconcile.md": 1,
    "docs/how-to/write-an-adapter.md": 2,
}

PAGES = [ROOT / "README.md", ROOT / "docs" / "tutorial.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))]

QUIET = '[reconcile]\nquiet = "1s"'


@pytest.fixture(scope="module")
def sandbox_address() -> Iterator[SandboxAddress]:
    with sandbox_process() as address:
        yield address


class Reader:
    """Somebody who follows a page, in an empty folder and with a home of its own."""

    def __init__(self, cli: CommandLine, sandbox: Sandbox) -> None:
        self._cli = cli
        self._sandbox = sandbox
        for name in SECRETS:
            del cli.env[name]
        cli.env |= {"COLUMNS": "110", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def does(self, step: Command | File | Event) -> None:
        """One step of the page; an AssertionError where it goes otherwise than the page says."""
        match step:
            case File(name, text):
                (self._cli.folder / name).write_text(text)
            case Event():
                self._happens(step)
            case Command(line) if assigned := re.fullmatch(r"export (\w+)=(\S*)", line):
                self._cli.env[assigned[1]] = assigned[2]
            case Command():
                code, said = self._typed(step)
                assert code == step.code, f"{step.line}\nended with {code}, not with {step.code}:\n{said}"
                left = missing(plain("\n".join(step.shown), self._cli.folder), plain(said, self._cli.folder))
                assert not left, f"{step.line}\ndid not say: {left}\nbut:\n{said}"

    def _typed(self, step: Command) -> tuple[int, str]:
        arguments = words(step.line)
        if arguments is None:
            done = self._cli.program("bash", "-o", "pipefail", "-c", step.line)
            return done.returncode, done.stderr + done.stdout
        if step.types:
            return self._answered(arguments, step.types)
        ended = self._cli(*arguments)
        return ended.code, ended.stderr + ended.stdout

    def _answered(self, arguments: list[str], answers: tuple[str, ...]) -> tuple[int, str]:
        with terminal(self._cli, *arguments) as screen:
            for answer in answers:
                screen.wait_for("type ")
                screen.type(f"{answer}\n")
            return screen.end(), screen.shown

    def _happens(self, event: Event) -> None:
        match event.name, event.rest.split():
            case "sandbox", []:
                self._cli.configure(self._sandbox.address, self._sandbox.login, tables=QUIET)
                self._cli.env |= SECRETS
            case "sandbox", [account, *faults]:
                self._sandbox.control.script(account, faults)
            case "statement", [name]:
                self._export(self._cli.folder / name)
            case "wait", [seconds]:
                time.sleep(float(seconds))
            case _:
                raise AssertionError(event)

    def _export(self, path: Path) -> None:
        """What the provider's dashboard would export."""
        since_start = time.time() - time.monotonic()
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["Client", "Credit", "Currency", "Date"])
            for entry in self._sandbox.book():
                at = datetime.fromtimestamp(since_start + entry["executed_at"], UTC)
                writer.writerow(
                    [entry["account"], entry["amount"], entry["currency"], f"{at:%Y-%m-%d %H:%M:%S}"]
                )


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_page_can_be_followed(
    page: Path, tmp_path: Path, forks: ForkedProgram, sandbox_address: SandboxAddress
) -> None:
    """From its first command to its last, in a new folder; what is not run is counted."""
    sandbox = Sandbox(sandbox_address, page.stem)
    with command_line(tmp_path, forks) as cli:
        reader, not_run = Reader(cli, sandbox), 0
        for step in steps(page):
            if isinstance(step, NotRun):
                not_run += 1
            else:
                reader.does(step)
        for name in re.findall(r"\b\w+-[0-9a-f]{8}\b(?=[.`])", page.read_text()):
            assert list(cli.folder.glob(f"*{name}*")), f"no file of a batch {name}"
    sandbox.control.clear_script()
    sandbox.control.set(**SandboxSettings().model_dump(mode="json"))
    assert not_run == NOT_RUN.get(page.relative_to(ROOT).as_posix(), 0)


def test_something_is_followed_on_each_page() -> None:
    """The parser is not blind: each page has steps, and most of them are taken."""
    taken = [step for page in PAGES for step in steps(page) if isinstance(step, Command)]
    assert all(any(True for _ in steps(page)) for page in PAGES)
    assert len(taken) >= 2 * sum(NOT_RUN.values())


def test_what_is_not_said_is_missed() -> None:
    """Lines in another order, or with another one between them, are not what a page shows."""
    said = ["a", "b", "c", "d"]
    assert not missing(["a", "b", "...", "d"], said)
    assert not missing(["c"], said)
    assert missing(["a", "c"], said) == "c"
    assert missing(["...", "d", "a"], said) == "a"
    assert missing(["e"], said) == "e"
