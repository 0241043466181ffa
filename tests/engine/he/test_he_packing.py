"""Packed slots: laws, headroom stated and checked, hostile bytes."""

import os

import numpy as np
import pytest
from hefu.engine.he import (
    CiphertextInvalid,
    HeadroomExceeded,
    PackedVector,
    PaillierPrivateKey,
    PlaintextOverflow,
    decrypt_packed,
    encrypt_packed,
    slots_per_ciphertext,
)
from hefu.engine.he.packing import pack, unpack
from hefu.engine.prg import Prg
from hypothesis import given, settings
from hypothesis import strategies as st

words = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=14)


@given(words, st.integers(1, 6))
def test_unpack_inverts_pack(values: list[int], slots: int) -> None:
    array = np.array(values, dtype=np.int64)
    rows = pack(array, slots)
    assert len(rows) == -(-len(values) // slots)
    for i, row in enumerate(rows):
        part = values[i * slots : (i + 1) * slots]
        assert row == sum(v << (96 * j) for j, v in enumerate(part))
    assert unpack(rows, len(values), slots).tolist() == values


@settings(max_examples=25, deadline=None)
@given(words, st.integers(-(2**20), 2**20))
def test_packed_laws(paillier_key: PaillierPrivateKey, values: list[int], k: int) -> None:
    x = encrypt_packed(paillier_key, np.array(values, dtype=np.int64))
    y = encrypt_packed(paillier_key.public, np.array(values[::-1], dtype=np.int64))
    assert len(x.vector) == -(-len(values) // slots_per_ciphertext(paillier_key.public))
    both = list(zip(values, values[::-1], strict=True))
    assert decrypt_packed(paillier_key, x + y).tolist() == [a + b for a, b in both]
    assert decrypt_packed(paillier_key, x - y).tolist() == [a - b for a, b in both]
    assert decrypt_packed(paillier_key, x * k).tolist() == [a * k for a in values]
    received = PackedVector.from_bytes(paillier_key.public, (x + y).to_bytes(), 20)
    assert decrypt_packed(paillier_key, received).tolist() == [a + b for a, b in both]


def test_headroom_is_used_up_and_then_refused(paillier_key: PaillierPrivateKey) -> None:
    extreme = np.array([-(2**63), 2**63 - 1, -(2**63), -1, 0, 1], dtype=np.int64)
    x = encrypt_packed(paillier_key, extreme)
    assert x.bound == 2**64
    most = x * (2**31 - 1)
    assert decrypt_packed(paillier_key, most).tolist() == [int(v) * (2**31 - 1) for v in extreme]
    with pytest.raises(HeadroomExceeded):
        _ = x * 2**31
    with pytest.raises(HeadroomExceeded):
        _ = most + x
    with pytest.raises(HeadroomExceeded):
        _ = most - x
    # The same sum without the check: a slot runs into its neighbour, which the test sees.
    raw = PackedVector(x.vector * 2**33, len(x), 2**95 - 1)
    try:
        spoilt = decrypt_packed(paillier_key, raw).tolist()
    except PlaintextOverflow:
        spoilt = []
    assert spoilt != [int(v) * 2**33 for v in extreme]


def test_the_bound_hides_the_maximum_and_sizes_hide_the_values(paillier_key: PaillierPrivateKey) -> None:
    small = encrypt_packed(paillier_key, np.array([900, 1]))
    other = encrypt_packed(paillier_key, np.array([777, -1000]))
    assert small.bound == other.bound == 1024
    assert len(small.to_bytes()) == len(other.to_bytes())


def test_a_bound_that_lies_is_noticed(paillier_key: PaillierPrivateKey) -> None:
    x = encrypt_packed(paillier_key, np.array([5000, 1]))
    with pytest.raises(PlaintextOverflow):
        decrypt_packed(paillier_key, PackedVector(x.vector, 2, 100))


def test_what_does_not_fit_is_refused(paillier_key: PaillierPrivateKey) -> None:
    for bad in (np.array([1.5]), np.array([[1]]), np.array([2**63], dtype=np.uint64)):
        with pytest.raises(PlaintextOverflow):
            encrypt_packed(paillier_key, bad)
    x = encrypt_packed(paillier_key, np.array([1, 2]), coins=Prg(b"coins of a test."))
    with pytest.raises(PlaintextOverflow):
        _ = x + encrypt_packed(paillier_key, np.array([1]))
    with pytest.raises(PlaintextOverflow):
        unpack([1 << 600], 1, 5)


def test_hostile_bytes_are_refused(paillier_key: PaillierPrivateKey) -> None:
    public = paillier_key.public
    data = encrypt_packed(paillier_key, np.arange(6)).to_bytes()
    wide = data[:8] + b"\xff" * 12 + data[20:]
    longer = data[:4] + (60).to_bytes(4, "big") + data[8:]
    for broken in (b"", data[:10], data[:-1], data + b"\0", wide, longer, os.urandom(300)):
        with pytest.raises(CiphertextInvalid):
            PackedVector.from_bytes(public, broken, 100)
    with pytest.raises(CiphertextInvalid):
        PackedVector.from_bytes(public, data, 5)
