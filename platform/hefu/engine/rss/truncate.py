"""Division by 2^f, and products of fixed-point numbers: probabilistic truncation, at most one unit in the last place off.

P1 deals masks that do not depend on x: r = r_0 + r_2, with r_0 = PRG(k_1) known to P0 and r_2 = PRG(k_2) known to P2; and
shares, between P0 and P2, of R = (r mod 2^63) >> f and of m = msb(r). P0 and P2 open c = x + 2^62 + r to each other, then
    y = ((c mod 2^63) >> f) - R + (m xor msb(c)) 2^(63-f) - 2^(62-f)
and bring y back to replicated shares. For -2^62 <= x < 2^62 the result is floor(x / 2^f) or that plus one; beyond that
range it is wrong, and nobody notices: the range is the caller's to keep.
Who learns what: nobody anything (c is uniform, and hidden from P1, who knows r). Semi-honest: P1's masks are believed.
48 bytes an element, two rounds; a truncated product 56 bytes, three: the product stays with P0 and P2 in between.
Source: Escudero, Ghosh, Keller, Rachuri, Scholl, CRYPTO 2020, section 5.1 (TruncPr over Z_2^k).
"""

from collections.abc import Callable
from math import prod

import numpy as np

from hefu.engine.errors import InputInvalid
from hefu.engine.kernels import kernel
from hefu.engine.rss.multiply import local_matmul
from hefu.engine.rss.party import Operation, Party, Words, chunks
from hefu.engine.rss.shares import Arithmetic, Shape, broadcast
from hefu.engine.rss.summands import in_a_row, own_summand

_ONE, _63 = np.uint64(1), np.uint64(63)
_LOW = np.uint64((1 << 63) - 1)
_OFFSET = np.uint64(1 << 62)


@kernel
def _deal(r0: Words, r2: Words, big0: Words, m0: Words, f: Words, start: int, big2: Words, m2: Words) -> None:
    """P1: P2's shares of R and m for one chunk."""
    shift = f[0]
    big, m = big2[start : start + len(r0)], m2[start : start + len(r0)]
    for i in range(len(r0)):
        r = r0[i] + r2[i]
        big[i] = ((r & _LOW) >> shift) - big0[i]
        m[i] = (r >> _63) - m0[i]


@kernel
def _finish(
    opened: Words, big: Words, m: Words, mask: Words, f: Words, lead: Words, start: int, out: Words
) -> None:
    """P0 (lead = 1) or P2 (lead = 0): this party's share of y, minus its mask."""
    shift, leading = f[0], lead[0]
    up = _63 - shift
    opening, y = opened[start : start + len(mask)], out[start : start + len(mask)]
    for i in range(len(mask)):
        c = opening[i]
        flip = c >> _63
        signed = (m[i] ^ (np.uint64(0) - flip)) + flip
        public = ((c & _LOW) >> shift) + (flip << up) - (_OFFSET >> shift)
        y[i] = leading * public - big[i] + (signed << up) - mask[i]


@kernel
def _local_products(x: Words, x2: Words, y: Words, y2: Words, out: Words) -> None:
    for k in range(len(out)):
        out[k] = x[k] * (y[k] + y2[k]) + x2[k] * y[k]


def truncate(party: Party, x: Arithmetic, fraction_bits: int) -> Arithmetic:
    """x / 2^f, rounded up or down; -2^62 <= x < 2^62."""
    op, row = party.begin("truncate"), in_a_row(x)

    def part(span: slice, out: Words) -> None:
        own_summand(party.index, row, None, span, out)

    return _Truncation(op, fraction_bits).run(part, x.shape)


def multiply_fixed(party: Party, x: Arithmetic, y: Arithmetic, fraction_bits: int) -> Arithmetic:
    """x * y / 2^f, element by element; -2^62 <= x * y < 2^62. Shapes broadcast."""
    op = party.begin("multiply fixed")
    x, y = broadcast(x, y)
    a, b, gather = in_a_row(x), in_a_row(y), _Gather(op)

    def part(span: slice, out: Words) -> None:
        _local_products(a.first[span], a.second[span], b.first[span], b.second[span], out)
        gather.run(out)

    return _Truncation(op, fraction_bits).run(part, x.shape)


