"""Arithmetic in GR(2^64, 16), four elements at a time, for checks that a party's lies do not survive.

GR = Z_2^64[ξ]/(ξ¹⁶ + ξ⁵ + ξ³ + ξ + 1), an extension of Z_2^64 whose residue field is GF(2¹⁶). The 2¹⁶ elements with
coefficients 0 and 1 are pairwise different modulo 2: a nonzero polynomial of degree t, even one whose coefficients are
all multiples of 2⁶³, vanishes on at most t of them. Over Z_2^64 itself only 0 and 1 have this property, which is why a
random linear check there misses an error of 2⁶³ half the time.
A challenge is one word: 4 × 16 bits, one such element for each of four independent repetitions.
Arrays are (4, 16, n) uint64: n quadruples of elements, low coefficients first; kernels run along n.
Source: Abspoel, Cramer, Damgård, Escudero, Yuan, "Efficient information-theoretic secure multiparty computation over
Z/p^kZ via Galois rings", TCC 2019, section 2 (exceptional sequences).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid
from hefu.engine.kernels import kernel
from hefu.engine.rss.matrix import ring_product

Words = NDArray[np.uint64]

REPETITIONS: Final = 4
DEGREE: Final = 16
WIDTH: Final = REPETITIONS * DEGREE

_U = np.uint64


@kernel
def _weigh(words: Words, challenges: Words, out: Words) -> None:
    """out[c, k] = words[k] where bit c of challenges[k] is set, else 0."""
    for c in range(64):
        row = out[c]
        for k in range(len(words)):
            row[k] = words[k] & (np.uint64(0) - ((challenges[k] >> np.uint64(c)) & np.uint64(1)))


@kernel
def _products(left: Words, left2: Words, right: Words, right2: Words, out: Words) -> None:
    """out (2, 4, 31) += this party's unreduced share of <f1, g1> and of <f1 - f0, g1 - g0>."""
    half = left.shape[2] // 2
    f, f2, s, g = (
        np.zeros((16, 128), _U),
        np.zeros((16, 128), _U),
        np.zeros((16, 128), _U),
        np.zeros((16, 128), _U),
    )
    for start in range(0, half, 128):
        size = min(128, half - start)
        for r in range(4):
            for leading in range(2):
                for i in range(16):
                    for source, target in ((left, f), (left2, f2), (right, g), (right2, s)):
                        row, high = target[i], source[r, i, half + start : half + start + size]
                        for k in range(size):
                            row[k] = high[k]
                        if leading == 1:
                            low = source[r, i, start : start + size]
                            for k in range(size):
                                row[k] -= low[k]
                    row, other = s[i], g[i]
                    for k in range(size):
                        row[k] += other[k]
                for i in range(16):
                    x, x2 = f[i], f2[i]
                    for j in range(16):
                        y, y2 = s[j], g[j]
                        total = _U(0)
                        for k in range(size):
                            total += x[k] * y[k] + x2[k] * y2[k]
                        out[leading, r, i + j] += total


@kernel
def _fold(vector: Words, challenge: np.uint64, out: Words) -> None:
    """out = low half + β (high half - low half); β has the challenge's bits as coefficients."""
    half = vector.shape[2] // 2
    step, product = np.zeros((16, 64), _U), np.zeros((31, 64), _U)
    for start in range(0, half, 64):
        size = min(64, half - start)
        for r in range(4):
            product[:] = _U(0)
            for j in range(16):
                low = vector[r, j, start : start + size]
                high = vector[r, j, half + start : half + start + size]
                row = step[j]
                for k in range(size):
                    row[k] = high[k] - low[k]
            for i in range(16):
                if (challenge >> _U(16 * r + i)) & _U(1):
                    for j in range(16):
                        row, to = step[j], product[i + j]
                        for k in range(64):
                            to[k] += row[k]
            for i in range(30, 15, -1):
                row = product[i]
                for back in (16, 15, 13, 11):
                    to = product[i - back]
                    for k in range(64):
                        to[k] -= row[k]
            for j in range(16):
                low, row, to = vector[r, j, start : start + size], product[j], out[r, j, start : start + size]
                for k in range(size):
                    to[k] = low[k] + row[k]


