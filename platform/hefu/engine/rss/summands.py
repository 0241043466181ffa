"""The first step from arithmetic to bits: x = a + b, where a = x_0 + x_1 is known to P0 and b = x_2 to P1 and P2.

Bit shares of a: component 0 = PRG(k_0), which P0 and P2 make; component 1 = a xor that, sent from P0 to P1; component 2 is
zero. b is component 2 of itself, without a message. So shares of a xor b are there at once, in bit planes:
P0 (A0, A1), P1 (A1, B), P2 (B, A0). And a product a AND b costs two messages, not three: z_0 = PRG(k_0),
z_1 = A1 B + PRG(k_2) from P1 to P0, z_2 = A0 B + PRG(k_2) + PRG(k_0) from P2 to P1; each is uniform to its receiver.
Who learns what: nobody anything. 8 bytes an element for the planes, and 2 bits for each bit of a AND b.
Source of the split: Mohassel, Rindal, ABY3, CCS 2018, 5.3.
"""

import numpy as np

from hefu.engine.kernels import kernel
from hefu.engine.rss.bitslice import to_planes
from hefu.engine.rss.party import Operation, Words
from hefu.engine.rss.shares import Arithmetic, Bits, flat, words_for


def sum_planes(op: Operation, x: Arithmetic, *, negate_second: bool = False) -> Bits:
    """64 planes of (x_0 + x_1) xor x_2, or xor -x_2. One message, from P0 to P1."""
    party = op.party
    masked = np.empty((64, words_for(x.size)), dtype=np.uint64)
    if party.index == 1:
        party.receive(0, masked)
        return Bits(masked, _known_to_two(x.second, negate_second), x.shape)
    op.stream(0, "planes").fill(masked.reshape(-1))
    if party.index == 2:
        return Bits(_known_to_two(x.first, negate_second), masked, x.shape)
    rest = to_planes(flat(x.first + x.second))
    rest ^= masked
    party.send(1, rest)
    return Bits(masked, rest, x.shape)


def _known_to_two(words: Words, negate: bool) -> Words:
    return to_planes(flat(-words if negate else words))


@kernel
def _xor_ands(a: Words, b: Words, out: Words) -> None:
    """out[r] ^= a[last - r] & b[last - r]: the rows of `out` run downwards."""
    last = len(out) - 1
    for r in range(len(out)):
        for c in range(out.shape[1]):
            out[r, c] ^= a[last - r, c] & b[last - r, c]


def carries(op: Operation, planes: Bits) -> Bits:
    """a AND b of planes 0..62 of `sum_planes`, highest first. Two messages: P1 to P0, P2 to P1."""
    party = op.party
    out, second = (np.empty((planes.planes - 1, planes.first.shape[1]), dtype=np.uint64) for _ in range(2))
    if party.index == 0:
        op.stream(0, "carries").fill(out.reshape(-1))
        party.receive(1, second)
        return Bits(out, second, planes.shape)
    op.stream(2, "carries").fill(out.reshape(-1))
    if party.index == 1:
        _xor_ands(planes.first, planes.second, out)
        if out.size:
            party.channel(0).shift(out, party.channel(2), second)
    else:
        op.stream(0, "carries").fill(second.reshape(-1))
        _xor_ands(planes.first, planes.second, out)
        out ^= second
        party.send(1, out)
    return Bits(out, second, planes.shape)
