"""All 64 bits of a shared ring element, and back.

Bit i is p_i xor the carry into it; all carries at once by a prefix tree of six levels over the two summands of x (see
`summands`). At level d, positions with bit d set take G_i = G_i xor (P_i AND G_j), P_i = P_i AND P_j from j, the last position
before their half block; the lowest block needs no P: 310 ANDs an element beside the first 63.
Who learns what: nobody anything. 140 bytes an element in all, 8 rounds a slab. The way back costs 24 bytes a bit, two rounds.
Sources: Mohassel, Rindal, ABY3, CCS 2018, 5.3; Sklansky, IRE Trans. Electronic Computers, 1960 (conditional sums).
"""

import numpy as np

from hefu.engine.rss.convert import to_arithmetic
from hefu.engine.rss.multiply import local_ands
from hefu.engine.rss.party import Party, Words, ZeroShares
from hefu.engine.rss.shares import Arithmetic, Bits, words_for
from hefu.engine.rss.summands import Pair, Summands, in_a_row, own_summand

CARRIES = 63


def to_bits(party: Party, x: Arithmetic) -> Bits:
    """64 planes, the lowest bit first."""
    op, size, shape = party.begin("ring to bits"), x.size, x.shape
    row = in_a_row(x)
    first, second = (np.empty((64, words_for(size)), dtype=np.uint64) for _ in range(2))
    summands, zero = Summands(op), op.zero()
    for start in range(0, size, party.slab):
        span = slice(start, min(start + party.slab, size))
        place = slice(start // 64, words_for(span.stop))
        with party.scratch.lend() as take:
            words = take(span.stop - start)
            own_summand(party.index, row, None, span, words)
            planes = summands.planes(words, take)
            generate = summands.carries(planes, take)
            for out, p, g in zip(
                (first, second), planes, _prefixes(party, zero, planes, generate), strict=True
            ):
                out[:, place] = p
                out[1:, place] ^= g
    return Bits(first, second, shape)


def from_bits(party: Party, x: Bits) -> Arithmetic:
    """The sum of 2^b times plane b."""
    bits = [to_arithmetic(party, x.plane(b)).scale(np.uint64(1 << b)) for b in range(x.planes)]
    total = bits[0]
    for bit in bits[1:]:
        total = total + bit
    return total


def level_positions(distance: int, positions: int) -> tuple[list[int], list[int]]:
    """Which positions take something at a level, and from where."""
    taking = [i for i in range(positions) if i & distance]
    return taking, [(i & ~(2 * distance - 1)) + distance - 1 for i in taking]


def _prefixes(party: Party, zero: ZeroShares, planes: Pair, generate: Pair) -> list[Words]:
    """The carry out of positions 0..62, rows ascending."""
    g = [np.ascontiguousarray(component[::-1]) for component in generate]
    p = [component[:CARRIES].copy() for component in planes]
    distance = 1
    while distance < CARRIES:
        i, j = level_positions(distance, CARRIES)
        low = sum(position < 2 * distance for position in i)
        left = [np.concatenate([c[i], c[i[low:]]]).reshape(-1) for c in p]
        right = [np.concatenate([c[j], d[j[low:]]]).reshape(-1) for c, d in zip(g, p, strict=True)]
        out = np.empty((2 * len(i) - low, g[0].shape[1]), dtype=np.uint64)
        second, row = np.empty_like(out), out.reshape(-1)
        for start, mine, following in zero.chunks(row.size):
            local_ands(left[0], left[1], right[0], right[1], mine, following, start, row)
        party.pass_back(out, second)
        for product, c, d in zip((out, second), g, p, strict=True):
            c[i] ^= product[: len(i)]
            d[i[low:]] = product[len(i) :]
        distance *= 2
    return g
