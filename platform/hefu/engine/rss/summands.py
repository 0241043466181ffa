"""The first step from arithmetic to bits: x = a + b, where a = x_0 + x_1 is known to P0 and b = x_2 to P1 and P2.

Bit shares of a: component 0 = PRG(k_0), which P0 and P2 make; component 1 = a xor that, sent from P0 to P1; component 2 is
zero. b is component 2 of itself, without a message. So shares of a xor b are there at once, in bit planes:
P0 (A0, A1), P1 (A1, B), P2 (B, A0). And a product a AND b costs two messages, not three: z_0 = PRG(k_0),
z_1 = A1 B + PRG(k_2) from P1 to P0, z_2 = A0 B + PRG(k_2) + PRG(k_0) from P2 to P1; each is uniform to its receiver.
Who learns what: nobody anything. 8 bytes an element for the planes, and 2 bits for each bit of a AND b.
Source of the split: Mohassel, Rindal, ABY3, CCS 2018, 5.3.
"""

from collections.abc import Callable

import numpy as np

from hefu.engine.kernels import kernel
from hefu.engine.rss.bitslice import to_planes
from hefu.engine.rss.party import Operation, Words
from hefu.engine.rss.shares import Arithmetic, flat, words_for

Pair = tuple[Words, Words]


class Summands:
    """One operation's splits, slab after slab; the coins go on from one to the next."""

    def __init__(self, op: Operation) -> None:
        self.party = op.party
        me = op.party.index
        self._planes = None if me == 1 else op.stream(0, "planes")
        self._first = None if me == 1 else op.stream(0, "carries")
        self._last = None if me == 0 else op.stream(2, "carries")

    def planes(self, words: Words, take: Callable[..., Words]) -> Pair:
        """64 planes of a xor b: this party's two components. `words` (one row) are P0's a, or P1's and P2's b."""
        masked, sliced = (take(64, words_for(len(words))) for _ in range(2))
        to_planes(words, sliced)
        if self._planes is None:
            self.party.receive(0, masked)
            return masked, sliced
        self._planes.fill(masked.reshape(-1))
        if self.party.index == 2:
            return sliced, masked
        sliced ^= masked
        self.party.send(1, sliced)
        return masked, sliced

    def carries(self, planes: Pair, take: Callable[..., Words]) -> Pair:
        """a AND b of planes 0..62, highest first. Two messages: P1 to P0, P2 to P1."""
        party, width = self.party, planes[0].shape[1]
        out, second = (take(63, width) for _ in range(2))
        if self._last is None:
            if self._first is not None:
                self._first.fill(out.reshape(-1))
            party.receive(1, second)
            return out, second
        self._last.fill(out.reshape(-1))
        _xor_ands(planes[0], planes[1], out)
        if self._first is None:
            if out.size:
                party.channel(0).shift(out, party.channel(2), second)
            return out, second
        self._first.fill(second.reshape(-1))
        out ^= second
        party.send(1, out)
        return out, second


def own_summand(index: int, x: Arithmetic, y: Arithmetic | None, span: slice, out: Words) -> None:
    """P0: (x_0 + x_1) - (y_0 + y_1), the others x_2 - y_2, for a stretch of rows; y may be missing."""
    component = x.second if index == 1 else x.first
    if y is None:
        out[:] = component[span]
    else:
        np.subtract(component[span], (y.second if index == 1 else y.first)[span], out=out)
    if index == 0:
        out += x.second[span]
        if y is not None:
            out -= y.second[span]


def in_a_row(x: Arithmetic) -> Arithmetic:
    """The same shares as one row of elements, contiguous."""
    return Arithmetic(flat(x.first), flat(x.second))


@kernel
def _xor_ands(a: Words, b: Words, out: Words) -> None:
    """out[r] ^= a[last - r] & b[last - r]: the rows of `out` run downwards."""
    last = len(out) - 1
    for r in range(len(out)):
        a_row, b_row, z = a[last - r], b[last - r], out[r]
        for c in range(len(z)):
            z[c] ^= a_row[c] & b_row[c]
