"""X.509 certificates of organisations.

The subject alternative name `hefu://<org_id>` says whose certificate it is; hosts and addresses stand beside it for tools
that look at them. The certificate authority is the operator's and proves nothing by itself: peers are compared with
the key digest that a contract pins (`hefu.keys.tls`).
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hefu.keys.errors import CertificateInvalid

SigningKey = Ed25519PrivateKey | EllipticCurvePrivateKey
UNREADABLE = (  # what the parser raises on a certificate that is not well formed
    ValueError,
    TypeError,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)
_ORG_URI = re.compile(r"hefu://([a-z][a-z0-9-]{1,31})")
_BACKDATE = dt.timedelta(minutes=5)  # clocks of organisations differ a little


def create_ca(ca_key: SigningKey, *, name: str = "Hefu CA", valid_days: int = 3650) -> x509.Certificate:
    """A self-signed certificate of a certificate authority that may issue leaves only."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    public = ca_key.public_key()
    builder = (
        _builder(subject, subject, public, valid_days, None)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
    )
    return builder.sign(ca_key, _hash(ca_key))


def issue_certificate(
    ca_cert: x509.Certificate,
    ca_key: SigningKey,
    public_key: EllipticCurvePublicKey,
    org_id: str,
    *,
    sans: Iterable[str] = (),
    valid_days: int = 397,
    not_before: dt.datetime | None = None,
) -> x509.Certificate:
    """A leaf certificate for an organisation's TLS key.

    sans        host names and IP addresses
    not_before  start of validity in UTC; five minutes ago by default
    """
    subject = _subject(org_id)
    builder = _leaf(_builder(subject, ca_cert.subject, public_key, valid_days, not_before), org_id, sans)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return builder.add_extension(authority, critical=False).sign(ca_key, _hash(ca_key))


def self_signed(
    key: EllipticCurvePrivateKey,
    org_id: str,
    *,
    sans: Iterable[str] = (),
    valid_days: int = 397,
    not_before: dt.datetime | None = None,
) -> x509.Certificate:
    """A leaf certificate signed by its own key: what a node serves until it is admitted."""
    subject = _subject(org_id)
    return _leaf(_builder(subject, subject, key.public_key(), valid_days, not_before), org_id, sans).sign(
        key, _hash(key)
    )


def org_of(certificate: x509.Certificate) -> str:
    """The organisation that a certificate names.

    raises  CertificateInvalid unless exactly one `hefu://<org_id>` stands in it
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except UNREADABLE as error:
        raise CertificateInvalid("it names no organisation") from error
    match = _ORG_URI.fullmatch(uris[0]) if len(uris) == 1 else None
    if match is None:
        raise CertificateInvalid("it names no organisation, or several")
    return match[1]


def load_certificate(pem: str | bytes) -> x509.Certificate:
    """Read one PEM certificate.

    raises  CertificateInvalid
    """
    try:
        return x509.load_pem_x509_certificate(pem.encode() if isinstance(pem, str) else pem)
    except UNREADABLE as error:
        raise CertificateInvalid("it cannot be read") from error


def to_pem(certificate: x509.Certificate) -> str:
    """PEM text."""
    return certificate.public_bytes(Encoding.PEM).decode()


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: EllipticCurvePublicKey | Ed25519PublicKey,
    valid_days: int,
    not_before: dt.datetime | None,
) -> x509.CertificateBuilder:
    start = not_before or dt.datetime.now(dt.UTC) - _BACKDATE
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=valid_days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _subject(org_id: str) -> x509.Name:
    if not _ORG_URI.fullmatch(f"hefu://{org_id}"):
        raise CertificateInvalid(f"{org_id!r} is not an organisation id")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, org_id)])


def _leaf(builder: x509.CertificateBuilder, org_id: str, sans: Iterable[str]) -> x509.CertificateBuilder:
    uri = x509.UniformResourceIdentifier(f"hefu://{org_id}")
    names: list[x509.GeneralName] = [uri, *map(_general_name, sans)]
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    return (
        builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(ca=False), critical=True)
        .add_extension(usages, critical=False)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _hash(key: SigningKey) -> hashes.SHA256 | None:
    return None if isinstance(key, Ed25519PrivateKey) else hashes.SHA256()
