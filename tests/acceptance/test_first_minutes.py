"""What a beginner gets wrong in the first ten minutes: each refusal says what to type next."""

import pytest
from command_line import SECRETS, CommandLine

ROW = "clicksend,100001,50,USD\n"


@pytest.fixture
def beginner(cli: CommandLine) -> CommandLine:
    """Nothing is set up; a file that is right, and some that are not."""
    for name in SECRETS:
        del cli.env[name]
    for name, text in (
        ("march.csv", f"provider,account,amount,currency\n{ROW}"),
        ("names.csv", f"provider,konto,amount,currency\n{ROW}"),
        ("bare.csv", "account,amount,currency\n100001,50,USD\n"),
        ("typo.csv", f"provider,account,amount,currency\nk{ROW[1:]}"),
    ):
        (cli.folder / name).write_text(text)
    (cli.folder / "folder").mkdir()
    return cli


@pytest.mark.parametrize(
    ("words", "said", "cure"),
    [
        ("run march.csv", "no provider profile is configured", "batchcredit init asks"),
        ("providers test clicksend", "configured are: none", "batchcredit init asks"),
        (
            "run march.csv --config my.toml",
            "my.toml: the settings can not be read",
            "batchcredit init writes",
        ),
        ("run marsh.csv --sandbox", "there is no such file", "did you mean march.csv?"),
        ("run folder --sandbox", "folder: this is a folder", "name one file"),
        ("run . --sandbox", "this is a folder", "name one file"),
        ("run bare.csv --sandbox", "there is no column provider", "--provider NAME"),
        ("run names.csv --sandbox", "there is no column account", "--map account=THEIR_NAME"),
        ("run typo.csv --sandbox", "Did you mean clicksend?", "typo.invalid.csv"),
        ("run march.csv --sandbox", "there is nobody to ask", "--yes"),
        ("show march", "there is no ledger at", "--sandbox"),
        ("run march.csv --sandbox --expect-total 50", "--expect-total USD=12850.50", "--help"),
        ("run march.csv --sandbox --rate fast", 'such as "10/s"', "--help"),
        ("check", "INPUT requires an argument", "batchcredit check --help"),
    ],
)
def test_a_refusal_says_what_to_type_next(beginner: CommandLine, words: str, said: str, cure: str) -> None:
    """In the last line, behind an arrow."""
    ended = beginner(*words.split())
    assert ended.code == 2, ended
    assert said in ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("  -> ")
    assert cure in last


def test_a_secret_without_a_profile_is_explained(beginner: CommandLine) -> None:
    """Whoever exports the key before there are settings is told what is missing, by the variable's name."""
    beginner.env["BATCHCREDIT_PROVIDERS__CLICKSEND__API_KEY"] = "secret-key"
    said = beginner("run", "march.csv", "--sandbox").stderr
    assert "BATCHCREDIT_PROVIDERS__CLICKSEND__API_KEY: providers.clicksend: no settings file has" in said
    assert "batchcredit init" in said
    assert "secret-key" not in said


def test_a_missing_secret_is_asked_for_by_its_variable(beginner: CommandLine) -> None:
    """After init without a key, the next command names just what to export."""
    init = ("init", "--yes", "--provider", "clicksend", "--set", "clicksend.username=shop")
    assert beginner(*init).code == 0
    said = beginner("providers", "test", "clicksend").stderr
    assert "export BATCHCREDIT_PROVIDERS__CLICKSEND__API_KEY, or api_key_file = PATH" in said


def test_help_is_a_command_too(beginner: CommandLine) -> None:
    """`help run` is `run --help`."""
    assert "--expect-total CUR=AMOUNT" in beginner("help", "run").stdout
    assert "First steps" in beginner("help").stdout
