"""DSSE envelopes: signed bytes with their type.

Source: Dead Simple Signing Envelope, protocol v1.0.2 (secure-systems-lab/dsse). Narrowed: Ed25519 only, canonical JSON
(`hefu_ledger.canonical`), standard base64, and the key id is always the SHA-256 of the raw public key. What is signed is
the pre-authentication encoding, so a signature on one payload type is none on another.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hefu_ledger import canonical
from hefu_ledger.encoding import b64decode, b64encode, is_digest
from hefu_ledger.errors import EnvelopeInvalid, NotCanonical, SignatureInvalid

MAX_SIGNATURES = 64

# A point of small order as public key lets anybody forge (RFC 8032 does not forbid it, OpenSSL takes it).
# The y coordinates of the eight points of small order, with both sign bits, canonical and not.
_SMALL_ORDER_Y = (
    0,
    1,
    2707385501144840649318225287225658788936804267575313519463743609750303402022,
    55188659117513257062467267217118295137698188065244968500265048394206261417927,
    2**255 - 20,
    2**255 - 19,
    2**255 - 18,
)
_SMALL_ORDER = frozenset((y | sign << 255).to_bytes(32, "little") for y in _SMALL_ORDER_Y for sign in (0, 1))


@dataclass(frozen=True)
class Signature:
    """One signature: `key_id` (64 hex digits) says by whom, `signature` is the 64 bytes of RFC 8032."""

    key_id: str
    signature: bytes


@dataclass(frozen=True)
class Envelope:
    """A payload, its type, and who signed it."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    @property
    def id(self) -> str:
        """SHA-256 (hex) of the envelope's bytes."""
        return hashlib.sha256(self._encoded).hexdigest()

    def to_bytes(self) -> bytes:
        """The canonical JSON of the envelope."""
        return self._encoded

    @cached_property
    def _encoded(self) -> bytes:
        return canonical.encode(
            {
                "payload": b64encode(self.payload),
                "payloadType": self.payload_type,
                "signatures": [
                    {"keyid": one.key_id, "sig": b64encode(one.signature)} for one in self.signatures
                ],
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "Envelope":
        """Read an envelope; nothing is verified yet.

        raises  EnvelopeInvalid
        """
        try:
            value = canonical.decode(data)
        except NotCanonical as error:
            raise EnvelopeInvalid(f"envelope: {error}") from error
        return cls.from_value(value)

    @classmethod
    def from_value(cls, value: Any) -> "Envelope":
        """Read an envelope from its decoded JSON; raises EnvelopeInvalid."""
        if not isinstance(value, dict) or value.keys() != {"payload", "payloadType", "signatures"}:
            raise EnvelopeInvalid("envelope: exactly payload, payloadType and signatures expected")
        payload_type, listed = value["payloadType"], value["signatures"]
        if not isinstance(payload_type, str) or not payload_type.isascii() or not payload_type:
            raise EnvelopeInvalid("envelope: payloadType is not an ASCII string")
        if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_SIGNATURES:
            raise EnvelopeInvalid(f"envelope: one to {MAX_SIGNATURES} signatures expected")
        signatures = tuple(_read_signature(one) for one in listed)
        if len({one.key_id for one in signatures}) != len(signatures):
            raise EnvelopeInvalid("envelope: two signatures under one key id")
        return cls(payload_type, b64decode(value["payload"], EnvelopeInvalid), signatures)


def _read_signature(value: Any) -> Signature:
    if not isinstance(value, dict) or value.keys() != {"keyid", "sig"} or not is_digest(value["keyid"]):
        raise EnvelopeInvalid("envelope: a signature is exactly keyid (64 hex digits) and sig")
    signature = b64decode(value["sig"], EnvelopeInvalid)
    if len(signature) != 64:
        raise EnvelopeInvalid("envelope: an Ed25519 signature has 64 bytes")
    return Signature(value["keyid"], signature)


def key_id(public_key: Ed25519PublicKey) -> str:
    """SHA-256 (hex) of the 32 raw bytes of a public key."""
    return hashlib.sha256(public_key.public_bytes_raw()).hexdigest()


def load_public_key(raw: bytes) -> Ed25519PublicKey:
    """A public key from its 32 bytes; raises SignatureInvalid for other lengths and for points of small order."""
    if len(raw) != 32:
        raise SignatureInvalid("an Ed25519 public key has 32 bytes")
    refuse_weak_key(raw)
    try:
        return Ed25519PublicKey.from_public_bytes(raw)
    except ValueError as error:
        raise SignatureInvalid(f"not a public key: {error}") from error


def refuse_weak_key(raw: bytes) -> None:
    """Raise SignatureInvalid for a public key of small order (the all-zero key among them)."""
    if raw in _SMALL_ORDER:
        raise SignatureInvalid("a public key of small order: anybody could sign for it")


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """DSSE's PAE: the exact bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload_type: str, payload: bytes, key: Ed25519PrivateKey) -> Envelope:
    """An envelope with one signature."""
    signature = key.sign(pre_authentication_encoding(payload_type, payload))
    return Envelope(payload_type, payload, (Signature(key_id(key.public_key()), signature),))


def add_signature(envelope: Envelope, key: Ed25519PrivateKey) -> Envelope:
    """The envelope with one signature more (its id changes); raises EnvelopeInvalid if the key already signed."""
    signer = key_id(key.public_key())
    if any(one.key_id == signer for one in envelope.signatures):
        raise EnvelopeInvalid("the key has already signed this envelope")
    (added,) = sign(envelope.payload_type, envelope.payload, key).signatures
    return Envelope(envelope.payload_type, envelope.payload, (*envelope.signatures, added))


def verify_envelope(
    envelope: Envelope, public_key: Ed25519PublicKey, *, payload_type: str | None = None
) -> None:
    """Return if `public_key` signed the envelope (and it is of `payload_type`, where given).

    raises  SignatureInvalid when the key's id is not among the signatures, the signature is wrong, or the type is
            another one
    """
    if payload_type is not None and envelope.payload_type != payload_type:
        raise SignatureInvalid(f"payload type is {envelope.payload_type!r}, not {payload_type!r}")
    refuse_weak_key(public_key.public_bytes_raw())
    wanted = key_id(public_key)
    for one in envelope.signatures:
        if one.key_id == wanted:
            break
    else:
        raise SignatureInvalid(f"no signature under key id {wanted}")
    try:
        public_key.verify(one.signature, pre_authentication_encoding(envelope.payload_type, envelope.payload))
    except InvalidSignature as error:
        raise SignatureInvalid(f"the signature under key id {wanted} is wrong") from error
