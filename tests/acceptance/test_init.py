"""The first settings file: asked for on a terminal or written by a script, proven, and private."""

import signal
import stat
import tomllib
from pathlib import Path

import pytest
from command_line import SECRETS, CommandLine, Sandbox, wait_for
from plugins import install
from terminal import CTRL_C, CTRL_D, Terminal, terminal

SECRET = "hush-9f8e7d"
CLICKSEND = ("--provider", "clicksend", "--set", "clicksend.username=shop")


@pytest.fixture
def alone(cli: CommandLine) -> CommandLine:
    """`cli` without anything set for the built-in providers."""
    for name in SECRETS:
        del cli.env[name]
    return cli


def files(cli: CommandLine) -> dict[Path, str]:
    """Everything below a user's home and working folder, but what the tests keep of the commands there."""
    found = [path for each in (cli.home, cli.folder) for path in each.rglob("*") if path.is_file()]
    return {path: path.read_text() for path in found if not path.name.startswith("command-")}


def answered(person: Terminal, sandbox: Sandbox) -> None:
    """Each question of a dialogue about ClickSend, up to the last."""
    for question, answer in (
        ("Which providers", ""),
        ("address of its API", "rest.clicksend.com"),
        ("write https://", sandbox.address.clicksend_url),
        ("the API username: ", sandbox.login),
        ("file for its api_key", ""),
        ("api_key (it is not shown): ", SECRET),
        ("The most for one transfer", "USD:100"),
        ("The most for one batch", ""),
        ("Time zone", "Africa/Nairobi"),
    ):
        person.wait_for(question)
        person.type(f"{answer}\r")
    person.wait_for("Type yes to go on")


def test_a_dialogue_ends_in_settings_that_work(alone: CommandLine, sandbox: Sandbox) -> None:
    """What was answered is loaded and logs in; the secret is never shown and in one private file only."""
    with terminal(alone, "init") as person:
        answered(person, sandbox)
        seen = (
            Path(f"/proc/{person.pid}/cmdline").read_bytes() + Path(f"/proc/{person.pid}/comm").read_bytes()
        )
        assert SECRET.encode() not in seen
        person.type("yes\r")
        assert person.end() == 0
        assert SECRET not in person.shown
        assert "batchcredit providers test clicksend" in person.shown
    written = alone.folder / "batchcredit.toml"
    holders = [path for path, text in files(alone).items() if SECRET in text]
    assert [path.name for path in holders] == ["clicksend.api_key"]
    for path in (written, *holders):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert tomllib.loads(written.read_text())["limits"] == {
        "max_amount": {"USD": "100"},
        "max_total": {"USD": "20000"},
    }
    assert alone("providers", "test", "clicksend").code == 0


@pytest.mark.parametrize("how", ["ctrl-c", "ctrl-d", "kill"])
def test_a_dialogue_that_ends_early_leaves_nothing(alone: CommandLine, sandbox: Sandbox, how: str) -> None:
    """Neither settings nor a secret are there before a person has agreed to all of it."""
    with terminal(alone, "init") as person:
        answered(person, sandbox)
        if how == "kill":
            person.signal(signal.SIGKILL)
        else:
            person.type({"ctrl-c": CTRL_C, "ctrl-d": CTRL_D}[how])
        assert person.end() == (-signal.SIGKILL if how == "kill" else 2)
    assert files(alone) == {}


def test_an_empty_secret_is_asked_for_again(alone: CommandLine) -> None:
    """Enter pressed too early costs nothing that was answered before; the end of what is typed ends it."""
    with terminal(alone, "init", "--provider", "clicksend", "--set", "clicksend.username=shop") as person:
        for question in ("address of its API", "file for its api_key"):
            person.wait_for(question)
            person.type("\r")
        person.wait_for("api_key (it is not shown): ")
        wait_for(lambda: not person.echoes)
        person.type("\r")
        person.wait_for("is needed here")
        wait_for(lambda: not person.echoes)
        person.type(CTRL_D)
        assert person.end() == 2
        assert person.echoes
        assert "type it again, or keep it in the environment" in person.shown
    assert files(alone) == {}


def test_ctrl_c_at_the_secret_gives_the_screen_back(alone: CommandLine) -> None:
    """The terminal shows again what is typed, and nothing was written."""
    with terminal(alone, "init", "--provider", "clicksend", "--set", "clicksend.username=shop") as person:
        person.wait_for("address of its API")
        person.type("\r")
        person.wait_for("file for its api_key")
        person.type("\r")
        person.wait_for("api_key (it is not shown): ")
        wait_for(lambda: not person.echoes)
        person.type(CTRL_C)
        assert person.end() == 2
        assert person.echoes
    assert files(alone) == {}


def test_what_is_there_is_never_overwritten(alone: CommandLine) -> None:
    """Neither settings nor a sample of the same name."""
    ours = alone.folder / "batchcredit.toml"
    ours.write_text("# mine\n")
    for flags in (("--provider", "clicksend", "--yes"), ("--demo", "--out", ours)):
        ended = alone("init", *flags, "--json")
        assert ended.refusal == (2, "out_exists")
    assert ours.read_text() == "# mine\n"


