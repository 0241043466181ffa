"""Arithmetic in GR(2^64, 16), four elements at a time, for checks that a party's lies do not survive.

GR = Z_2^64[ξ]/(ξ¹⁶ + ξ⁵ + ξ³ + ξ + 1), an extension of Z_2^64 whose residue field is GF(2¹⁶). The 2¹⁶ elements with
coefficients 0 and 1 are pairwise different modulo 2: a nonzero polynomial of degree t, even one whose coefficients are
all multiples of 2⁶³, vanishes on at most t of them. Over Z_2^64 itself only 0 and 1 have this property, which is why a
random linear check there misses an error of 2⁶³ half the time.
A challenge is one word: 4 × 16 bits, one such element for each of four independent repetitions.
Arrays are (n, 4, 16) uint64: n quadruples of elements, low coefficients first.
Source: Abspoel, Cramer, Damgård, Escudero, Yuan, "Efficient information-theoretic secure multiparty computation over
Z/p^kZ via Galois rings", TCC 2019, section 2 (exceptional sequences).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hefu.engine.kernels import kernel

Words = NDArray[np.uint64]

REPETITIONS: Final = 4
DEGREE: Final = 16
WIDTH: Final = REPETITIONS * DEGREE


@kernel
def _dot(a: Words, b: Words, out: Words) -> None:
    """out (4, 31) += the unreduced Σ a[k] b[k] of each repetition; a, b (n, 4, 16)."""
    for r in range(4):
        total = np.zeros(31, dtype=np.uint64)
        for k in range(len(a)):
            for i in range(16):
                c = a[k, r, i]
                for j in range(16):
                    total[i + j] += c * b[k, r, j]
        out[r] += total


@kernel
def _fold(low: Words, high: Words, challenge: np.uint64, out: Words) -> None:
    """out[k] = low[k] + β (high[k] - low[k]); β has the challenge's bits as coefficients."""
    product = np.empty(31, dtype=np.uint64)
    for k in range(len(low)):
        for r in range(4):
            product[:] = np.uint64(0)
            for i in range(16):
                if (challenge >> np.uint64(16 * r + i)) & np.uint64(1):
                    for j in range(16):
                        product[i + j] += high[k, r, j] - low[k, r, j]
            for i in range(30, 15, -1):
                c = product[i]
                product[i - 16] -= c
                product[i - 15] -= c
                product[i - 13] -= c
                product[i - 11] -= c
            for j in range(16):
                out[k, r, j] = low[k, r, j] + product[j]


def reduced(product: Words) -> Words:
    """(..., 31) unreduced coefficients as ring elements (..., 16)."""
    c = product.copy()
    for i in range(30, 15, -1):
        for back in (16, 15, 13, 11):
            c[..., i - back] -= c[..., i]
    return np.ascontiguousarray(c[..., :DEGREE])


def inner_product(a: Words, b: Words) -> Words:
    """(4, 16): Σ a[k] b[k] for each repetition."""
    out = np.zeros((REPETITIONS, 2 * DEGREE - 1), dtype=np.uint64)
    _dot(np.ascontiguousarray(a), np.ascontiguousarray(b), out)
    return reduced(out)


def folded(low: Words, high: Words, challenge: int) -> Words:
    """(n, 4, 16): the line through low (at 0) and high (at 1), at the challenge."""
    out = np.empty(low.shape, dtype=np.uint64)
    _fold(low, high, np.uint64(challenge), out)
    return out


def times_challenge(elements: Words, challenge: int) -> Words:
    """(4, 16): β times one quadruple."""
    one = np.ascontiguousarray(elements).reshape(1, REPETITIONS, DEGREE)
    out: Words = folded(np.zeros_like(one), one, challenge)[0]
    return out


def bits(challenges: Words) -> Words:
    """(n,) challenge words as (n, 64) coefficients 0 and 1."""
    coefficients: Words = (challenges[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    return coefficients


def embedded(words: Words) -> Words:
    """Ring elements of Z_2^64 as quadruples: the same constant in each repetition."""
    out = np.zeros((words.size, REPETITIONS, DEGREE), dtype=np.uint64)
    out[:, :, 0] = words.reshape(-1, 1)
    return out


def warm() -> None:
    """Compile the kernels."""
    some = np.zeros((2, REPETITIONS, DEGREE), dtype=np.uint64)
    inner_product(some, some)
    folded(some, some, 1)
