"""Adapters of third parties, made on the spot: a module and the metadata by which it is found."""

from pathlib import Path

from command_line import CommandLine


def install(cli: CommandLine, kind: str, source: str) -> None:
    """Make a module `adapter_KIND` with a class `Adapter` findable for the commands of `cli`."""
    site = cli.home / "site"
    metadata = site / f"adapter_{kind}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / f"adapter_{kind}.py").write_text(source)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: adapter-{kind}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[batchcredit.providers]\n{kind} = adapter_{kind}:Adapter\n")
    search(cli, site)


def search(cli: CommandLine, site: Path) -> None:
    """Let the commands of `cli` find what is installed in a folder."""
    cli.env["PYTHONPATH"] = f"{site}:{cli.env['PYTHONPATH']}"


_BROKEN = """
from pydantic import BaseModel, SecretStr
from batchcredit.providers.base import Provider, Request, Rules


class Settings(BaseModel):
    token: SecretStr


class Adapter(Provider):
    kind = "broken"
    settings = Settings
    rules = Rules(account="[0-9]+", account_cure="digits", decimals=2, default_currency="EUR")

    def __init__(self, base_url, settings):
        self._token = settings.token.get_secret_value()

    login = property(lambda self: "corner")
    secrets = property(lambda self: (self._token,))

    def transfer(self, transfer):
        self._work("transfer")
        return Request("POST", "/pay", (("x-token", self._token),), b"{{}}")

    def judge(self, transfer, answer):
        self._work("judge")

    def _work(self, where):
        if where == "{where}":
            raise ValueError(f"{{where}} failed for {{self._token}}")
"""


def broken_in(where: str) -> str:
    """An adapter that raises in `transfer` or in `judge`, with its secret in the message."""
    return _BROKEN.format(where=where)
