"""Paillier: laws on arrays, interchange with python-paillier both ways, twins, hostile bytes, what a ciphertext shows."""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import phe
import pytest
from hefu.engine.he import (
    CiphertextInvalid,
    EncryptedNumber,
    KeyInvalid,
    NotSupported,
    PaillierPrivateKey,
    PaillierPublicKey,
    PaillierVector,
    PlaintextOverflow,
    Workers,
    encrypt_vector,
    generate_paillier_keypair,
    paillier_keys,
)
from hefu.engine.he.integers import draw_below, invert_each, jacobi, mpz
from hefu.engine.he.multiexp import MultiPower, window_for
from hefu.engine.prg import Prg
from hypothesis import given, settings
from hypothesis import strategies as st

EDGES = [0, 1, -1, 2**62, -(2**62), 2**63 - 1, -(2**63)]
COINS = b"coins of a test."


def decrypted(key: PaillierPrivateKey, vector: PaillierVector) -> list[Any]:
    return key.decrypt_vector(vector).tolist()


# Keys.


def test_a_key_is_made_by_the_rules() -> None:
    public, private = paillier_keys._generate(512, Prg(COINS))
    p, q, h = private.p, private.q, public.h
    assert h is not None
    assert p * q == public.n
    assert public.n.bit_length() == 512
    assert p % 4 == q % 4 == 3
    assert math.gcd(p - 1, q - 1) == 2
    assert jacobi(mpz(h), mpz(public.n)) == 1
    for prime in (p, q):  # h = -x^2 is a square modulo neither
        assert pow(h, (prime - 1) // 2, prime) == prime - 1
    again, _ = paillier_keys._generate(512, Prg(COINS))
    assert (again.n, again.h) == (public.n, public.h)


@pytest.mark.parametrize("bits", [512, 1024, 2047, 1 << 15])
def test_short_and_absurd_keys_are_refused(bits: int) -> None:
    with pytest.raises(KeyInvalid, match="2048"):
        generate_paillier_keypair(bits)


def test_2048_bits_are_allowed_and_3072_the_default() -> None:
    public, private = generate_paillier_keypair(2048)
    assert public.bits == 2048
    assert decrypted(private, public.encrypt_vector([5, -7])) == [5, -7]
    assert generate_paillier_keypair.__defaults__ == (3072,)


def test_public_key_travels_without_the_private_one(
    paillier_key: PaillierPrivateKey, short_keys_allowed: None
) -> None:
    public = paillier_key.public
    data = public.to_bytes()
    found = PaillierPublicKey.from_bytes(data)
    assert (found.n, found.h) == (public.n, public.h)
    for secret in (paillier_key.p, paillier_key.q):
        assert secret.to_bytes(32, "big") not in data
    for broken in (b"", data[:-1], data[:30], b"x" + data, data.replace(b"v1", b"v2")):
        with pytest.raises(KeyInvalid):
            PaillierPublicKey.from_bytes(broken)
    with pytest.raises(KeyInvalid):  # an h that is no -x^2
        PaillierPublicKey(public.n, public.n - 1)


def test_a_short_key_from_outside_is_refused(paillier_key: PaillierPrivateKey) -> None:
    with pytest.raises(KeyInvalid):
        PaillierPublicKey.from_bytes(paillier_key.public.to_bytes())
    with pytest.raises(KeyInvalid):
        PaillierPublicKey.from_phe(phe.PaillierPublicKey(paillier_key.public.n))


def test_wrong_factors_are_refused(paillier_key: PaillierPrivateKey) -> None:
    with pytest.raises(KeyInvalid):
        PaillierPrivateKey(paillier_key.public, paillier_key.p, paillier_key.p)
    with pytest.raises(KeyInvalid):
        PaillierPrivateKey(paillier_key.public, paillier_key.p + 2, paillier_key.q)


# Interchange with python-paillier.


@pytest.mark.parametrize("value", [0, 1, -1, 2**62, -(2**62), 0.0, 3.25, -1e-9, 1e20])
def test_numbers_go_both_ways(paillier_key: PaillierPrivateKey, value: float) -> None:
    ours = paillier_key.public
    theirs = phe.PaillierPublicKey(ours.n)
    their_private = phe.PaillierPrivateKey(theirs, paillier_key.p, paillier_key.q)
    assert their_private.decrypt(ours.encrypt(value)) == value
    assert paillier_key.decrypt(theirs.encrypt(value)) == value
    assert paillier_key.decrypt(EncryptedNumber.from_phe(ours, theirs.encrypt(value))) == value


def test_the_same_r_gives_the_same_ciphertext_as_phe(paillier_key: PaillierPrivateKey) -> None:
    ours, theirs = paillier_key.public, phe.PaillierPublicKey(paillier_key.public.n)
    for m in (0, 1, 12345, ours.n - 1, ours.n // 2):
        assert ours.raw_encrypt(m, r_value=987654321) == theirs.raw_encrypt(m, r_value=987654321)


@settings(max_examples=25, deadline=None)
@given(st.integers(-(2**62), 2**62), st.integers(-(2**62), 2**62), st.integers(-(2**40), 2**40))
def test_arithmetic_of_single_numbers_mixed_with_phe(
    paillier_key: PaillierPrivateKey, a: int, b: int, k: int
) -> None:
    ours, theirs = paillier_key.public, phe.PaillierPublicKey(paillier_key.public.n)
    mixed = (ours.encrypt(a) + theirs.encrypt(b)) * k - 3
    assert isinstance(mixed, EncryptedNumber)
    assert paillier_key.decrypt(mixed) == (a + b) * k - 3
    assert paillier_key.decrypt(theirs.encrypt(b) + ours.encrypt(a)) == a + b


def test_vectors_to_and_from_phe(paillier_key: PaillierPrivateKey) -> None:
    ours = paillier_key.public
    theirs = phe.PaillierPublicKey(ours.n)
    private = phe.PaillierPrivateKey(theirs, paillier_key.p, paillier_key.q)
    vector = ours.encrypt_vector(EDGES)
    assert [private.decrypt(number) for number in vector.to_phe()] == EDGES
    numbers = [theirs.encrypt(value) for value in (1, 2.5, -1e-6, 7)]
    found = PaillierVector.from_phe(ours, numbers)
    assert decrypted(paillier_key, found) == [1, 2.5, -1e-6, 7]
    other = phe.generate_paillier_keypair(n_length=512)[0]
    with pytest.raises(KeyInvalid):
        PaillierVector.from_phe(ours, [other.encrypt(1)])
    with pytest.raises(CiphertextInvalid):
        PaillierVector.from_phe(ours, [phe.EncryptedNumber(theirs, ours.n * 5, 0)])


def test_a_foreign_key_gets_full_randomness(
    paillier_key: PaillierPrivateKey, short_keys_allowed: None
) -> None:
    theirs, their_private = phe.generate_paillier_keypair(n_length=512)
    public = PaillierPublicKey.from_phe(theirs)
    assert public.h is None
    coins = Prg(COINS)
    r = draw_below(coins, public.n)
    assert public.masks(1, Prg(COINS)) == [pow(int(r), public.n, public.nsquare)]
    private = PaillierPrivateKey.from_phe(their_private)
    assert private.masks(3, Prg(COINS)) == public.masks(3, Prg(COINS))
    assert [their_private.decrypt(x) for x in public.encrypt_vector([4, -9]).to_phe()] == [4, -9]


# Vectors.


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=0, max_size=6),
    st.integers(-(2**63), 2**63 - 1),
)
def test_vector_laws(paillier_key: PaillierPrivateKey, values: list[int], k: int) -> None:
    x = paillier_key.encrypt_vector(values)
    y = paillier_key.encrypt_vector(values[::-1])
    reverse = values[::-1]
    assert decrypted(paillier_key, x + y) == [a + b for a, b in zip(values, reverse, strict=True)]
    assert decrypted(paillier_key, x - y) == [a - b for a, b in zip(values, reverse, strict=True)]
    assert decrypted(paillier_key, x + reverse) == [a + b for a, b in zip(values, reverse, strict=True)]
    assert decrypted(paillier_key, x * k) == [a * k for a in values]
    assert decrypted(paillier_key, x - k) == [a - k for a in values]
    assert decrypted(paillier_key, x.sum()) == [sum(values)]
    assert decrypted(paillier_key, x.dot(reverse)) == [
        sum(a * b for a, b in zip(values, reverse, strict=True))
    ]


