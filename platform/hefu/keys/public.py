"""Public keys as text, and their digests.

Raw 32-byte keys travel in base64 (RFC 4648, section 4); a TLS key travels as the SHA-256 of its SubjectPublicKeyInfo
(the pin of RFC 7469, in hex). A key id is the SHA-256 of the raw identity key in hex.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hefu.keys.errors import KeyMismatch

Ed25519Key = ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey
X25519Key = x25519.X25519PrivateKey | x25519.X25519PublicKey
TlsPublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


def public_raw(key: Ed25519Key | X25519Key) -> bytes:
    """The raw 32-byte public key of a private or public key."""
    if isinstance(key, ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey):
        return key.public_key().public_bytes_raw()
    return key.public_bytes_raw()


def public_b64(key: Ed25519Key | X25519Key) -> str:
    """The raw 32-byte public key in base64, 44 characters."""
    return base64.b64encode(public_raw(key)).decode()


def key_id(key: Ed25519Key) -> str:
    """The key id of an identity key: SHA-256 of its raw public key, 64 hex digits."""
    return hashlib.sha256(public_raw(key)).hexdigest()


def load_public_ed25519(text: str) -> ed25519.Ed25519PublicKey:
    """An Ed25519 public key from `public_b64`'s text.

    raises  KeyMismatch when the text is not 32 bytes in base64
    """
    return ed25519.Ed25519PublicKey.from_public_bytes(_raw32(text))


def load_public_x25519(text: str) -> x25519.X25519PublicKey:
    """An X25519 public key from `public_b64`'s text.

    raises  KeyMismatch when the text is not 32 bytes in base64
    """
    return x25519.X25519PublicKey.from_public_bytes(_raw32(text))


def spki_digest(key: TlsPublicKey | ec.EllipticCurvePrivateKey | x509.Certificate) -> str:
    """SHA-256 of the SubjectPublicKeyInfo (DER) of a TLS key or of a certificate's key, 64 hex digits."""
    public = key.public_key() if isinstance(key, x509.Certificate | ec.EllipticCurvePrivateKey) else key
    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _raw32(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise KeyMismatch("a public key is not base64") from error
    if len(raw) != 32 or base64.b64encode(raw).decode() != text:
        raise KeyMismatch("a public key is not 32 bytes in base64")
    return raw
