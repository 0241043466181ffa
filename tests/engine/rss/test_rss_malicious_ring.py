"""The Galois ring: a field modulo 2, its operations as in plain polynomials, its challenges where plain ones fail."""

import numpy as np
import pytest
from hefu.engine.errors import InputInvalid
from hefu.engine.prg import Prg
from hefu.engine.rss.malicious_ring import (
    bits,
    embedded,
    folded,
    inner_product,
    local_products,
    times_challenge,
    weighed,
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


def _sum_of_products(a, b):
    out = np.zeros((4, 16), dtype=np.uint64)
    for r in range(4):
        for k in range(a.shape[2]):
            out[r] += np.array(_plain_product(a[r, :, k].tolist(), b[r, :, k].tolist()), dtype=np.uint64)
    return out


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_inner_products_are_those_of_polynomials(n):
    prg = Prg(bytes(16))
    a, b = (prg.words(n * 64).reshape(4, 16, n) for _ in range(2))
    assert (inner_product(a, b) == _sum_of_products(a, b)).all()


@pytest.mark.parametrize("half", [1, 3, 130])
def test_local_products_add_up_to_both_inner_products(half):
    prg = Prg(bytes(16))
    parts = [prg.words(64 * 2 * half).reshape(4, 16, 2 * half) for _ in range(6)]
    f, g = parts[:3], parts[3:]
    total = sum(local_products(f[i], f[i - 2], g[i], g[i - 2]) for i in range(3))
    x, y = sum(f), sum(g)
    low, high = slice(0, half), slice(half, 2 * half)
    assert (total[0] == _sum_of_products(x[..., high], y[..., high])).all()
    assert (total[1] == _sum_of_products(x[..., high] - x[..., low], y[..., high] - y[..., low])).all()
    constants = [c[0, 0] for c in g]
    of_constants = [local_products(f[i], f[i - 2], constants[i], constants[i - 2]) for i in range(3)]
    wide = [embedded(c) for c in constants]
    for i in range(3):
        assert (of_constants[i] == local_products(f[i], f[i - 2], wide[i], wide[i - 2])).all()
    with pytest.raises(InputInvalid):
        local_products(f[0], f[1], g[0][..., 1:], g[1][..., 1:])


def test_weights():
    prg = Prg(bytes(16))
    words, challenges = prg.words(70), prg.words(70)
    assert (weighed(words, challenges).reshape(64, -1) == bits(challenges) * words).all()


@pytest.mark.parametrize("half", [1, 3, 65])
def test_a_fold_is_the_line_through_both_halves(half):
    prg = Prg(bytes(16))
    vector = prg.words(2 * half * 64).reshape(4, 16, 2 * half)
    low, high = vector[..., :half], vector[..., half:]
    assert (folded(vector, 0) == low).all()
    assert (folded(vector, sum(1 << (16 * r) for r in range(4))) == high).all()
    challenge = int(prg.words(1)[0])
    beta = bits(np.array([challenge], dtype=np.uint64)).reshape(4, 16)
    out = folded(vector, challenge)
    for k in range(half):
        for r in range(4):
            step = _plain_product(beta[r].tolist(), (high - low)[r, :, k].tolist())
            due = [(int(a) + b) % (1 << 64) for a, b in zip(low[r, :, k], step, strict=True)]
            assert out[r, :, k].tolist() == due
    assert (folded(embedded(vector[0, 0]), challenge) == folded(vector[0, 0].copy(), challenge)).all()
    from_zero = np.stack([np.zeros((4, 16), dtype=np.uint64), high[..., 0]], axis=-1)
    assert (times_challenge(high[..., 0], challenge) == folded(from_zero, challenge)[..., 0]).all()


@pytest.mark.parametrize("error", [1 << 63, 1, 1 << 62, 0x1234567890ABCDEF])
def test_random_weights_see_every_error_where_plain_ones_do_not(error):
    """One wrong product of eight: a sum with random 64-bit weights misses 2^63 half the time, bits in the ring never."""
    errors = np.zeros(8, dtype=np.uint64)
    errors[3] = error
    plain_missed = ring_missed = 0
    for seed in range(400):
        words = Prg(seed.to_bytes(16, "big")).words(8)
        plain_missed += not int((words * errors).sum())
        ring_missed += not (bits(words) @ errors).any()
    assert ring_missed == 0
    assert (150 < plain_missed < 250) == (error == 1 << 63)


def test_embedding():
    out = embedded(np.array([5, 7], dtype=np.uint64))
    assert out.shape == (4, 16, 2)
    assert out[:, 0].tolist() == [[5, 7]] * 4
    assert not out[:, 1:].any()