def reduced(product: Words) -> Words:
    """(..., 31) unreduced coefficients as ring elements (..., 16)."""
    c = product.copy()
    for i in range(30, 15, -1):
        for back in (16, 15, 13, 11):
            c[..., i - back] -= c[..., i]
    return np.ascontiguousarray(c[..., :DEGREE])


def weighed(words: Words, challenges: Words) -> Words:
    """(4, 16, n): each of (n,) constants times the element of its own challenge."""
    out = np.empty((REPETITIONS, DEGREE, words.size), dtype=np.uint64)
    _weigh(np.ascontiguousarray(words), challenges, out.reshape(WIDTH, -1))
    return out


def local_products(left: Words, left2: Words, right: Words, right2: Words) -> Words:
    """(2, 4, 16): of two shared vectors f, g of even length, this party's additive shares of two inner products.

    <f1, g1> of the second halves, and <f1 - f0, g1 - g0>. left, left2: its components of f, (4, 16, n); right, right2: those
    of g, as f or (n,) of constants.
    """
    half = left.shape[2] // 2
    if right.ndim == 2 or right.shape[-1] != left.shape[2]:
        raise InputInvalid("an inner product of vectors of different lengths")
    if right.ndim == 1:
        f, f2 = (c.reshape(WIDTH, -1) for c in (left, left2))
        s, g = right + right2, right
        sums = []
        for low in (None, slice(0, half)):
            high = slice(half, 2 * half)
            parts = [c[:, high] if low is None else c[:, high] - c[:, low] for c in (f, f2)]
            others = [c[high] if low is None else c[high] - c[low] for c in (s, g)]
            sums.append(sum(_row_sums(part, other) for part, other in zip(parts, others, strict=True)))
        return np.stack(sums).reshape(2, REPETITIONS, DEGREE)
    out = np.zeros((2, REPETITIONS, 2 * DEGREE - 1), dtype=np.uint64)
    rows = [np.ascontiguousarray(c) for c in (left, left2, right, right2)]
    _products(rows[0], rows[1], rows[2], rows[3], out)
    return reduced(out)


def _row_sums(rows: Words, weights: Words) -> Words:
    return ring_product(rows, weights.reshape(-1, 1)).reshape(-1)


def inner_product(a: Words, b: Words) -> Words:
    """(4, 16): Σ a[.., k] b[.., k] for each repetition; a, b (4, 16, n)."""
    nothing = np.zeros_like(a)
    padded = [np.concatenate([nothing, c], axis=-1) for c in (a, b)]
    zero = np.zeros_like(padded[0])
    out: Words = local_products(padded[0], zero, padded[1], zero)[0]
    return out


def folded(vector: Words, challenge: int) -> Words:
    """(4, 16, n / 2): the line through the first half (at 0) and the second (at 1), at the challenge.

    vector  (4, 16, n), or (n,) of constants; n even
    """
    if vector.ndim == 1:
        low, high = vector.reshape(2, -1)
        line = (bits(np.array([challenge], dtype=np.uint64)) * (high - low)).reshape(REPETITIONS, DEGREE, -1)
        line[:, 0] += low
        return line
    out = np.empty((REPETITIONS, DEGREE, vector.shape[2] // 2), dtype=np.uint64)
    _fold(np.ascontiguousarray(vector), np.uint64(challenge), out)
    return out


def times_challenge(elements: Words, challenge: int) -> Words:
    """(4, 16): β times one quadruple."""
    return folded(np.stack([np.zeros_like(elements), elements], axis=-1), challenge).reshape(
        REPETITIONS, DEGREE
    )


def bits(challenges: Words) -> Words:
    """(n,) challenge words as coefficients 0 and 1, (64, n)."""
    coefficients: Words = (challenges >> np.arange(64, dtype=np.uint64)[:, None]) & np.uint64(1)
    return coefficients


def embedded(words: Words) -> Words:
    """(n,) elements of Z_2^64 as quadruples (4, 16, n): the same constant in each repetition."""
    out = np.zeros((REPETITIONS, DEGREE, words.size), dtype=np.uint64)
    out[:, 0] = words
    return out


def warm() -> None:
    """Compile the kernels."""
    some = weighed(np.zeros(2, dtype=np.uint64), np.zeros(2, dtype=np.uint64))
    local_products(some, some, some, some)
    folded(some, 1)
