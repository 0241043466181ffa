"""Sums of sines of a secret: one short opening instead of comparisons and powers.

sin k(c - r) = sin kc cos kr - cos kc sin kr. P1 deals a uniform r and shares, between P0 and P2, of cos kr and sin kr for
k = 1 .. K; P0 and P2 open c = x + r modulo the period to each other, and each adds up its part of sum_k a_k sin k(c - r).
Angles are 24-bit fractions of the period, cosines integers of 20 bits: what P0 and P2 compute from c must be the same to the
last bit, so the tables are made by correctly rounded functions and all else is integer arithmetic.
Who learns what: nobody anything. c is uniform, and hidden from P1, who knows r. Semi-honest: P1's waves are believed.
8 + 16 K + 16 bytes an element, two rounds. Error: at most 2^-20 for each unit of sum |a_k| K, and that of the angle.
Source: Zheng, Zhang, Chow, Peng, Tan, Li, Yin, "Secure softmax/sigmoid for machine-learning computation", ACSAC 2023, for two
parties with dealt correlations; here the third party deals.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import gmpy2  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from hefu.engine.kernels import kernel
from hefu.engine.rss.party import CHUNK_WORDS, Operation, Party, Words
from hefu.engine.rss.shares import Arithmetic, flat

ANGLE_BITS = 24
WAVE_BITS = 20
RESULT_BITS = 2 * WAVE_BITS
_HALF_ANGLE = ANGLE_BITS // 2
_TABLE_BITS = 30
_BATCH = 1 << 16

Table = NDArray[np.int64]


@lru_cache(maxsize=1)
def _tables() -> Table:
    """(4, 4096): cos and sin of j / 2^12, then of j / 2^24 of a turn, with 30 bits: correctly rounded, the same everywhere."""
    size = 1 << _HALF_ANGLE
    out = np.empty((4, size), dtype=np.int64)
    with gmpy2.context(precision=96):
        turn = 2 * gmpy2.const_pi()
        for row, steps in ((0, size), (2, size * size)):
            for j in range(size):
                angle = turn * j / steps
                out[row, j] = int(gmpy2.rint(gmpy2.cos(angle) * (1 << _TABLE_BITS)))
                out[row + 1, j] = int(gmpy2.rint(gmpy2.sin(angle) * (1 << _TABLE_BITS)))
    return out


@kernel
def _deal(r0: Words, r2: Words, drop: Words, tables: Table, theirs: Words, start: int, out: Words) -> None:
    """P1: cos kr and sin kr less P0's shares, for one chunk of elements; `theirs` holds 2K words for each."""
    harmonics = theirs.shape[1] // 2
    half = np.int64(1 << 29)
    for i in range(len(theirs)):
        angle = ((r0[start + i] + r2[start + i]) >> drop[0]) & np.uint64(0xFFFFFF)
        high, low = np.int64(angle >> np.uint64(12)), np.int64(angle & np.uint64(0xFFF))
        c1 = (tables[0, high] * tables[2, low] - tables[1, high] * tables[3, low] + half) >> 30
        s1 = (tables[0, high] * tables[3, low] + tables[1, high] * tables[2, low] + half) >> 30
        c, s = c1, s1
        for k in range(harmonics):
            out[start + i, 2 * k] = np.uint64((c + 512) >> 10) - theirs[i, 2 * k]
            out[start + i, 2 * k + 1] = np.uint64((s + 512) >> 10) - theirs[i, 2 * k + 1]
            c, s = (c * c1 - s * s1 + half) >> 30, (c * s1 + s * c1 + half) >> 30


@kernel
def _add_waves(angles: Words, factors: Table, tables: Table, dealt: Words, start: int, out: Words) -> None:
    """P0 or P2: its part of the sum, from the opened angles and its shares of the dealt waves."""
    half = np.int64(1 << 29)
    for i in range(len(dealt)):
        angle = angles[start + i] & np.uint64(0xFFFFFF)
        high, low = np.int64(angle >> np.uint64(12)), np.int64(angle & np.uint64(0xFFF))
        c1 = (tables[0, high] * tables[2, low] - tables[1, high] * tables[3, low] + half) >> 30
        s1 = (tables[0, high] * tables[3, low] + tables[1, high] * tables[2, low] + half) >> 30
        c, s = c1, s1
        total = np.uint64(0)
        for k in range(len(factors)):
            total += np.uint64((factors[k] * s + half) >> 30) * dealt[i, 2 * k]
            total -= np.uint64((factors[k] * c + half) >> 30) * dealt[i, 2 * k + 1]
            c, s = (c * c1 - s * s1 + half) >> 30, (c * s1 + s * c1 + half) >> 30
        out[start + i] = total


