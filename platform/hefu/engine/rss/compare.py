"""Comparison and equality of shared ring elements; the answers are shared bits.

msb(x) = p_63 xor (the carry into bit 63), with generate g = a AND b and propagate p = a xor b of the two summands of x. The
carry is found by a tree that halves the positions: G = g_hi xor (p_hi AND g_lo), P = p_hi AND p_lo, where the lowest pair
needs no P. x < y is msb(x - y); x = y when all bits of (x_0 + x_1) xor -x_2 are 0 for the difference.
Who learns what: nobody anything. In all, per element, for n a multiple of 64; rounds for each slab of `party.slab` elements:
  msb, <   8 + 2 * 63/8 + 3 * 118/8 = 68 bytes, 8 rounds        =   8 + 3 * 63/8 = 31.6 bytes, 7 rounds
Exact for |x - y| < 2^63 as signed integers, else the answer is that of the wrapped difference.
Sources: Mohassel, Rindal, ABY3, CCS 2018, 5.3; the tree is Brent's and Kung's, IEEE Trans. Computers, 1982, cut to one output.
"""

from collections.abc import Callable

import numpy as np

from hefu.engine.kernels import kernel
from hefu.engine.rss.multiply import local_ands
from hefu.engine.rss.party import Operation, Party, Words, ZeroShares
from hefu.engine.rss.shares import Arithmetic, Bits, broadcast, words_for
from hefu.engine.rss.summands import Pair, Summands, in_a_row, own_summand

_ONES = np.uint64(0xFFFFFFFFFFFFFFFF)
Take = Callable[..., Words]


def less(party: Party, x: Arithmetic, y: Arithmetic) -> Bits:
    """x < y as signed integers with |x - y| < 2^63; shapes broadcast."""
    x, y = broadcast(x, y)
    return _by_slabs(party.begin("msb"), x, y, _sign)


def msb(party: Party, x: Arithmetic) -> Bits:
    """The sign bit: 1 where x, as a signed integer, is negative."""
    return _by_slabs(party.begin("msb"), x, None, _sign)


def equal(party: Party, x: Arithmetic, y: Arithmetic) -> Bits:
    """x = y; shapes broadcast."""
    x, y = broadcast(x, y)
    return _by_slabs(party.begin("is zero"), x, y, _all_agree)


def is_zero(party: Party, x: Arithmetic) -> Bits:
    """1 where x = 0."""
    return _by_slabs(party.begin("is zero"), x, None, _all_agree)


def _by_slabs(
    op: Operation,
    x: Arithmetic,
    y: Arithmetic | None,
    protocol: Callable[[Summands, ZeroShares, Words, Take], Pair],
) -> Bits:
    """The protocol's one plane of answers about x - y, put together from slabs."""
    party, size, shape = op.party, x.size, x.shape
    x, y = in_a_row(x), None if y is None else in_a_row(y)
    first, second = (np.empty((1, words_for(size)), dtype=np.uint64) for _ in range(2))
    summands, zero = Summands(op), op.zero()
    for start in range(0, size, party.slab):
        span = slice(start, min(start + party.slab, size))
        place = slice(start // 64, words_for(span.stop))
        with party.scratch.lend() as take:
            words = take(span.stop - start)
            own_summand(party.index, x, y, span, words)
            first[0, place], second[0, place] = protocol(summands, zero, words, take)
    return Bits(first, second, shape)


def _sign(summands: Summands, zero: ZeroShares, words: Words, take: Take) -> Pair:
    planes = summands.planes(words, take)
    width = planes[0].shape[1]
    generate = summands.carries(planes, take)
    propagate = planes[0][1:63], planes[1][1:63]
    # two pairs of buffers in turn: a level reads from one and writes into the other
    spare, used = (take(63 * width), take(63 * width)), tuple(g.reshape(-1) for g in generate)
    while len(generate[0]) > 1:
        generate, propagate = _halve(summands.party, zero, generate, propagate, (spare[0], spare[1]))
        spare, used = (used[0], used[1]), spare
    return planes[0][63] ^ generate[0][0], planes[1][63] ^ generate[1][0]


def _all_agree(summands: Summands, zero: ZeroShares, words: Words, take: Take) -> Pair:
    party = summands.party
    if party.index:
        np.negative(words, out=words)
    bits = summands.planes(words, take)
    if party.index != 1:  # NOT, on component 0
        component = bits[party.index // 2]
        np.bitwise_xor(component, _ONES, out=component)
    while len(bits[0]) > 1:
        middle, width = len(bits[0]) // 2, bits[0].shape[1]
        out, second = take(middle, width), take(middle, width)
        row = out.reshape(-1)
        x, x2 = bits[0][:middle].reshape(-1), bits[1][:middle].reshape(-1)
        y, y2 = bits[0][middle:].reshape(-1), bits[1][middle:].reshape(-1)
        for start, mine, following in zero.chunks(row.size):
            local_ands(x, x2, y, y2, mine, following, start, row)
        party.pass_back(out, second)
        bits = out, second
    return bits[0][0], bits[1][0]


def _halve(party: Party, zero: ZeroShares, generate: Pair, propagate: Pair, into: Pair) -> tuple[Pair, Pair]:
    """One level of the tree over m positions: rows of `generate` run from m-1 down to 0, of `propagate` from 1 up to m-1.

    The new rows stand in one array, [G_top .. G_0, P_1 .. P_top], of which a stretch is the message: where m is odd the
    highest position has no partner and passes on as it is.
    """
    m, width = generate[0].shape
    pairs, odd = m // 2, m % 2
    left = pairs + odd
    rows = 2 * left - 1
    out, second = (buffer[: rows * width].reshape(rows, width) for buffer in into)
    if odd:
        for g, p, new in zip(generate, propagate, (out, second), strict=True):
            new[0], new[-1] = g[0], p[-1]
    sent = slice(odd, rows - odd)
    row = out[sent].reshape(-1)
    for start, mine, following in zero.chunks(row.size):
        _combine(*generate, *propagate, mine, following, start, row)
    party.pass_back(row, second[sent].reshape(-1))
    return (out[:left], second[:left]), (out[left:], second[left:])


@kernel
def _combine(
    g: Words, g2: Words, p: Words, p2: Words, mine: Words, following: Words, start: int, out: Words
) -> None:
    """This party's components of G, then P, for the words start.. of the message."""
    m, width = g.shape
    pairs = m // 2
    done = 0
    while done < len(mine):
        k = start + done
        row, first = k // width, k % width
        count = min(width - first, len(mine) - done)
        end = first + count
        f, f2, z = mine[done : done + count], following[done : done + count], out[k : k + count]
        if row < pairs:
            low = 2 * (pairs - 1 - row)
            hi, hi2 = p[low, first:end], p2[low, first:end]
            lo, lo2 = g[m - 1 - low, first:end], g2[m - 1 - low, first:end]
            plus = g[m - 2 - low, first:end]
            for c in range(count):
                z[c] = (hi[c] & (lo[c] ^ lo2[c])) ^ (hi2[c] & lo[c]) ^ plus[c] ^ f[c] ^ f2[c]
        else:
            low = 2 * (row - pairs + 1)
            hi, hi2 = p[low, first:end], p2[low, first:end]
            lo, lo2 = p[low - 1, first:end], p2[low - 1, first:end]
            for c in range(count):
                z[c] = (hi[c] & (lo[c] ^ lo2[c])) ^ (hi2[c] & lo[c]) ^ f[c] ^ f2[c]
        done += count
