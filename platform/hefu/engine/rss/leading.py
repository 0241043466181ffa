"""The place of a shared number's leading one, and the number brought to a fixed size by it.

From the bits (`decompose`), taken two at a time: a prefix AND of "this pair is empty" from above leaves one pair, the one
with the leading one. The 31 pairs and a flag for the upper of the two bits go to the ring, where powers of two are sums.
Who learns what: nobody anything. 140 bytes an element for the bits, 45 for the leading pair, 768 for the way to the ring,
48 for the products; 19 rounds.
Source of the prefix tree: Sklansky, "Conditional-sum addition logic", IRE Trans. Electronic Computers, 1960; of the use:
Catrina, Saxena, "Secure computation with fixed-point numbers", FC 2010 (normalisation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hefu.engine.rss.convert import to_arithmetic
from hefu.engine.rss.decompose import to_bits
from hefu.engine.rss.multiply import both, multiply
from hefu.engine.rss.party import Party, Words
from hefu.engine.rss.shares import Arithmetic, Bits, add_public, invert

PAIRS = 31
LIMIT_BITS = 2 * PAIRS


def planes_to_ring(party: Party, bits: Bits) -> Arithmetic:
    """(planes, n) zeros and ones in the ring, 24 bytes for each."""
    padded = 64 * bits.first.shape[1]
    row = Bits(bits.first.reshape(1, -1), bits.second.reshape(1, -1), (bits.planes, padded))
    return to_arithmetic(party, row)[:, : bits.size]


@dataclass(frozen=True, slots=True, eq=False)
class Normalised:
    """x > 0 as z 2^-e: z in [2^61, 2^62), where e = 60 - 2j + (1 - upper) and j is the pair of bits of the leading one.

    pairs   (31, n) 1 at j, else 0
    upper   (n,) 1 where the leading one is the upper of its pair
    z       (n,)
    """

    pairs: Arithmetic
    upper: Arithmetic
    z: Arithmetic

    def by_pair(self, factors: Words) -> Arithmetic:
        """factors[j], (n,): no message."""
        return self.pairs.each(lambda words: factors @ words)


def normalise(party: Party, x: Arithmetic) -> Normalised:
    """The leading one of x, (n,), 0 < x < 2^62; where x is 0 all of it is 0."""
    bits = to_bits(party, x).plane(0, LIMIT_BITS)
    even, odd = _rows(bits, slice(0, None, 2)), _rows(bits, slice(1, None, 2))
    empty = both(party, invert(party, even), invert(party, odd))  # pair j holds no one
    above = _rows(empty, slice(None))  # from pair j upwards, after the loop
    positions, size = np.arange(PAIRS), 1
    while size < PAIRS:
        lower = positions[(positions // size) % 2 == 0]
        lower = lower[lower // size * size + size < PAIRS]
        product = both(party, _rows(above, lower), _rows(above, lower // size * size + size))
        above.first[lower], above.second[lower] = product.first, product.second
        size *= 2
    hot = invert(party, above)
    for component in (hot.first, hot.second):
        component[:-1] ^= component[1:].copy()
    upper_bits = both(party, hot, odd)
    upper = Bits(
        np.bitwise_xor.reduce(upper_bits.first, axis=0)[None],
        np.bitwise_xor.reduce(upper_bits.second, axis=0)[None],
        x.shape,
    )
    ring = planes_to_ring(party, _stacked(hot, upper))
    pairs, up = ring[:PAIRS], ring[PAIRS]
    by_four = pairs.each(
        lambda words: np.array([1 << (60 - 2 * j) for j in range(PAIRS)], dtype=np.uint64) @ words
    )
    quarter = multiply(party, x, by_four)
    z = multiply(party, quarter, add_public(party, -up, np.uint64(2)))
    return Normalised(pairs, up, z)


def _rows(bits: Bits, which: slice | np.ndarray[tuple[int], np.dtype[np.int64]]) -> Bits:
    """A copy of some planes."""
    return Bits(bits.first[which].copy(), bits.second[which].copy(), bits.shape)


def _stacked(x: Bits, y: Bits) -> Bits:
    return Bits(np.concatenate([x.first, y.first]), np.concatenate([x.second, y.second]), x.shape)
