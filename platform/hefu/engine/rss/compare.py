"""Comparison and equality of shared ring elements; the answers are shared bits.

msb(x) = p_63 xor (the carry into bit 63), with generate g = a AND b and propagate p = a xor b of the two summands of x. The
carry is found by a tree that halves the positions: G = g_hi xor (p_hi AND g_lo), P = p_hi AND p_lo, where the lowest pair
needs no P. x < y is msb(x - y); x = y when all bits of (x_0 + x_1) xor -x_2 are 0 for the difference.
Who learns what: nobody anything. In all, per element, for n a multiple of 64:
  msb, <   8 + 2 * 63/8 + 3 * 118/8 = 68 bytes, 8 rounds        =   8 + 3 * 63/8 = 31.6 bytes, 7 rounds
Exact for |x - y| < 2^63 as signed integers, else the answer is that of the wrapped difference.
Sources: Mohassel, Rindal, ABY3, CCS 2018, 5.3; the tree is Brent's and Kung's, IEEE Trans. Computers, 1982, cut to one output.
"""

import numpy as np

from hefu.engine.kernels import kernel
from hefu.engine.rss.multiply import local_ands
from hefu.engine.rss.party import Party, Words, ZeroShares
from hefu.engine.rss.shares import Arithmetic, Bits, broadcast, invert
from hefu.engine.rss.summands import carries, sum_planes


def less(party: Party, x: Arithmetic, y: Arithmetic) -> Bits:
    """x < y as signed integers with |x - y| < 2^63; shapes broadcast."""
    x, y = broadcast(x, y)
    return msb(party, x - y)


def equal(party: Party, x: Arithmetic, y: Arithmetic) -> Bits:
    """x = y; shapes broadcast."""
    x, y = broadcast(x, y)
    return is_zero(party, x - y)


def msb(party: Party, x: Arithmetic) -> Bits:
    """The sign bit: 1 where x, as a signed integer, is negative."""
    op = party.begin("msb")
    summed = sum_planes(op, x)
    generate = carries(op, summed)
    propagate = summed.plane(1, 63)
    zero = op.zero()
    while generate.planes > 1:
        generate, propagate = _halve(party, zero, generate, propagate)
    return summed.plane(63) ^ generate


def is_zero(party: Party, x: Arithmetic) -> Bits:
    """1 where x = 0."""
    op = party.begin("is zero")
    bits = invert(party, sum_planes(op, x, negate_second=True))
    zero = op.zero()
    while bits.planes > 1:
        bits = _and_halves(party, zero, bits)
    return bits


def _and_halves(party: Party, zero: ZeroShares, bits: Bits) -> Bits:
    """The AND of the lower with the upper half of the planes."""
    middle = bits.planes // 2
    out = np.empty((middle, bits.first.shape[1]), dtype=np.uint64)
    row, second = out.reshape(-1), np.empty_like(out)
    halves = [
        half.reshape(-1) for c in (bits.first, bits.second) for half in (c[:middle], c[middle : 2 * middle])
    ]
    x, y, x2, y2 = halves
    for start, mine, following in zero.chunks(row.size):
        local_ands(x, x2, y, y2, mine, following, start, row)
    party.pass_back(out, second)
    return Bits(out, second, bits.shape)


def _halve(party: Party, zero: ZeroShares, generate: Bits, propagate: Bits) -> tuple[Bits, Bits]:
    """One level of the tree over m positions: rows of `generate` run from m-1 down to 0, of `propagate` from 1 up to m-1.

    The new rows stand in one array, [G_top .. G_0, P_1 .. P_top], of which a stretch is the message: where m is odd the
    highest position has no partner and passes on as it is.
    """
    m, width = generate.planes, generate.first.shape[1]
    pairs, odd = m // 2, m % 2
    left = pairs + odd
    sent = slice(odd, 2 * left - 1 - odd) if left > 1 else slice(0, 1)
    out, second = (np.empty((2 * left - 1, width), dtype=np.uint64) for _ in range(2))
    if odd:
        for old_g, old_p, new in (
            (generate.first, propagate.first, out),
            (generate.second, propagate.second, second),
        ):
            new[0], new[-1] = old_g[0], old_p[-1]
    row = out[sent].reshape(-1)
    for start, mine, following in zero.chunks(row.size):
        _combine(
            generate.first, generate.second, propagate.first, propagate.second, mine, following, start, row
        )
    party.pass_back(row, second[sent].reshape(-1))
    return (
        Bits(out[:left], second[:left], generate.shape),
        Bits(out[left:], second[left:], generate.shape),
    )


@kernel
def _combine(
    g: Words, g2: Words, p: Words, p2: Words, mine: Words, following: Words, start: int, out: Words
) -> None:
    """This party's components of G, then P, for the words start.. of the message."""
    m, width = g.shape
    pairs = m // 2
    done = 0
    while done < len(mine):
        row = (start + done) // width
        first = (start + done) % width
        count = min(width - first, len(mine) - done)
        k = start + done
        if row < pairs:
            low = 2 * (pairs - 1 - row)
            hi_p, hi_p2 = p[low], p2[low]
            lo_g, lo_g2, hi_g = g[m - 1 - low], g2[m - 1 - low], g[m - 2 - low]
            for c in range(count):
                w = first + c
                product = (hi_p[w] & (lo_g[w] ^ lo_g2[w])) ^ (hi_p2[w] & lo_g[w])
                out[k + c] = product ^ hi_g[w] ^ mine[done + c] ^ following[done + c]
        else:
            low = 2 * (row - pairs + 1)
            hi_p, hi_p2, lo_p, lo_p2 = p[low], p2[low], p[low - 1], p2[low - 1]
            for c in range(count):
                w = first + c
                product = (hi_p[w] & (lo_p[w] ^ lo_p2[w])) ^ (hi_p2[w] & lo_p[w])
                out[k + c] = product ^ mine[done + c] ^ following[done + c]
        done += count
