"""Signed-then-sealed envelopes: one sender, one recipient, one purpose.

The sender signs (Ed25519) the header, the recipient's sealing key and the payload's SHA-256; signature and payload
are then encrypted to the recipient. The header travels in clear, bound by the signature and by HPKE's `info`: a
payload moved to another recipient, contract, job, attempt, date or kind does not open.

    envelope = magic (8) · header length (4) · header JSON · HPKE box (144) · AES-256-GCM chunks
    HPKE box = content key (32) and signature (64): RFC 9180 base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM
    chunk    = 1 MiB of payload (the last may be shorter) and its tag; its nonce is (chunk number, last?), so that none
               can be dropped, added or reordered: the STREAM construction of Hoang, Reyhanitabar, Rogaway, Vizár (2015)

Whoever holds the envelope learns the header and the payload's length. There is no forward secrecy against theft of
the recipient's key: keep envelopes no longer than they are needed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import secrets
import struct
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from hefu.keys.errors import SealInvalid

MAGIC = b"HEFUSEA1"
MAX_HEADER_BYTES = 16 * 1024
CHUNK_BYTES = 2**20  # stays in the cache between hashing, encrypting and copying

BytesLike: TypeAlias = bytes | bytearray | memoryview

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_LENGTH = struct.Struct(">I")
_BOX_BYTES = 32 + 32 + 64 + 16  # encapsulated key, content key, signature, tag
_TAG_BYTES = 16
_SIGNING_CONTEXT = b"hefu sealed envelope v1\n"


@dataclass(frozen=True)
class SealHeader:
    """What an envelope is for. Every field is signed.

    contract  digest of the contract      date  business date, YYYY-MM-DD
    attempt   number of the job's attempt  kind  what the payload is, e.g. `shares`, `key`, `result-half`
    """

    sender: str
    recipient: str
    contract: str
    job: str
    attempt: int
    date: str
    kind: str

    def to_bytes(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces, UTF-8."""
        return json.dumps(
            dataclasses.asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()


def seal(
    header: SealHeader, payload: BytesLike, *, sender_key: Ed25519PrivateKey, recipient_key: X25519PublicKey
) -> bytes:
    """Sign the payload under the header, then encrypt both to the recipient.

    payload  any length, zero included
    raises   SealInvalid("format") when the header has more than 16 KiB
    """
    head = header.to_bytes()
    if len(head) > MAX_HEADER_BYTES:
        raise SealInvalid("format", f"has a header of more than {MAX_HEADER_BYTES} bytes")
    view = memoryview(payload).cast("B")
    content_key = secrets.token_bytes(32)
    cipher = AESGCM(content_key)
    digest, sealed, scratch = hashlib.sha256(), io.BytesIO(), memoryview(bytearray(CHUNK_BYTES + _TAG_BYTES))
    box_at = len(MAGIC) + _LENGTH.size + len(head)
    sealed.seek(box_at + _BOX_BYTES)
    for number, start, end, last in _chunks(len(view), CHUNK_BYTES):
        digest.update(view[start:end])
        written = cipher.encrypt_into(
            _nonce(number, last), view[start:end], None, scratch[: end - start + _TAG_BYTES]
        )
        sealed.write(scratch[:written])
    signature = sender_key.sign(_statement(head, recipient_key, digest.digest()))
    sealed.seek(0)
    sealed.write(MAGIC + _LENGTH.pack(len(head)) + head)
    sealed.write(_SUITE.encrypt(content_key + signature, recipient_key, info=_SIGNING_CONTEXT + head))
    return sealed.getvalue()


def open_sealed(
    blob: BytesLike, *, expected: SealHeader, recipient_key: X25519PrivateKey, sender_key: Ed25519PublicKey
) -> bytes:
    """Open an envelope that must be for exactly this purpose, from exactly this sender.

    raises  SealInvalid; `field` is `format`, the header's first field that differs, `recipient_key` (sealed to
            another key, or its box was altered), `payload` (altered, cut, extended) or `signature`
    """
    view = memoryview(blob).cast("B")
    head, box, sealed = _split(view)
    _compare(head, expected)
    try:
        content = _SUITE.decrypt(box, recipient_key, info=_SIGNING_CONTEXT + head)
    except (InvalidTag, ValueError) as error:
        raise SealInvalid("recipient_key") from error
    cipher = AESGCM(content[:32])
    digest, opened, scratch = hashlib.sha256(), io.BytesIO(), memoryview(bytearray(CHUNK_BYTES))
    for number, start, end, last in _chunks(len(sealed), CHUNK_BYTES + _TAG_BYTES):
        if end - start < _TAG_BYTES:
            raise SealInvalid("payload", "was cut")
        chunk = scratch[: end - start - _TAG_BYTES]
        try:
            cipher.decrypt_into(_nonce(number, last), sealed[start:end], None, chunk)
        except InvalidTag as error:
            raise SealInvalid("payload", "was altered") from error
        digest.update(chunk)
        opened.write(chunk)
    try:
        sender_key.verify(content[32:], _statement(head, recipient_key.public_key(), digest.digest()))
    except InvalidSignature as error:
        raise SealInvalid("signature", "is not the sender's") from error
    return opened.getvalue()


def read_header(blob: BytesLike) -> SealHeader:
    """The header of an envelope as it claims to be: nothing about it is proven until `open_sealed` returns.

    raises  SealInvalid when the bytes are not an envelope
    """
    head, _, _ = _split(memoryview(blob).cast("B"))
    return _parse_header(head)


def _statement(head: bytes, recipient_key: X25519PublicKey, payload_digest: bytes) -> bytes:
    return (
        _SIGNING_CONTEXT + _LENGTH.pack(len(head)) + head + recipient_key.public_bytes_raw() + payload_digest
    )


def _nonce(number: int, last: bool) -> bytes:
    return struct.pack(">3xQ?", number, last)


def _chunks(length: int, size: int) -> list[tuple[int, int, int, bool]]:
    """(number, start, end, last) of each chunk; an empty payload is one empty chunk."""
    count = max(1, -(-length // size))
    return [(n, n * size, min((n + 1) * size, length), n == count - 1) for n in range(count)]


def _split(view: memoryview) -> tuple[bytes, bytes, memoryview]:
    start = len(MAGIC) + _LENGTH.size
    if len(view) < start or bytes(view[: len(MAGIC)]) != MAGIC:
        raise SealInvalid("format", "is not a sealed envelope")
    (length,) = _LENGTH.unpack(view[len(MAGIC) : start])
    if length > MAX_HEADER_BYTES or len(view) < start + length + _BOX_BYTES + _TAG_BYTES:
        raise SealInvalid("format", "is cut short")
    box_at = start + length
    return bytes(view[start:box_at]), bytes(view[box_at : box_at + _BOX_BYTES]), view[box_at + _BOX_BYTES :]


def _parse_header(head: bytes) -> SealHeader:
    try:
        header = SealHeader(**json.loads(head))
    except (ValueError, TypeError, RecursionError) as error:
        raise SealInvalid("format", "has a header that cannot be read") from error
    for name, value in dataclasses.asdict(header).items():
        if type(value) is not (int if name == "attempt" else str):
            raise SealInvalid("format", f"has a header whose {name} is of another type")
    return header


def _compare(head: bytes, expected: SealHeader) -> None:
    if head == expected.to_bytes():
        return
    found = _parse_header(head)
    for field in dataclasses.fields(SealHeader):
        if getattr(found, field.name) != getattr(expected, field.name):
            raise SealInvalid(field.name)
    raise SealInvalid("format", "has a header that is not canonical")
