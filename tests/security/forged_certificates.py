"""Servers whose certificate is wrong in one way each, which trustme is too careful to make."""

import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from wires import Authority

HOST = "127.0.0.1"

_DAY = timedelta(days=1)
_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class _Leaf(NamedTuple):
    """What a certificate says; as it stands, one that every client takes."""

    names: tuple[x509.GeneralName, ...] = (x509.IPAddress(ip_address(HOST)),)
    common_name: str = "batchcredit test"
    begins: timedelta = -_DAY
    ends: timedelta = _DAY
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH
    key_bits: int = 0  # of RSA; 0 is an elliptic curve
    self_signed: bool = False


FORGED: dict[str, _Leaf] = {
    "expired": _Leaf(begins=-2 * _DAY, ends=-_DAY),
    "not_yet_valid": _Leaf(begins=_DAY, ends=2 * _DAY),
    "self_signed": _Leaf(self_signed=True),
    "another_name": _Leaf(names=(x509.DNSName("rest.example.test"),)),
    "another_address": _Leaf(names=(x509.IPAddress(ip_address("127.0.0.2")),)),
    "address_written_as_a_name": _Leaf(names=(x509.DNSName(HOST),)),
    "wildcard_for_an_address": _Leaf(names=(x509.DNSName("*.0.0.1"), x509.DNSName("*"))),
    "name_in_the_subject_only": _Leaf(names=(), common_name=HOST),
    "for_clients_only": _Leaf(usage=ExtendedKeyUsageOID.CLIENT_AUTH),
    "for_mail_only": _Leaf(usage=ExtendedKeyUsageOID.EMAIL_PROTECTION),
    "short_key": _Leaf(key_bits=1024),
}
"""None of these is to be trusted, though all but `self_signed` come from the authority that we trust."""

SOUND = _Leaf()


def server_with(leaf: _Leaf, authority: Authority) -> ssl.SSLContext:
    """A server's side of TLS that shows this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")  # a forger has no scruples
    key = _key(leaf)
    _show(context, _signed(leaf, key, authority.ca), key)
    return context


def server_signed_by_a_leaf(authority: Authority) -> ssl.SSLContext:
    """A certificate for our host, signed with that of another host, which is no authority."""
    other = _Leaf(names=(x509.DNSName("elsewhere.test"),))
    other_key, key = _key(other), _key(SOUND)
    middle = _signed(other, other_key, authority.ca)
    forged = _builder(SOUND, key, middle.subject, other_key).sign(other_key, hashes.SHA256())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _show(context, forged, key, middle)
    return context


def _key(leaf: _Leaf) -> _Key:
    if leaf.key_bits:
        return rsa.generate_private_key(65537, leaf.key_bits)
    return ec.generate_private_key(ec.SECP256R1())


def _signed(leaf: _Leaf, key: _Key, ca: trustme.CA) -> x509.Certificate:
    issuer = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    issuer_key = serialization.load_pem_private_key(ca.private_key_pem.bytes(), None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    subject = _name(leaf.common_name)
    if leaf.self_signed:
        return _builder(leaf, key, subject, key).sign(key, hashes.SHA256())
    return _builder(leaf, key, issuer.subject, issuer_key).sign(issuer_key, hashes.SHA256())


def _builder(leaf: _Leaf, key: _Key, issuer: x509.Name, signer: _Key) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(leaf.common_name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + leaf.begins)
        .not_valid_after(now + leaf.ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([leaf.usage]), critical=False)
        .add_extension(signed_by, critical=False)
    )
    if not leaf.names:
        return builder
    return builder.add_extension(x509.SubjectAlternativeName(leaf.names), critical=False)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _show(context: ssl.SSLContext, leaf: x509.Certificate, key: _Key, *more: x509.Certificate) -> None:
    form = serialization.Encoding.PEM
    with tempfile.TemporaryDirectory() as folder:
        chain, secret = Path(folder) / "chain.pem", Path(folder) / "key.pem"
        chain.write_bytes(b"".join(each.public_bytes(form) for each in (leaf, *more)))
        secret.write_bytes(
            key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        context.load_cert_chain(chain, secret)