def test_integers_stay_exact_beside_those_of_64_bits(paillier_key: PaillierPrivateKey) -> None:
    values = [0, 2**63, 2**64 - 1, -(2**63)]
    assert np.asarray(values[:2]).dtype.kind == "f"  # what numpy would make of them
    x = paillier_key.encrypt_vector(values)
    assert x.exponent == 0
    assert decrypted(paillier_key, x) == values
    assert decrypted(paillier_key, x.dot([1, 2**63, -1, 0])) == [2**126 - 2**64 + 1]
    assert decrypted(paillier_key, x.dot([[1], [2**63], [-1], [0]])) == [2**126 - 2**64 + 1]


def test_edges_empty_and_matrices(paillier_key: PaillierPrivateKey) -> None:
    x = paillier_key.public.encrypt_vector(EDGES)
    assert decrypted(paillier_key, x) == EDGES
    assert paillier_key.decrypt_vector(x).dtype == np.int64
    assert decrypted(paillier_key, x * 4)[3] == 2**64
    w = np.array([EDGES, EDGES[::-1], [0] * 7], dtype=object).T
    plain = [sum(a * b for a, b in zip(EDGES, column, strict=True)) for column in w.T.tolist()]
    assert decrypted(paillier_key, x.dot(w)) == plain
    empty = paillier_key.public.encrypt_vector([])
    assert len(empty) == 0
    assert decrypted(paillier_key, empty.dot([])) == [0]
    assert decrypted(paillier_key, x[2:4]) == EDGES[2:4]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4), st.floats(-100, 100))
