"""Whoever answers in the provider's place gets no byte of a request: neither the login nor the transfer."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from byte_server import Line, RawServer, raw_server, says
from forged_certificates import FORGED, SOUND, server_signed_by_a_leaf, server_with
from wires import SECRET, TIMEOUT_S, Authority, MakeWire, opened, request

from batchcredit.engine.wire.base import Exchange, trusted

Weaken = Callable[[ssl.SSLContext], None]


async def ask(make: MakeWire, server: RawServer, ca_file: Path | None, url: str = "") -> Exchange:
    async with opened(make(url or server.url, 1, ca_file)) as wire:
        return await wire.exchange(request(), TIMEOUT_S)


async def test_the_certificate_of_these_tests_is_sound(make: MakeWire, ca: Authority) -> None:
    """What the forged ones are made from is taken: only what is changed in each makes the difference."""
    async with raw_server(tls=server_with(SOUND, ca)) as server:
        assert (await ask(make, server, ca.file)).answer is not None


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_certificate(name: str, make: MakeWire, ca: Authority) -> None:
    """Nothing is sent, and it is said to be a matter of trust."""
    async with raw_server(tls=server_with(FORGED[name], ca)) as server:
        exchange = await ask(make, server, ca.file)
        assert server.heard == []
    assert (exchange.sent, exchange.answer, exchange.untrusted) == (False, None, True), exchange


async def test_a_certificate_signed_by_one_that_may_not_sign(make: MakeWire, ca: Authority) -> None:
    """Whoever has a certificate for any host could else make one for ours."""
    async with raw_server(tls=server_signed_by_a_leaf(ca)) as server:
        exchange = await ask(make, server, ca.file)
        assert server.heard == []
    assert (exchange.sent, exchange.untrusted) == (False, True)


async def test_the_name_that_was_asked_for_counts(make: MakeWire, ca: Authority) -> None:
    """One that is good for the address is none for the name that leads to the same server."""
    async with raw_server(tls=server_with(SOUND, ca)) as server:
        exchange = await ask(make, server, ca.file, f"https://localhost:{server.port}")
        assert server.heard == []
    assert (exchange.sent, exchange.untrusted) == (False, True)


async def test_ca_file_replaces_the_authorities_of_the_system(
    make: MakeWire, ca: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With it, what the system trusts is a stranger; without, SSL_CERT_FILE is the system's."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    monkeypatch.setenv("SSL_CERT_FILE", str(ca.file))
    async with raw_server(tls=server_with(SOUND, ca)) as server:
        assert (await ask(make, server, None)).answer is not None
        exchange = await ask(make, server, other)
        assert (exchange.sent, exchange.untrusted, len(server.heard)) == (False, True, 1)


async def test_each_dial_is_looked_at(make: MakeWire, ca: Authority) -> None:
    """A server that was trusted and shows another certificate on the next connection gets nothing more."""
    context = server_with(SOUND, ca)
    async with (
        raw_server(
            says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", then="close"), tls=context
        ) as server,
        opened(make(server.url, 1, ca.file)) as wire,
    ):
        assert (await wire.exchange(request(), TIMEOUT_S)).answer is not None
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
        await asyncio.sleep(0.05)
        exchange = await wire.exchange(request(), TIMEOUT_S)
        assert (server.connections, len(server.heard)) == (1, 1)
    assert (exchange.sent, exchange.untrusted) == (False, True)


def old_protocol(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1


def no_identity(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("aNULL:@SECLEVEL=0")


def no_encryption(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("eNULL:@SECLEVEL=0")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("weaken", [old_protocol, no_identity, no_encryption])
async def test_weak_tls_is_not_spoken(weaken: Weaken, make: MakeWire, ca: Authority) -> None:
    """TLS 1.1, and ciphers without a certificate or encryption: there is no connection."""
    context = server_with(SOUND._replace(key_bits=2048), ca)
    weaken(context)
    async with raw_server(tls=context) as server:
        exchange = await ask(make, server, ca.file)
        assert server.heard == []
    assert (exchange.sent, exchange.answer, exchange.problem) == (False, None, "unreachable")


async def test_what_a_listener_sees(make: MakeWire, ca: Authority) -> None:
    """A tunnel that keeps every byte has seen neither the secret nor the transfer nor the path."""
    seen: list[bytes] = []

    async def listen(line: Line) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(_copy(line.reader, writer, seen), _copy(reader, line.writer, seen))

    async with raw_server(tls=ca.server()) as server, raw_server(greet=listen) as middle:
        exchange = await ask(make, middle, ca.file, f"https://127.0.0.1:{middle.port}")
    assert exchange.answer is not None
    everything = b"".join(seen)
    assert len(everything) > 1000
    for private in (SECRET.encode(), b"/credit", b"apikey"):
        assert private not in everything


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: list[bytes]) -> None:
    while piece := await reader.read(65_536):
        seen.append(piece)
        writer.write(piece)
    writer.close()


def test_trust_is_what_python_has_by_default() -> None:
    """TLS 1.2 or newer, a certificate that verifies, and its name."""
    context = trusted(None)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