def matmul_fixed(party: Party, x: Arithmetic, y: Arithmetic, fraction_bits: int) -> Arithmetic:
    """x @ y / 2^f; every entry of x @ y is within -2^62 .. 2^62-1. One truncation an entry, whatever the inner size."""
    op = party.begin("matmul fixed")
    product, gather = local_matmul(x, y), _Gather(op)
    row = product.reshape(-1)

    def part(span: slice, out: Words) -> None:
        out[:] = row[span]
        gather.run(out)

    return _Truncation(op, fraction_bits).run(part, product.shape)


class _Gather:
    """From an additive share at each party to one at P0 and one at P2: P1's goes to P0 under PRG(k_2), which P2 takes off."""

    def __init__(self, op: Operation) -> None:
        self._party = op.party
        self._mask = None if op.party.index == 0 else op.stream(2, "gather")

    def run(self, share: Words) -> None:
        """In place; what P1 is left with has no meaning."""
        if self._mask is None:
            with self._party.scratch.lend() as take:
                others = take(len(share))
                self._party.receive(1, others)
                share += others
            return
        for start, (mask,) in chunks(len(share), self._mask):
            part = share[start : start + len(mask)]
            if self._party.index == 1:
                part += mask
            else:
                part -= mask
        if self._party.index == 1:
            self._party.send(0, share)


class _Truncation:
    """One operation's TruncPr, slab after slab."""

    def __init__(self, op: Operation, fraction_bits: int) -> None:
        if not 0 < fraction_bits < 62:
            raise InputInvalid(f"a truncation drops 1 to 61 bits, not {fraction_bits}")
        self._party = op.party
        self._f = np.array([fraction_bits], dtype=np.uint64)
        me = op.party.index
        self._lead = np.array([int(me == 0)], dtype=np.uint64)
        self._streams = {
            (key, purpose): op.stream(key, purpose)
            for key, purposes in ((1, ("r", "R", "m", "result")), (2, ("r", "result")))
            if me in (key, key - 1)
            for purpose in purposes
        }

    def run(self, part: Callable[[slice, Words], None], shape: Shape) -> Arithmetic:
        """Shares of (P0's part + P2's part) / 2^f, where `part` writes this party's for a stretch of elements."""
        count = prod(shape)
        first, second = (np.empty(count, dtype=np.uint64) for _ in range(2))
        step = (self._opener, self._dealer, self._opener)[self._party.index]
        for start in range(0, count, self._party.slab):
            span = slice(start, min(start + self._party.slab, count))
            with self._party.scratch.lend() as take:
                words = take(span.stop - start)
                part(span, words)
                step(words, first[span], second[span], take)
        return Arithmetic(first, second).reshape(shape)

    def _dealer(self, words: Words, first: Words, second: Words, take: Callable[..., Words]) -> None:
        """P1: masks to P2, and the components that P0 and P2 subtract."""
        dealt = take(2, len(words))
        s = self._streams
        for start, (r0, r2, big0, m0) in chunks(len(words), s[1, "r"], s[2, "r"], s[1, "R"], s[1, "m"]):
            _deal(r0, r2, big0, m0, self._f, start, dealt[0], dealt[1])
        self._party.send(2, dealt)
        s[1, "result"].fill(first)
        s[2, "result"].fill(second)

    def _opener(self, words: Words, first: Words, second: Words, take: Callable[..., Words]) -> None:
        """P0 and P2: open the masked value to each other, shift, exchange masked shares of the result."""
        party, count, leading = self._party, len(words), self._party.index == 0
        peer, s = 2 - party.index, self._streams
        opened, dealt = take(count), take(2, 0 if leading else count)
        for start, (r,) in chunks(count, s[1 if leading else 2, "r"]):
            words[start : start + len(r)] += r
        if not leading:
            words += _OFFSET
        party.exchange(peer, words, opened)
        opened += words
        mine, fresh = (first, second) if leading else (second, first)
        if leading:
            for start, (big, m, mask) in chunks(count, s[1, "R"], s[1, "m"], s[1, "result"]):
                fresh[start : start + len(mask)] = mask
                _finish(opened, big, m, mask, self._f, self._lead, start, mine)
        else:
            party.receive(1, dealt)
            for start, (mask,) in chunks(count, s[2, "result"]):
                span = slice(start, start + len(mask))
                fresh[span] = mask
                _finish(opened, dealt[0, span], dealt[1, span], mask, self._f, self._lead, start, mine)
        party.exchange(peer, mine, opened)
        mine += opened