def test_floats_keep_their_precision(paillier_key: PaillierPrivateKey, values: list[float], k: float) -> None:
    x = paillier_key.encrypt_vector(values)
    np.testing.assert_allclose(paillier_key.decrypt_vector(x), values, atol=2**-41, rtol=0)
    np.testing.assert_allclose(
        paillier_key.decrypt_vector(x * k), np.array(values) * k, atol=2**-19, rtol=1e-9
    )
    np.testing.assert_allclose(paillier_key.decrypt_vector(x + 5), np.array(values) + 5, atol=2**-40)
    np.testing.assert_allclose(
        paillier_key.decrypt_vector(x.dot(values)), [np.dot(values, values)], atol=1e-5, rtol=1e-9
    )


def test_what_does_not_fit_is_refused(paillier_key: PaillierPrivateKey) -> None:
    public = paillier_key.public
    x = public.encrypt_vector([public.max_int])
    with pytest.raises(PlaintextOverflow):
        public.encrypt_vector([public.max_int + 1])
    with pytest.raises(PlaintextOverflow):
        paillier_key.decrypt_vector(x + x)
    for bad in ([float("nan")], [float("inf")], ["x"], [[1, 2]], [1j]):
        with pytest.raises(PlaintextOverflow):
            public.encrypt_vector(bad)
    with pytest.raises(PlaintextOverflow):
        _ = x * [1, 2]
    with pytest.raises(NotSupported):
        _ = x * x
    with pytest.raises(NotSupported):
        x.dot(x)
    other = paillier_keys._generate(512, Prg(b"some other coins"))[1]
    with pytest.raises(KeyInvalid):
        _ = x + other.encrypt_vector([1])
    with pytest.raises(KeyInvalid):
        other.decrypt_vector(x)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 10**9), st.integers(-(2**130), 2**130)), max_size=12))
def test_multi_power_is_the_product_of_powers(terms: list[tuple[int, int]]) -> None:
    modulus = 2**127 - 1
    expected = 1
    for base, exponent in terms:
        expected = expected * pow(base, exponent, modulus) % modulus
    assert MultiPower(modulus)([b for b, _ in terms], [e for _, e in terms]) == expected


def test_inverses_and_windows() -> None:
    modulus = 2**61 - 1
    values = [3, 5, 2**60, 12345678901]
    assert all(v * i % modulus == 1 for v, i in zip(values, invert_each(values, modulus), strict=True))
    with pytest.raises(ZeroDivisionError):
        invert_each([2, 3], 6)
    assert (window_for(500, 64, 1), window_for(1000, 64, 1), window_for(1000, 64, 8)) == (6, 8, 8)
    assert window_for(1, 64, 1) < window_for(10**5, 64, 1)


# Twins: the owner's way, worker processes.


def test_owner_and_public_give_the_same_bytes_from_the_same_coins(paillier_key: PaillierPrivateKey) -> None:
    values = np.arange(-70, 70)
    by_public = encrypt_vector(paillier_key.public, values, coins=Prg(COINS))
    by_owner = encrypt_vector(paillier_key, values, coins=Prg(COINS))
    assert by_public.to_bytes() == by_owner.to_bytes()
    n, n2 = paillier_key.public.n, paillier_key.public.nsquare
    seed = np.empty(16, dtype=np.uint8)
    Prg(COINS).fill(seed)
    r = np.empty(32, dtype=np.uint8)
    Prg(seed.tobytes()).fill(r)
    h = paillier_key.public.h
    assert h is not None
    exponent = int.from_bytes(r.tobytes(), "little")
    plain = (1 - 70 * n) * pow(pow(h, n, n2), exponent, n2) % n2
    assert by_public.ciphertexts[0] == plain


