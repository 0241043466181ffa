"""Sealed envelopes: opened only by their recipient, only for their purpose, only whole, only from their sender."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hefu.keys import sealing
from hefu.keys.errors import SealInvalid
from hefu.keys.sealing import SealHeader, open_sealed, read_header, seal
from hypothesis import given
from hypothesis import strategies as st

HEADER = SealHeader("bank", "regulator", "c" * 64, "job-1", 1, "2026-10-01", "shares")
SENDER, RECIPIENT = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
OTHERS = {
    "sender": "exchange",
    "recipient": "operator",
    "contract": "d" * 64,
    "job": "job-2",
    "attempt": 2,
    "date": "2026-10-02",
    "kind": "key",
}


def _seal(payload: bytes = b"planted 12345", header: SealHeader = HEADER) -> bytes:
    return seal(header, payload, sender_key=SENDER, recipient_key=RECIPIENT.public_key())


def _open(blob: bytes, expected: SealHeader = HEADER) -> bytes:
    return open_sealed(blob, expected=expected, recipient_key=RECIPIENT, sender_key=SENDER.public_key())


@given(st.binary(max_size=300), st.text(max_size=20), st.integers(0, 2**40))
def test_what_is_sealed_opens(payload: bytes, job: str, attempt: int) -> None:
    header = dataclasses.replace(HEADER, job=job, attempt=attempt)
    blob = _seal(payload, header)
    assert _open(blob, header) == payload
    assert read_header(blob) == header


@pytest.mark.parametrize("extra", [-1, 0, 1])
@pytest.mark.parametrize("chunks", [1, 2, 3])
def test_at_the_edges_of_chunks(monkeypatch: pytest.MonkeyPatch, chunks: int, extra: int) -> None:
    monkeypatch.setattr(sealing, "CHUNK_BYTES", 64)
    payload = bytes(range(256))[: chunks * 64 + extra]
    assert _open(_seal(payload)) == payload


def test_takes_bytearrays_and_arrays() -> None:
    for payload in (bytearray(b"abcd"), memoryview(b"abcd"), memoryview(b"abcdefgh").cast("I")):
        blob = seal(HEADER, payload, sender_key=SENDER, recipient_key=RECIPIENT.public_key())
        assert _open(blob) == bytes(payload)


def test_the_same_payload_never_looks_the_same() -> None:
    assert _seal()[200:] != _seal()[200:]
    assert b"12345" not in _seal()


@pytest.mark.parametrize("field", OTHERS)
def test_each_field_of_the_header_is_compared_and_named(field: str) -> None:
    expected = dataclasses.replace(HEADER, **{field: OTHERS[field]})
    with pytest.raises(SealInvalid) as caught:
        _open(_seal(), expected)
    assert caught.value.field == field
    assert "12345" not in str(caught.value)


@pytest.mark.parametrize("field", OTHERS)
def test_a_rewritten_header_does_not_open(field: str) -> None:
    """The header is in clear: someone on the way changes it to what the recipient expects."""
    expected = dataclasses.replace(HEADER, **{field: OTHERS[field]})
    blob, old, new = _seal(), HEADER.to_bytes(), expected.to_bytes()
    forged = blob[:8] + len(new).to_bytes(4, "big") + new + blob[12 + len(old) :]
    with pytest.raises(SealInvalid) as caught:
        _open(forged, expected)
    assert caught.value.field == "recipient_key"


def test_every_flipped_byte_is_caught() -> None:
    blob = _seal()
    for position in range(len(blob)):
        with pytest.raises(SealInvalid):
            _open(blob[:position] + bytes([blob[position] ^ 0x20]) + blob[position + 1 :])


def test_cut_and_extended_envelopes_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "CHUNK_BYTES", 64)
    blob = _seal(b"x" * 192)
    for cut in range(len(blob)):
        with pytest.raises(SealInvalid):
            _open(blob[:cut])
    with pytest.raises(SealInvalid):
        _open(blob + b"\0")


def test_chunks_cannot_be_dropped_reordered_or_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "CHUNK_BYTES", 64)
    blob = _seal(bytes(range(192)))
    start, size = len(blob) - 3 * 80, 80
    head, one, two, three = blob[:start], *(blob[start + i * size :][:size] for i in range(3))
    assert _open(head + one + two + three) == bytes(range(192))
    for forged in (one + two, one + three, two + three, two + one + three, one + one + two + three, three):
        with pytest.raises(SealInvalid) as caught:
            _open(head + forged)
        assert caught.value.field == "payload"


def test_another_recipient_cannot_open() -> None:
    with pytest.raises(SealInvalid) as caught:
        open_sealed(
            _seal(),
            expected=HEADER,
            recipient_key=X25519PrivateKey.generate(),
            sender_key=SENDER.public_key(),
        )
    assert caught.value.field == "recipient_key"


def test_another_sender_is_refused() -> None:
    """Anyone can encrypt to the recipient's public key; only the sender can sign."""
    forged = seal(
        HEADER, b"forged", sender_key=Ed25519PrivateKey.generate(), recipient_key=RECIPIENT.public_key()
    )
    with pytest.raises(SealInvalid) as caught:
        _open(forged)
    assert caught.value.field == "signature"


