"""The Galois ring: a field modulo 2, its operations as in plain polynomials, its challenges where plain ones fail."""

import numpy as np
import pytest
from hefu.engine.prg import Prg
from hefu.engine.rss.malicious_ring import (
    bits,
    embedded,
    folded,
    inner_product,
    reduced,
    times_challenge,
)

MODULUS = (1 << 16) | (1 << 5) | (1 << 3) | (1 << 1) | 1


def _times_mod_2(a: int, b: int) -> int:
    total = 0
    while b:
        if b & 1:
            total ^= a
        a <<= 1
        if a >> 16:
            a ^= MODULUS
        b >>= 1
    return total


def test_the_modulus_is_irreducible_over_two():
    """Rabin: x^(2^16) = x, and x^(2^8) - x has no factor in common with it (16 has one prime factor)."""
    power, at_8 = 2, 0
    for step in range(1, 17):
        power = _times_mod_2(power, power)
        if step == 8:
            at_8 = power
    assert power == 2
    a, b = MODULUS, at_8 ^ 2
    while b:
        while a.bit_length() >= b.bit_length():
            a ^= b << (a.bit_length() - b.bit_length())
        a, b = b, a
    assert a == 1


def _plain_product(a: list[int], b: list[int]) -> list[int]:
    c = [0] * 31
    for i, u in enumerate(a):
        for j, v in enumerate(b):
            c[i + j] += u * v
    for i in range(30, 15, -1):
        for back in (16, 15, 13, 11):
            c[i - back] -= c[i]
    return [v % (1 << 64) for v in c[:16]]


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_inner_products_are_those_of_polynomials(n):
    prg = Prg(bytes(16))
    a, b = (prg.words(n * 64).reshape(n, 4, 16) for _ in range(2))
    for r in range(4):
        total = [0] * 16
        for k in range(n):
            product = _plain_product(a[k, r].tolist(), b[k, r].tolist())
            total = [(s + p) % (1 << 64) for s, p in zip(total, product, strict=True)]
        assert inner_product(a, b)[r].tolist() == total


def test_a_fold_is_the_line_through_both():
    prg = Prg(bytes(16))
    low, high = (prg.words(3 * 64).reshape(3, 4, 16) for _ in range(2))
    assert (folded(low, high, 0) == low).all()
    assert (folded(low, high, sum(1 << (16 * r) for r in range(4))) == high).all()
    challenge = int(prg.words(1)[0])
    beta = bits(np.array([challenge], dtype=np.uint64)).reshape(4, 16)
    out = folded(low, high, challenge)
    for k in range(3):
        for r in range(4):
            step = _plain_product(beta[r].tolist(), (high - low)[k, r].tolist())
            assert out[k, r].tolist() == [
                (int(a) + b) % (1 << 64) for a, b in zip(low[k, r], step, strict=True)
            ]
    assert (times_challenge(low[0], challenge) == folded(np.zeros_like(low), low, challenge)[0]).all()
    assert (reduced(np.eye(31, dtype=np.uint64)[:16]) == np.eye(16, dtype=np.uint64)).all()


@pytest.mark.parametrize("error", [1 << 63, 1, 1 << 62, 0x1234567890ABCDEF])
def test_random_weights_see_every_error_where_plain_ones_do_not(error):
    """One wrong product of eight: a sum with random 64-bit weights misses 2^63 half the time, bits in the ring never."""
    errors = np.zeros(8, dtype=np.uint64)
    errors[3] = error
    plain_missed = ring_missed = 0
    for seed in range(400):
        words = Prg(seed.to_bytes(16, "big")).words(8)
        plain_missed += not int((words * errors).sum())
        ring_missed += not (errors @ bits(words)).any()
    assert ring_missed == 0
    assert (150 < plain_missed < 250) == (error == 1 << 63)


def test_embedding():
    out = embedded(np.array([5, 7], dtype=np.uint64))
    assert out.shape == (2, 4, 16)
    assert out[:, :, 0].tolist() == [[5] * 4, [7] * 4]
    assert not out[:, :, 1:].any()