def test_what_hides_a_computation_has_an_exponent_longer_than_the_group(
    paillier_key: PaillierPrivateKey,
) -> None:
    public = paillier_key.public
    drawn = np.empty((public.bits + 64) // 8, dtype=np.uint8)
    Prg(COINS).fill(drawn)
    exponent = int.from_bytes(drawn.tobytes(), "little")
    assert public.hiding_masks(1, Prg(COINS)) == [pow(int(public.residue_base), exponent, public.nsquare)]


@pytest.mark.server
def test_workers_give_the_same_bytes_and_show_no_secret(paillier_key: PaillierPrivateKey) -> None:
    values = np.arange(200)
    with Workers(paillier_key, 2) as workers:
        x = encrypt_vector(paillier_key, values, coins=Prg(COINS), workers=workers)
        for pid in workers._pool._processes:
            shown = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
            for secret in (paillier_key.p, paillier_key.q):
                assert str(secret).encode() not in shown
                assert f"{secret:x}".encode() not in shown
        assert x.to_bytes() == encrypt_vector(paillier_key, values, coins=Prg(COINS)).to_bytes()
        assert paillier_key.decrypt_vector(x, workers=workers).tolist() == values.tolist()
        other = paillier_keys._generate(512, Prg(b"some other coins"))[1]
        with pytest.raises(KeyInvalid):
            encrypt_vector(other, values, workers=workers)


# What leaves, and what comes in.


def test_a_computed_vector_is_rerandomised_before_it_leaves(paillier_key: PaillierPrivateKey) -> None:
    public = paillier_key.public
    x = public.encrypt_vector([10, 20, 30])
    secret_factor = 4321
    product = x * secret_factor

    def guess(ciphertexts: list[int]) -> int | None:
        """The owner kept x and tries all factors."""
        return next(
            (k for k in range(5000) if pow(int(x.ciphertexts[0]), k, public.nsquare) == ciphertexts[0]), None
        )

    assert guess(product.ciphertexts) == secret_factor  # the test sees a mask that was left out
    received = public_vector(public, product.to_bytes())
    assert guess(received.ciphertexts) is None
    assert decrypted(paillier_key, received) == [43210, 86420, 129630]
    assert guess([n.ciphertext(False) for n in product.to_phe()]) is None
    assert x.to_bytes() == x.to_bytes()  # fresh: leaves as it is
    number = public.encrypt(10)
    kept = number.ciphertext()
    doubled = number * 2
    assert doubled.ciphertext(False) == pow(kept, 2, public.nsquare)
    assert doubled.ciphertext() != pow(kept, 2, public.nsquare)
    assert paillier_key.decrypt(doubled) == 20


def public_vector(public: PaillierPublicKey, data: bytes) -> PaillierVector:
    return PaillierVector.from_bytes(public, data, 1000)


def chi_square(data: bytes) -> float:
    """Of the bytes against uniform, 255 degrees of freedom: mean 255, standard deviation 22.6."""
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)
    expected = len(data) / 256
    return float(((counts - expected) ** 2 / expected).sum())


def test_ciphertexts_have_one_size_and_look_alike_whatever_is_inside(
    paillier_key: PaillierPrivateKey,
) -> None:
    public = paillier_key.public
    width = public.ciphertext_bytes
    lows: list[bytes] = []
    for values in (np.zeros(400, np.int64), np.full(400, 2**62)):
        x = encrypt_vector(paillier_key, values, coins=Prg(COINS[::-1]))
        data = x.to_bytes()
        assert len(data) == 28 + 400 * width
        lows.append(b"".join(int(c).to_bytes(width, "big")[1:] for c in x.ciphertexts))
        assert chi_square(lows[-1]) < 255 + 5 * 22.6
    nude = b"".join(int(public.nude(2**62)).to_bytes(width, "big")[1:] for _ in range(400))
    assert chi_square(nude) > 1000  # the test sees a mask that was left out


def test_hostile_bytes_are_refused(paillier_key: PaillierPrivateKey, short_keys_allowed: None) -> None:
    public = paillier_key.public
    data = public.encrypt_vector([1, 2, 3]).to_bytes()
    width = public.ciphertext_bytes
    zero = data[:28] + bytes(width) + data[28 + width :]
    large = data[:28] + b"\xff" * width + data[28 + width :]
    factor = data[:28] + public.n.to_bytes(width, "big") + data[28 + width :]
    absurd = data[:20] + b"\x7f\xff\xff\xff" + data[24:]
    for broken in (b"", data[:27], data[:-1], data + b"\0", zero, large, factor, absurd, os.urandom(200)):
        with pytest.raises(CiphertextInvalid):
            public_vector(public, broken)
    with pytest.raises(CiphertextInvalid, match="at most 2"):
        PaillierVector.from_bytes(public, data, 2)
    other = paillier_keys._generate(512, Prg(b"some other coins"))[0]
    with pytest.raises(KeyInvalid):
        public_vector(other, data)