def sum_of_sines(party: Party, x: Arithmetic, period_bits: int, amplitudes: Sequence[int]) -> Arithmetic:
    """sum_k a_k sin(2 pi k x / 2^period_bits), k = 1, 2, ..., with 40 fraction bits.

    x            (n,) shares; only x mod 2^period_bits counts, of which bits below the 24 highest are dropped
    period_bits  24 .. 63
    amplitudes   a_k 2^20 as integers, |a_k| < 1
    """
    spans = range(0, x.size, _BATCH)
    parts = [_batch(party, x[s : s + _BATCH], period_bits - ANGLE_BITS, amplitudes) for s in spans]
    if not parts:
        return x
    return Arithmetic(np.concatenate([p.first for p in parts]), np.concatenate([p.second for p in parts]))


def _batch(party: Party, x: Arithmetic, drop: int, amplitudes: Sequence[int]) -> Arithmetic:
    op = party.begin("sines")
    n, words = x.size, 2 * len(amplitudes)
    shift = np.array([drop], dtype=np.uint64)
    if party.index == 1:
        return _deal_waves(op, n, words, shift)
    key, peer = (1, 2) if party.index == 0 else (2, 0)
    angles = np.empty(n, dtype=np.uint64)
    op.stream(key, "r").fill(angles)
    angles += flat(x.first + x.second) if party.index == 0 else flat(x.first)
    angles >>= shift[0]  # each drops its own low bits: the sum is at most one step lower
    mine, opened = np.zeros((2, n + n % 2), dtype=np.uint32)
    mine[:n] = angles & np.uint64(0xFFFFFF)
    party.exchange(peer, mine.view(np.uint64), opened.view(np.uint64))
    angles += opened[:n]
    factors, out = np.array(amplitudes, dtype=np.int64), np.empty(n, dtype=np.uint64)
    if party.index == 0:
        for start, dealt in _rows(n, words, op):
            _add_waves(angles, factors, _tables(), dealt, start, out)
    else:
        dealt = np.empty((n, words), dtype=np.uint64)
        party.receive(1, dealt)
        _add_waves(angles, factors, _tables(), dealt, 0, out)
    return two_parts(op, out)


def _rows(n: int, words: int, op: Operation) -> Iterator[tuple[int, Words]]:
    """P0's shares of the waves, known to P1 too: (start, so many rows of words) at a time."""
    rows = max(1, CHUNK_WORDS // words)
    stream, buffer = op.stream(1, "waves"), np.empty((min(rows, n), words), dtype=np.uint64)
    for start in range(0, n, rows):
        part = buffer[: min(rows, n - start)]
        stream.fill(part)
        yield start, part


def _deal_waves(op: Operation, n: int, words: int, shift: Words) -> Arithmetic:
    r0, r2 = np.empty((2, n), dtype=np.uint64)
    op.stream(1, "r").fill(r0)
    op.stream(2, "r").fill(r2)
    dealt = np.empty((n, words), dtype=np.uint64)
    for start, theirs in _rows(n, words, op):
        _deal(r0, r2, shift, _tables(), theirs, start, dealt)
    op.party.send(2, dealt)
    return two_parts(op, None, n)


def two_parts(op: Operation, part: Words | None, count: int = 0) -> Arithmetic:
    """Replicated shares from a part at P0 and one at P2, two messages; P1 has none and tells how many there are."""
    party = op.party
    if part is None:
        first, second = np.empty((2, count), dtype=np.uint64)
        op.stream(1, "result").fill(first)
        op.stream(2, "result").fill(second)
        return Arithmetic(first, second)
    key, peer = (1, 2) if party.index == 0 else (2, 0)
    fresh, theirs = np.empty((2, len(part)), dtype=np.uint64)
    op.stream(key, "result").fill(fresh)
    part -= fresh
    party.exchange(peer, part, theirs)
    part += theirs
    return Arithmetic(part, fresh) if party.index == 0 else Arithmetic(fresh, part)