def test_without_the_signature_check_the_forgery_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    class Believer:
        def verify(self, signature: bytes, data: bytes) -> None:
            """Believes everything."""

    forged = seal(
        HEADER, b"forged", sender_key=Ed25519PrivateKey.generate(), recipient_key=RECIPIENT.public_key()
    )
    opened = open_sealed(forged, expected=HEADER, recipient_key=RECIPIENT, sender_key=Believer())  # type: ignore[arg-type]
    assert opened == b"forged"


def test_without_the_header_check_the_wrong_purpose_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "_compare", lambda head, expected: None)
    assert _open(_seal(b"old"), dataclasses.replace(HEADER, attempt=2)) == b"old"


def test_a_recipient_cannot_pass_the_payload_on_as_the_senders() -> None:
    """Surreptitious forwarding: the recipient opens the box and seals signature and payload to a third party."""
    third = X25519PrivateKey.generate()
    blob = _seal(b"offer")
    at = 12 + len(HEADER.to_bytes())
    info = sealing._SIGNING_CONTEXT + HEADER.to_bytes()
    content = sealing._SUITE.decrypt(blob[at : at + sealing._BOX_BYTES], RECIPIENT, info=info)
    box = sealing._SUITE.encrypt(content, third.public_key(), info=info)
    forged = blob[:at] + box + blob[at + sealing._BOX_BYTES :]
    with pytest.raises(SealInvalid) as caught:
        open_sealed(forged, expected=HEADER, recipient_key=third, sender_key=SENDER.public_key())
    assert caught.value.field == "signature"


@given(st.binary(max_size=400))
def test_garbage_is_refused_as_such(garbage: bytes) -> None:
    for blob in (garbage, sealing.MAGIC + garbage):
        with pytest.raises(SealInvalid):
            _open(blob)
        with pytest.raises(SealInvalid):
            read_header(blob)


@pytest.mark.parametrize(
    "change", [{"attempt": "1"}, {"attempt": True}, {"attempt": 1.0}, {"job": 1}, {"job": []}]
)
def test_a_header_of_other_types_is_refused(change: dict[str, object]) -> None:
    blob, old = _seal(), HEADER.to_bytes()
    new = json.dumps({**dataclasses.asdict(HEADER), **change}).encode()
    forged = blob[:8] + len(new).to_bytes(4, "big") + new + blob[12 + len(old) :]
    for read in (read_header, _open):
        with pytest.raises(SealInvalid):
            read(forged)


# A second, plain implementation of RFC 9180's base mode with DHKEM(X25519, HKDF-SHA256) and HKDF-SHA256.


def _extract(salt: bytes, suite: bytes, label: bytes, material: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + material, hashlib.sha256)


def _expand(key: bytes, suite: bytes, label: bytes, info: bytes, length: int) -> bytes:
    labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(key, labelled + b"\x01", hashlib.sha256)[:length]


def _plain_open(box: bytes, private: X25519PrivateKey, info: bytes, aad: bytes, aead: int) -> bytes:
    encapsulated, key_bytes = box[:32], {1: 16, 2: 32}[aead]
    kem = b"KEM" + (0x20).to_bytes(2, "big")
    shared = private.exchange(X25519PublicKey.from_public_bytes(encapsulated))
    context = encapsulated + private.public_key().public_bytes_raw()
    secret = _expand(_extract(b"", kem, b"eae_prk", shared), kem, b"shared_secret", context, 32)
    suite = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (0x20, 1, aead))
    schedule = b"\0" + _extract(b"", suite, b"psk_id_hash", b"") + _extract(b"", suite, b"info_hash", info)
    prk = _extract(secret, suite, b"secret", b"")
    key = _expand(prk, suite, b"key", schedule, key_bytes)
    return AESGCM(key).decrypt(_expand(prk, suite, b"base_nonce", schedule, 12), box[32:], aad)


def test_the_plain_implementation_opens_the_rfcs_vector() -> None:
    """RFC 9180, A.1.1 (base mode, AES-128-GCM), sequence number 0."""
    private = X25519PrivateKey.from_private_bytes(
        bytes.fromhex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8")
    )
    encapsulated = bytes.fromhex("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431")
    sealed = bytes.fromhex(
        "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a"
    )
    opened = _plain_open(encapsulated + sealed, private, b"Ode on a Grecian Urn", b"Count-0", 1)
    assert opened == b"Beauty is truth, truth beauty"


def test_the_plain_implementation_opens_our_box() -> None:
    blob, head = _seal(b"payload"), HEADER.to_bytes()
    at = 12 + len(head)
    info = b"hefu sealed envelope v1\n" + head
    content = _plain_open(blob[at : at + 144], RECIPIENT, info, b"", 2)
    opened = AESGCM(content[:32]).decrypt(b"\0" * 11 + b"\1", blob[at + 144 :], None)
    assert opened == b"payload"
    statement = info[:24] + len(head).to_bytes(4, "big") + head + RECIPIENT.public_key().public_bytes_raw()
    SENDER.public_key().verify(content[32:], statement + hashlib.sha256(opened).digest())
    with pytest.raises(InvalidSignature):
        SENDER.public_key().verify(content[32:], statement + hashlib.sha256(b"other").digest())
