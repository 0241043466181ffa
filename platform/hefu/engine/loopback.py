"""Connections among the processes of one machine: plain TCP, or mutual TLS 1.3 under certificates made for the run."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_CONNECT_SECONDS = 60
_NAME_BYTES = 64


def make_certificates(folder: Path, names: Iterable[str]) -> None:
    """A self-signed certificate and its key for each name, good for a day."""
    now = datetime.now(UTC)
    for name in names:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}.key").write_bytes(pem)


def connect_all(me: str, ports: Mapping[str, int], folder: Path | None) -> dict[str, socket.socket]:
    """Connect to every party whose name comes before ours; the first word says who we are."""
    sockets: dict[str, socket.socket] = {}
    for peer in sorted(name for name in ports if name < me):
        plain: socket.socket = socket.create_connection(("127.0.0.1", ports[peer]), timeout=_CONNECT_SECONDS)
        if folder is not None:
            plain = _tls(folder, me, [peer], server=False).wrap_socket(plain)
        plain.sendall(me.encode().ljust(_NAME_BYTES, b"\0"))
        sockets[peer] = plain
    return sockets


def accept_all(
    me: str, names: Iterable[str], listener: socket.socket, folder: Path | None
) -> dict[str, socket.socket]:
    """Accept every party whose name comes after ours."""
    later = sorted(name for name in names if name > me)
    context = None if folder is None else _tls(folder, me, later, server=True)
    sockets: dict[str, socket.socket] = {}
    for _ in later:
        plain: socket.socket = listener.accept()[0]
        plain.settimeout(_CONNECT_SECONDS)
        if context is not None:
            plain = context.wrap_socket(plain, server_side=True)
        name = b""
        while len(name) < _NAME_BYTES and (more := plain.recv(_NAME_BYTES - len(name))):
            name += more
        sockets[name.rstrip(b"\0").decode()] = plain
    listener.close()
    return sockets


def _tls(folder: Path, me: str, peers: Iterable[str], server: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / f"{me}.crt", folder / f"{me}.key")
    for peer in peers:
        context.load_verify_locations(folder / f"{peer}.crt")
    return context
