"""The whole command before a server that is not the provider."""

from pathlib import Path

import pytest
from command_line import CommandLine, Sandbox, refused, run
from forged_certificates import FORGED, SOUND, server_with
from live_provider import live_providers
from tls_trap import tls_trap
from wires import Authority

ROWS = [("clicksend", number, "5", "USD") for number in range(1, 5)]


@pytest.mark.parametrize(
    ("name", "transport"), [("expired", "direct"), ("self_signed", "httpx"), ("another_name", "direct")]
)
def test_an_impostor_hears_nothing(
    name: str, transport: str, cli: CommandLine, sandbox: Sandbox, ca: Authority
) -> None:
    """Refused in preflight; without it the lane halts. Inside TLS not one byte is said either way."""
    with tls_trap(server_with(FORGED[name], ca)) as trap:
        profile = {"base_url": f"{trap.url}/v3", "ca_file": str(ca.file), "transport": transport}
        cli.configure(sandbox.address, clicksend=profile)
        path = cli.write("batch.csv", ROWS)
        assert "certificate" in refused(run(cli, path), "tls_untrusted")
        halted = run(cli, path, "--skip-preflight")
        assert (halted.code, halted.counts) == (4, {"not_sent": 4}), halted
        assert set(halted.json["reasons"]) == {"tls_untrusted"}
        assert trap.dials >= 2
        assert trap.told == b""


def test_the_trap_hears_whoever_trusts_it(cli: CommandLine, sandbox: Sandbox, ca: Authority) -> None:
    """With a sound certificate the same trap is told login and request: silence above proves something."""
    with tls_trap(server_with(SOUND, ca)) as trap:
        profile = {"base_url": f"{trap.url}/v3", "ca_file": str(ca.file), "timeout": 1}
        cli.configure(sandbox.address, clicksend=profile)
        run(cli, cli.write("batch.csv", ROWS[:1]), "--skip-preflight")
        assert b"authorization: basic" in trap.told.lower()


def test_no_log_of_keys(cli: CommandLine, sandbox: Sandbox, tmp_path: Path) -> None:
    """SSLKEYLOGFILE, with which a listener could read everything, is not heeded."""
    log = tmp_path / "keys"
    cli.env["SSLKEYLOGFILE"] = str(log)
    sandbox.control.set(currency="USD")
    with live_providers(sandbox, tmp_path) as live:
        live.configure(cli, sandbox, tables='[limits]\nmax_total = { USD = "1000" }')
        ended = run(cli, cli.write("batch.csv", ROWS), "--new-ledger", "--accept-profile", "clicksend")
        assert ended.code == 0, ended
        assert live.lines
    assert not log.exists()
