"""Exact samplers on integers, from a cryptographic stream: no floating point anywhere.

Every decision is a Bernoulli of a rational parameter, made by an unbiased integer below its denominator; products of
rationals are decided factor by factor, so that nothing overflows 64 bits. The result has exactly the stated
distribution if the stream is uniform. Supported parameters are listed in `distributed`.

    geometric          P(k) = (1-α) αᵏ, α = exp(-den/num)            Canonne, Kamath, Steinke 2020, algorithm 2
    negative binomial  P(k) ∝ C(k+r-1, k) αᵏ, 0 < r <= 1             below
    discrete Gaussian  P(x) ∝ exp(-x²/2σ²), σ² = p/q                 the same paper, algorithm 3

Negative binomial: C(k+r-1, k) = ∏ (j-1+r)/j over j = 1..k, each factor at most 1: a geometric k is kept if a Bernoulli
of each factor succeeds. Kept with probability (1-α)^(1-r).
Gaussian: with |Y|tq - p = ±(kp + rest), 0 <= rest < p, the exponent (|Y| - σ²/t)²/2σ² is
k²·p/(2qt²) + k·rest/(qt²) + rest/(2p)·rest/(qt²): three kinds of factors at most 1.

The time taken depends on the values drawn: draw noise before, not while, anybody can time it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hefu.engine.kernels import kernel
from hefu.engine.prg import Prg

_Words = NDArray[np.uint64]
_State = NDArray[np.int64]

_0, _1, _2, _32 = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_CHUNK_WORDS = 1 << 13

NEGATIVE_BINOMIAL = 0
GAUSSIAN = 1


@kernel
def _below(words: _Words, state: _State, m: np.uint64) -> np.uint64:
    """Uniform in [0, m): Lemire's exact rejection, as in `permutation`, with a full 128-bit product."""
    while state[0] < len(words):
        r = words[state[0]]
        state[0] += 1
        low = r * m
        if low < m and low < (_0 - m) % m:
            continue
        r0, r1, m0, m1 = r & _LOW, r >> _32, m & _LOW, m >> _32
        middle = r1 * m0 + ((r0 * m0) >> _32)
        other = r0 * m1 + (middle & _LOW)
        high: np.uint64 = r1 * m1 + (middle >> _32) + (other >> _32)
        return high
    state[1] = 1  # out of words: whatever is decided from here on is thrown away
    return _0


@kernel
def _bernoulli(words: _Words, state: _State, a: np.uint64, b: np.uint64) -> bool:
    return bool(a == b or _below(words, state, b) < a)


@kernel
def _exp_bernoulli(
    words: _Words, state: _State, a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64
) -> bool:
    """True with probability exp(-(a/b)(c/d)); both factors at most 1. The paper's algorithm 1."""
    k = _1
    while state[1] == 0:
        if not (
            _bernoulli(words, state, a, b)
            and _bernoulli(words, state, c, d)
            and _bernoulli(words, state, _1, k)
        ):
            break
        k += _1
    return bool((k & _1) == _1)


@kernel
def _geometric(words: _Words, state: _State, num: np.uint64, den: np.uint64) -> np.uint64:
    while state[1] == 0:
        u = _below(words, state, num)
        if _exp_bernoulli(words, state, u, num, _1, _1):
            v = _0
            while state[1] == 0 and _exp_bernoulli(words, state, _1, _1, _1, _1):
                v += _1
            return (u + num * v) // den
    return _0


@kernel
def _negative_binomial(
    words: _Words, state: _State, num: np.uint64, den: np.uint64, r: np.uint64, s: np.uint64
) -> np.uint64:
    """Shape r/s."""
    while state[1] == 0:
        k = _geometric(words, state, num, den)
        if r == s:
            return k
        j = _1
        while state[1] == 0 and j <= k and _bernoulli(words, state, (j - _1) * s + r, j * s):
            j += _1
        if j > k:
            return k
    return _0


@kernel
def _gaussian(words: _Words, state: _State, p: np.uint64, q: np.uint64, t: np.uint64) -> np.uint64:
    """Variance p/q, t = floor(σ) + 1; two's complement."""
    square = q * t * t
    while state[1] == 0:
        negative = _below(words, state, _2) == _1
        y = _geometric(words, state, t, _1)
        if negative and y == _0:
            continue
        at = y * t * q
        distance = at - p if at >= p else p - at
        k, rest = distance // p, distance % p
        kept = _exp_bernoulli(words, state, rest, _2 * p, rest, square)
        i = _0
        while kept and state[1] == 0 and i < k:
            kept = _exp_bernoulli(words, state, rest, square, _1, _1)
            i += _1
        i = _0
        while kept and state[1] == 0 and i < k * k:
            kept = _exp_bernoulli(words, state, p, _2 * square, _1, _1)
            i += _1
        if kept:
            return _0 - y if negative else y
    return _0


@kernel
def _draw(
    kind: int, parameters: _Words, words: _Words, start: int, out: NDArray[np.uint64], position: int
) -> tuple[int, int]:
    """Fill `out` from `position` until the words run out; returns where the unfinished sample's words and place are."""
    state = np.zeros(2, dtype=np.int64)
    state[0] = start
    while position < len(out):
        begun = state[0]
        if kind == 0:
            plus = _negative_binomial(
                words, state, parameters[0], parameters[1], parameters[2], parameters[3]
            )
            minus = _negative_binomial(
                words, state, parameters[0], parameters[1], parameters[2], parameters[3]
            )
            value = plus - minus
        else:
            value = _gaussian(words, state, parameters[0], parameters[1], parameters[2])
        if state[1] != 0:
            return begun, position
        out[position] = value
        position += 1
    return state[0], position


def draw(kind: int, parameters: tuple[int, ...], prg: Prg, count: int) -> NDArray[np.int64]:
    """`count` samples.

    kind, parameters  NEGATIVE_BINOMIAL: (num, den, r, s), the difference of two; GAUSSIAN: (p, q, t)
    prg               used by nobody and for nothing else: words are drawn in blocks, what is left of the last is lost
    """
    out = np.empty(count, dtype=np.uint64)
    given = np.array(parameters, dtype=np.uint64)
    words = prg.words(_CHUNK_WORDS) if count else np.empty(0, dtype=np.uint64)
    start, position = 0, 0
    while position < count:
        start, position = _draw(kind, given, words, start, out, position)
        if position < count:
            # A sample cut short begins again on the same words: to drop them would favour samples that need few.
            words = np.concatenate([words[start:], prg.words(max(_CHUNK_WORDS, len(words) - start))])
            start = 0
    return out.view(np.int64)
