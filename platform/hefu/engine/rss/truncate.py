"""Division by 2^f, and products of fixed-point numbers: probabilistic truncation, at most one unit in the last place off.

P1 deals masks that do not depend on x: r = r_0 + r_2, with r_0 = PRG(k_1) known to P0 and r_2 = PRG(k_2) known to P2; and
shares, between P0 and P2, of R = (r mod 2^63) >> f and of m = msb(r). P0 and P2 open c = x + 2^62 + r to each other, then
    y = ((c mod 2^63) >> f) - R + (m xor msb(c)) 2^(63-f) - 2^(62-f)
and bring y back to replicated shares. For -2^62 <= x < 2^62 the result is floor(x / 2^f) or that plus one; beyond that
range it is wrong, and nobody notices: the range is the caller's to keep.
Who learns what: nobody anything (c is uniform, and hidden from P1, who knows r). Semi-honest: P1's masks are believed.
48 bytes an element, three rounds; a truncated product 56 bytes: the product stays with P0 and P2 in between.
Source: Escudero, Ghosh, Keller, Rachuri, Scholl, CRYPTO 2020, section 5.1 (TruncPr over Z_2^k).
"""

import numpy as np

from hefu.engine.errors import InputInvalid
from hefu.engine.kernels import kernel
from hefu.engine.rss.multiply import local_matmul
from hefu.engine.rss.party import Operation, Party, Words, chunks
from hefu.engine.rss.shares import Arithmetic, broadcast, flat

_ONE, _63 = np.uint64(1), np.uint64(63)
_LOW = np.uint64((1 << 63) - 1)
_OFFSET = np.uint64(1 << 62)


@kernel
def _deal(r0: Words, r2: Words, big0: Words, m0: Words, f: Words, start: int, big2: Words, m2: Words) -> None:
    """P1: P2's shares of R and m for one chunk."""
    shift = f[0]
    for i in range(len(r0)):
        r = r0[i] + r2[i]
        big2[start + i] = ((r & _LOW) >> shift) - big0[i]
        m2[start + i] = (r >> _63) - m0[i]


@kernel
def _finish(
    opened: Words, big: Words, m: Words, mask: Words, f: Words, lead: Words, start: int, out: Words
) -> None:
    """P0 (lead = 1) or P2 (lead = 0): this party's share of y, minus its mask."""
    shift, leading = f[0], lead[0]
    up = _63 - shift
    for i in range(len(mask)):
        c = opened[start + i]
        flip = c >> _63
        signed = m[i] if flip == 0 else np.uint64(0) - m[i]
        public = ((c & _LOW) >> shift) + (flip << up) - (_OFFSET >> shift)
        out[start + i] = leading * public - big[i] + (signed << up) - mask[i]


@kernel
def _local_products(x: Words, x2: Words, y: Words, y2: Words, out: Words) -> None:
    for k in range(len(out)):
        out[k] = x[k] * (y[k] + y2[k]) + x2[k] * y[k]


def truncate(party: Party, x: Arithmetic, fraction_bits: int) -> Arithmetic:
    """x / 2^f, rounded up or down; -2^62 <= x < 2^62."""
    op = party.begin("truncate")
    part = {0: x.first + x.second, 1: None, 2: x.first}[party.index]
    return _truncate_parts(op, None if part is None else flat(part), fraction_bits, x.shape)


def multiply_fixed(party: Party, x: Arithmetic, y: Arithmetic, fraction_bits: int) -> Arithmetic:
    """x * y / 2^f, element by element; -2^62 <= x * y < 2^62. Shapes broadcast."""
    op = party.begin("multiply fixed")
    x, y = broadcast(x, y)
    product = np.empty(x.size, dtype=np.uint64)
    _local_products(flat(x.first), flat(x.second), flat(y.first), flat(y.second), product)
    return _truncate_parts(op, _gather(op, product), fraction_bits, x.shape)


def matmul_fixed(party: Party, x: Arithmetic, y: Arithmetic, fraction_bits: int) -> Arithmetic:
    """x @ y / 2^f; every entry of x @ y is within -2^62 .. 2^62-1. One truncation an entry, whatever the inner size."""
    op = party.begin("matmul fixed")
    product = local_matmul(x, y)
    return _truncate_parts(op, _gather(op, product.reshape(-1)), fraction_bits, product.shape)


def _gather(op: Operation, product: Words) -> Words | None:
    """From one additive share at each party to one at P0 and one at P2: P1's goes to P0 under PRG(k_2), which P2 takes off."""
    party = op.party
    if party.index == 0:
        others = np.empty_like(product)
        party.receive(1, others)
        others += product
        return others
    for start, (mask,) in chunks(product.size, op.stream(2, "gather")):
        part = product[start : start + len(mask)]
        if party.index == 1:
            part += mask
        else:
            part -= mask
    if party.index == 1:
        party.send(0, product)
        return None
    return product


def _truncate_parts(
    op: Operation, part: Words | None, fraction_bits: int, shape: tuple[int, ...]
) -> Arithmetic:
    """Replicated shares of (P0's part + P2's part) / 2^f."""
    if not 0 < fraction_bits < 62:
        raise InputInvalid(f"a truncation drops 1 to 61 bits, not {fraction_bits}")
    party, count, f = (
        op.party,
        int(np.prod(shape, dtype=np.int64)),
        np.array([fraction_bits], dtype=np.uint64),
    )
    if party.index == 1:
        return _deal_masks(op, count, f).reshape(shape)
    if part is None:
        raise InputInvalid("a truncation needs a part from P0 and from P2")
    key = 1 if party.index == 0 else 2
    peer = 2 - party.index
    masked = np.empty(count, dtype=np.uint64)
    op.stream(key, "r").fill(masked)
    masked += part
    if party.index == 2:
        masked += _OFFSET
    opened = np.empty(count, dtype=np.uint64)
    party.exchange(peer, masked, opened)
    opened += masked
    mine = np.empty(count, dtype=np.uint64)
    fresh = np.empty(count, dtype=np.uint64)
    lead = np.array([1 - party.index // 2], dtype=np.uint64)
    if party.index == 0:
        streams = op.stream(1, "R"), op.stream(1, "m"), op.stream(1, "result")
        for start, (big, m, mask) in chunks(count, *streams):
            fresh[start : start + len(mask)] = mask
            _finish(opened, big, m, mask, f, lead, start, mine)
    else:
        dealt = np.empty((2, count), dtype=np.uint64)
        party.receive(1, dealt)
        for start, (mask,) in chunks(count, op.stream(2, "result")):
            span = slice(start, start + len(mask))
            fresh[span] = mask
            _finish(opened, dealt[0, span], dealt[1, span], mask, f, lead, start, mine)
    theirs = opened
    party.exchange(peer, mine, theirs)
    mine += theirs
    pair = (mine, fresh) if party.index == 0 else (fresh, mine)
    return Arithmetic(*pair).reshape(shape)


def _deal_masks(op: Operation, count: int, f: Words) -> Arithmetic:
    """P1's part: deal, and keep the components that P0 and P2 subtract."""
    dealt = np.empty((2, count), dtype=np.uint64)
    streams = op.stream(1, "r"), op.stream(2, "r"), op.stream(1, "R"), op.stream(1, "m")
    for start, (r0, r2, big0, m0) in chunks(count, *streams):
        _deal(r0, r2, big0, m0, f, start, dealt[0], dealt[1])
    op.party.send(2, dealt)
    first, second = np.empty(count, dtype=np.uint64), np.empty(count, dtype=np.uint64)
    op.stream(1, "result").fill(first)
    op.stream(2, "result").fill(second)
    return Arithmetic(first, second)
