"""TLS 1.3 between organisations: pinned keys, never the certificate authority alone.

A client trusts exactly one leaf certificate; a channel between compute parties trusts exactly the given set, in both
directions (mutual TLS). Before a certificate is trusted its key digest (SHA-256 of the SubjectPublicKeyInfo) and its
organisation are compared with the pin, which comes from a signed contract or the start-up kit.

Python's ssl reads private keys from files only: the key goes encrypted, under a random password, into an anonymous memory
file (memfd_create), never to a disk.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import ssl
import tempfile
from collections.abc import Iterable, Iterator, Mapping

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from hefu.keys.certificates import (
    UNREADABLE,
    create_ca,
    issue_certificate,
    load_certificate,
    org_of,
    self_signed,
    to_pem,
)
from hefu.keys.errors import CertificateInvalid, KeyMismatch
from hefu.keys.public import spki_digest

__all__ = [
    "channel_client_context",
    "channel_server_context",
    "create_ca",
    "issue_certificate",
    "load_certificate",
    "org_of",
    "pinned_client_context",
    "reload",
    "self_signed",
    "server_context",
    "spki_digest",
    "to_pem",
    "verify_peer",
]

Pem = str | bytes


def server_context(cert_pem: Pem, key: EllipticCurvePrivateKey) -> ssl.SSLContext:
    """Server side of HTTPS: TLS 1.3, no client certificate (requests are signed), no session tickets.

    raises  CertificateInvalid · KeyMismatch when the certificate is for another key
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    reload(context, cert_pem, key)
    return context


def pinned_client_context(
    peer_cert_pem: Pem,
    *,
    pin_spki: str,
    org_id: str,
    cert_pem: Pem | None = None,
    key: EllipticCurvePrivateKey | None = None,
) -> ssl.SSLContext:
    """Client side: trusts exactly the peer's leaf certificate, whoever signed it.

    pin_spki         key digest that a contract or the kit pins, 64 hex digits
    cert_pem, key    own certificate, where the peer asks for one
    raises           CertificateInvalid when the certificate is not for the pinned key or another organisation's
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    _trust(context, [(org_id, pin_spki, peer_cert_pem)])
    if cert_pem is not None and key is not None:
        reload(context, cert_pem, key)
    return context


def channel_server_context(
    cert_pem: Pem, key: EllipticCurvePrivateKey, peers: Mapping[str, tuple[str, Pem]]
) -> ssl.SSLContext:
    """Accepting side of a channel: mutual TLS, peers restricted to the given certificates.

    peers   org id → (pinned key digest, certificate)
    raises  CertificateInvalid · KeyMismatch
    Under TLS 1.3 a client that is refused sees it at its first read: greet on both sides after `verify_peer`.
    """
    context = server_context(cert_pem, key)
    context.verify_mode = ssl.CERT_REQUIRED
    _trust(context, [(org, pin, pem) for org, (pin, pem) in peers.items()])
    return context


def channel_client_context(
    cert_pem: Pem, key: EllipticCurvePrivateKey, peers: Mapping[str, tuple[str, Pem]]
) -> ssl.SSLContext:
    """Connecting side of a channel: mutual TLS, peers restricted to the given certificates (as for the server)."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    _trust(context, [(org, pin, pem) for org, (pin, pem) in peers.items()])
    reload(context, cert_pem, key)
    return context


def verify_peer(connection: ssl.SSLSocket | ssl.SSLObject, pins: Mapping[str, str]) -> str:
    """Who is at the other end of a connection whose handshake is done.

    pins    org id → key digest
    returns the peer's org id
    raises  CertificateInvalid when the peer showed no certificate, is not among the pins, or has another key
    """
    der = connection.getpeercert(binary_form=True)
    if der is None:
        raise CertificateInvalid("the peer showed none")
    try:
        certificate = x509.load_der_x509_certificate(der)
    except UNREADABLE as error:
        raise CertificateInvalid("the peer's cannot be read") from error
    org_id = org_of(certificate)
    if org_id not in pins:
        raise CertificateInvalid(f"the peer is {org_id}, who takes no part here")
    verify_pin(certificate, pins[org_id], org_id)
    return org_id


def verify_pin(certificate: x509.Certificate, pin_spki: str, org_id: str) -> None:
    """Compare a certificate with the pinned key and organisation.

    raises  CertificateInvalid when the key, the organisation, or the certificate's kind (a leaf) is another
    """
    if spki_digest_of(certificate) != pin_spki:
        raise CertificateInvalid(f"its key is not the one pinned for {org_id}")
    if org_of(certificate) != org_id:
        raise CertificateInvalid(f"it is not {org_id}'s")
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except UNREADABLE as error:
        raise CertificateInvalid("it does not say that it is a leaf") from error
    if constraints.ca:
        raise CertificateInvalid("it may issue certificates; a leaf is expected")


def spki_digest_of(certificate: x509.Certificate) -> str:
    """`spki_digest`, with an unreadable key reported as CertificateInvalid."""
    try:
        return spki_digest(certificate)
    except (*UNREADABLE, AttributeError) as error:
        raise CertificateInvalid("its key cannot be read") from error


def reload(context: ssl.SSLContext, cert_pem: Pem, key: EllipticCurvePrivateKey) -> None:
    """Give a context its own certificate and key; a running server uses them from its next handshake on.

    raises  CertificateInvalid · KeyMismatch when the certificate is for another key
    """
    if spki_digest_of(load_certificate(cert_pem)) != spki_digest(key):
        raise KeyMismatch("the certificate is for another key")
    password = secrets.token_hex(32).encode()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
    cert = cert_pem.encode() if isinstance(cert_pem, str) else cert_pem
    with _memory_file(cert.rstrip(b"\n") + b"\n" + pem) as path:
        context.load_cert_chain(path, password=password)


def _context(protocol: ssl._SSLMethod) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.check_hostname = False  # the pin names the organisation; host names are not trusted
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_TICKET
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0
    return context


def _trust(context: ssl.SSLContext, peers: Iterable[tuple[str, str, Pem]]) -> None:
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    for org_id, pin, pem in peers:
        certificate = load_certificate(pem)
        verify_pin(certificate, pin, org_id)
        context.load_verify_locations(cadata=to_pem(certificate))


@contextlib.contextmanager
def _memory_file(content: bytes) -> Iterator[str]:
    """A path from which `content` can be read while the block lasts, kept in memory where the system can."""
    if not hasattr(os, "memfd_create"):  # not Linux: the content is encrypted and the file goes at once
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            yield file.name
        return
    descriptor = os.memfd_create("certificate")
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