def test_a_script_answers_with_flags(alone: CommandLine) -> None:
    """Without a terminal the flags answer, defaults fill in, and the secret is told as a variable to set."""
    (alone.folder / "key").write_text("secret\n")
    (alone.folder / "key").chmod(0o600)
    ended = alone(
        *("init", "--yes", "--json", "--provider", "clicksend", "--provider", "fastmessage"),
        *("--set", "clicksend.username=shop", "--set", "clicksend.api_key_file=key"),
        *("--set", "fastmessage.base_url=https://sms.example.co.ke", "--set", "fastmessage.partner_id=12"),
        *("--set", "limits.max_amount=none", "--out", "our.toml"),
    )
    assert ended.code == 0, ended
    assert ended.json["results"] == str(alone.folder / "our.toml")
    assert "export BATCHCREDIT_PROVIDERS__FASTMESSAGE__APIKEY" in ended.stderr
    assert "CLICKSEND__API_KEY" not in ended.stderr
    assert "--config our.toml" in ended.stderr
    toml = tomllib.loads((alone.folder / "our.toml").read_text())
    assert toml["providers"]["clicksend"]["api_key_file"] == str(alone.folder / "key")
    assert toml["limits"] == {"max_total": {"USD": "20000", "KES": "2000000"}}
    assert alone("providers", "--config", "our.toml").code == 0


def test_a_provider_that_is_named_twice_is_one(alone: CommandLine) -> None:
    """One profile, and not a file that holds its name twice."""
    assert alone("init", "--yes", *CLICKSEND, "--provider", "clicksend").code == 0
    assert [*tomllib.loads((alone.folder / "batchcredit.toml").read_text())["providers"]] == ["clicksend"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "no terminal"),
        (("--yes",), "--provider KIND"),
        (("--yes", "--provider", "clicksent"), "did you mean clicksend?"),
        (("--yes", "--provider", "clicksend"), "clicksend.username: an answer is needed"),
        (("--yes", *CLICKSEND, "--set", "clicksend.api_key=k"), "everybody on this machine"),
        (
            ("--yes", *CLICKSEND, "--set", "clicksend.rat=1"),
            "clicksend.rat",
        ),
        (("--yes", "--provider", "clicksend", "--set", "clicksend.base_url=http://x"), "https"),
        (("--yes", *CLICKSEND, "--set", "limits.max_total=,"), "written USD:500"),
        (("--yes", *CLICKSEND, "--set", "limits.max_total=USD:500,USD:600"), "each currency has one amount"),
    ],
)
def test_a_slip_of_a_script_is_refused(alone: CommandLine, flags: tuple[str, ...], said: str) -> None:
    """Each names the flag that mends it, and nothing is written."""
    ended = alone("init", *flags)
    assert ended.code == 2
    assert said in ended.stderr
    assert files(alone) == {}


def test_an_installed_adapter_says_what_it_needs(alone: CommandLine) -> None:
    """An adapter of a third party is asked for by its own keys; a secret without a file is a variable."""
    install(alone, "corner", _CORNER)
    ended = alone(
        *("init", "--yes", "--provider", "corner", "--set", "corner.shop=nine"),
        *("--set", "corner.base_url=https://corner.example"),
    )
    assert ended.code == 0, ended
    assert "export BATCHCREDIT_PROVIDERS__CORNER__TOKEN" in ended.stderr
    text = (alone.folder / "batchcredit.toml").read_text()
    assert '# number of the shop\nshop = "nine"' in text
    assert "EUR" in text


def test_a_place_that_takes_no_file_is_told_by_its_name(alone: CommandLine) -> None:
    """By the name that was asked for, and not by that of a file on its way there."""
    ended = alone("init", "--yes", *CLICKSEND, "--out", "nowhere/our.toml")
    assert ended.code == 5
    assert f"{alone.folder}/nowhere/our.toml: it could not be written" in ended.stderr
    assert files(alone) == {}


def test_what_to_type_next_can_be_pasted(alone: CommandLine) -> None:
    """Also where a name has a blank."""
    assert "batchcredit run 'my demo.csv' --sandbox" in alone("init", "--demo", "--out", "my demo.csv").stderr


def test_a_demo_can_be_rehearsed_at_once(alone: CommandLine) -> None:
    """Without an account: a small file, and the command that rehearses it."""
    ended = alone("init", "--demo")
    assert ended.code == 0
    assert "batchcredit run demo.csv --sandbox" in ended.stderr
    rehearsed = alone("run", "demo.csv", "--sandbox", "--yes", "--json")
    assert (rehearsed.code, rehearsed.counts) == (0, {"credited": 4})


_CORNER = """
from pydantic import BaseModel, Field, SecretStr
from batchcredit.providers.base import Provider, Rules


class Settings(BaseModel):
    shop: str = Field(description="number of the shop")
    token: SecretStr


class Adapter(Provider):
    kind = "corner"
    settings = Settings
    rules = Rules(account="[0-9]+", account_cure="digits", decimals=2, default_currency="EUR")

    def __init__(self, base_url, settings):
        self.login = settings.shop

    login = ""
    secrets = ()

    def transfer(self, transfer):
        raise NotImplementedError

    def judge(self, transfer, answer):
        raise NotImplementedError
"""
