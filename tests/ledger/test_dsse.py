"""Envelopes: whatever is altered is noticed; whoever may not sign does not."""

import base64
import hashlib
import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hefu_ledger import canonical, dsse
from hefu_ledger.dsse import Envelope, Signature
from hefu_ledger.errors import EnvelopeInvalid, LedgerError, SignatureInvalid
from hypothesis import given
from hypothesis import strategies as st

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key()
ORDER = 2**252 + 27742317777372353535851937790883648493
PRIME = 2**255 - 19
TYPE = "application/vnd.example+json"


def test_encoding_of_the_specification():
    """The example in the DSSE protocol document."""
    encoded = dsse.pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@given(st.binary(max_size=200))
def test_read_back_and_verified(payload):
    envelope = dsse.sign(TYPE, payload, KEY)
    again = Envelope.from_bytes(envelope.to_bytes())
    assert again == envelope
    assert again.id == hashlib.sha256(envelope.to_bytes()).hexdigest()
    dsse.verify_envelope(again, PUBLIC, payload_type=TYPE)


@given(st.data())
def test_every_flipped_bit_is_noticed(data):
    good = dsse.sign(TYPE, b'{"amount":1}', KEY).to_bytes()
    bit = data.draw(st.integers(0, 8 * len(good) - 1))
    bad = bytearray(good)
    bad[bit // 8] ^= 1 << bit % 8
    with pytest.raises(LedgerError):
        dsse.verify_envelope(Envelope.from_bytes(bytes(bad)), PUBLIC)


def test_key_id_is_the_digest_of_the_raw_key():
    assert dsse.key_id(PUBLIC) == hashlib.sha256(PUBLIC.public_bytes_raw()).hexdigest()


def test_several_signers():
    other = Ed25519PrivateKey.generate()
    both = dsse.add_signature(dsse.sign(TYPE, b"x", KEY), other)
    dsse.verify_envelope(both, PUBLIC)
    dsse.verify_envelope(Envelope.from_bytes(both.to_bytes()), other.public_key())
    with pytest.raises(EnvelopeInvalid):
        dsse.add_signature(both, other)


def test_same_payload_under_another_type():
    envelope = dsse.sign(TYPE, b"x", KEY)
    moved = Envelope("application/vnd.other+json", envelope.payload, envelope.signatures)
    with pytest.raises(SignatureInvalid):
        dsse.verify_envelope(moved, PUBLIC)
    with pytest.raises(SignatureInvalid, match="payload type"):
        dsse.verify_envelope(envelope, PUBLIC, payload_type="application/vnd.other+json")


def test_unknown_key_id():
    with pytest.raises(SignatureInvalid, match="no signature under"):
        dsse.verify_envelope(dsse.sign(TYPE, b"x", KEY), Ed25519PrivateKey.generate().public_key())


def test_another_keys_signature_under_this_key_id():
    forged = dsse.sign(TYPE, b"x", Ed25519PrivateKey.generate()).signatures[0].signature
    with pytest.raises(SignatureInvalid, match="wrong"):
        dsse.verify_envelope(Envelope(TYPE, b"x", (Signature(dsse.key_id(PUBLIC), forged),)), PUBLIC)


def test_signature_with_the_group_order_added():
    (good,) = dsse.sign(TYPE, b"x", KEY).signatures
    scalar = int.from_bytes(good.signature[32:], "little") + ORDER
    malleable = good.signature[:32] + scalar.to_bytes(32, "little")
    with pytest.raises(SignatureInvalid):
        dsse.verify_envelope(Envelope(TYPE, b"x", (Signature(good.key_id, malleable),)), PUBLIC)


def _add(p, q):
    d = -121665 * pow(121666, -1, PRIME) % PRIME
    (x1, y1), (x2, y2) = p, q
    cross = d * x1 * x2 * y1 * y2 % PRIME
    return (
        (x1 * y2 + x2 * y1) * pow(1 + cross, -1, PRIME) % PRIME,
        (y1 * y2 + x1 * x2) * pow(1 - cross, -1, PRIME) % PRIME,
    )


def _x_of(y):
    d = -121665 * pow(121666, -1, PRIME) % PRIME
    square = (y * y - 1) * pow(d * y * y + 1, -1, PRIME) % PRIME
    root = pow(square, (PRIME + 3) // 8, PRIME)
    if root * root % PRIME != square:
        root = root * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    assert root * root % PRIME == square
    return root


def test_the_weak_keys_are_exactly_those_of_small_order():
    heights = {y % PRIME for y in dsse._SMALL_ORDER_Y}
    points = {(x, y) for y in heights for x in (_x_of(y), -_x_of(y) % PRIME)}
    assert len(points) == 8
    for point in points:
        eightfold = point
        for _ in range(3):
            eightfold = _add(eightfold, eightfold)
        assert eightfold == (0, 1)


def test_anybody_could_forge_under_a_weak_key_so_it_is_refused():
    """The all-zero key: OpenSSL takes a signature that nobody made; this room does not."""
    weak = bytes(32)
    forged = None
    for number in range(200):
        payload = b"%d" % number
        message = dsse.pre_authentication_encoding(TYPE, payload)
        for candidate in (weak, (1).to_bytes(32, "little"), (PRIME - 1).to_bytes(32, "little")):
            signature = candidate + bytes(32)
            try:
                Ed25519PublicKey.from_public_bytes(weak).verify(signature, message)
            except InvalidSignature:
                continue
            forged = (payload, signature)
    assert forged is not None, "the library refuses weak keys by itself"
    payload, signature = forged
    key = Ed25519PublicKey.from_public_bytes(weak)
    envelope = Envelope(TYPE, payload, (Signature(dsse.key_id(key), signature),))
    with pytest.raises(SignatureInvalid, match="small order"):
        dsse.verify_envelope(envelope, key)
    with pytest.raises(SignatureInvalid, match="small order"):
        dsse.load_public_key(weak)


def _value():
    return json.loads(dsse.sign(TYPE, b"x", KEY).to_bytes())


def _with(**changes):
    return {**_value(), **changes}


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        _with(extra=1),
        _with(payload="eA"),
        _with(payload="eB=="),
        _with(payload="eA==\n"),
        _with(payload="_-=="),
        _with(payload=1),
        _with(payloadType=""),
        _with(payloadType="é"),
        _with(payloadType=None),
        _with(signatures=[]),
        _with(signatures={}),
        _with(signatures=_value()["signatures"] * 2),
        _with(signatures=[{"keyid": "", "sig": _value()["signatures"][0]["sig"]}]),
        _with(signatures=[{"keyid": dsse.key_id(PUBLIC).upper(), "sig": _value()["signatures"][0]["sig"]}]),
        _with(signatures=[{"keyid": dsse.key_id(PUBLIC), "sig": base64.b64encode(bytes(63)).decode()}]),
        _with(signatures=[{"keyid": dsse.key_id(PUBLIC)}]),
        _with(signatures=[None]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_not_an_envelope(value):
    with pytest.raises(EnvelopeInvalid):
        Envelope.from_bytes(canonical.encode(value))


def test_an_envelope_has_one_spelling():
    good = dsse.sign(TYPE, b"x", KEY).to_bytes()
    for bad in (good + b"\n", json.dumps(json.loads(good)).encode(), b"\xff", b""):
        with pytest.raises(EnvelopeInvalid):
            Envelope.from_bytes(bad)
