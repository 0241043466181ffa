"""The protocols as on paper: three parties in one place, over Z_2^k for any k from 1 to 64, without a thought for speed.

The twin of the fast path. With the coins of three sessions its messages equal the fast path's, byte for byte, at k = 64;
with enumerated coins over a small ring a test counts every view exactly. For tests and readers only: whoever runs it
holds all three parties' shares.

A secret is a list of its three components; P_i holds components i and i+1. A sliced secret is a list of planes, each such a
list of bits. Components are numpy arrays of any shapes that broadcast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.uint64]
Secret = list[Values]
Planes = list[Secret]


class Coins(Protocol):
    """Where the common streams come from; `key` j is known to P_j and P_{j-1}."""

    def begin(self, name: str) -> None:
        """The next operation."""

    def ring(self, key: int, purpose: str) -> Values:
        """The next ring element(s) of a stream."""

    def bits(self, key: int, purpose: str, planes: int) -> list[Values]:
        """The next planes of bits of a stream."""


class Plain:
    """Three parties over Z_2^bits; `messages` holds (sender, receiver, what) in order, what: ring values or planes."""

    def __init__(self, bits: int, coins: Coins) -> None:
        self.k = bits
        self.coins = coins
        self.messages: list[tuple[int, int, list[Values]]] = []

    def mod(self, values: Any) -> Values:
        """Reduced mod 2^k."""
        return np.asarray(values, dtype=np.uint64) & np.uint64((1 << self.k) - 1)

    def plane(self, values: Values, b: int) -> Values:
        """Bit b of each value."""
        return (values >> np.uint64(b)) & np.uint64(1)

    def send(self, sender: int, receiver: int, what: Sequence[Values]) -> None:
        """Note a message."""
        self.messages.append((sender % 3, receiver % 3, list(what)))

    # Input and output.

    def share_from(self, owner: int, values: Values) -> Secret:
        """Component `owner` from the stream, the next one the rest, the last zero."""
        self.coins.begin("share")
        mask = self.coins.ring(owner, "mask")
        found = [np.zeros_like(mask)] * 3
        found[owner], found[(owner + 1) % 3] = mask, self.mod(values - mask)
        self.send(owner, owner + 1, [found[(owner + 1) % 3]])
        return found

    def share_from_outside(self, seeded: Values, masked: Values, seed_at: int) -> Secret:
        """P_s holds `seeded` (as a seed, which it passes on), P_{s+1} holds `masked`."""
        self.coins.begin("share from outside")
        s = seed_at
        fresh = self.coins.ring(s + 1, "share")
        found = [fresh] * 3
        found[s % 3], found[(s + 2) % 3] = seeded, self.mod(masked - fresh)
        self.send(s, s + 2, [seeded])
        self.send(s + 1, s + 2, [found[(s + 2) % 3]])
        return found

    def open_to_all(self, x: Secret) -> Values:
        """Each party sends its first component on."""
        self.coins.begin("open")
        for i in range(3):
            self.send(i, i + 1, [x[i]])
        return self.mod(x[0] + x[1] + x[2])

    # Products.

    def multiply(self, x: Secret, y: Secret) -> Secret:
        """Araki et al., protocol 3.1."""
        self.coins.begin("multiply")
        f = [self.coins.ring(j, "zero") for j in range(3)]
        local = self.local(x, y)
        z = [self.mod(local[i] + f[i] - f[(i + 1) % 3]) for i in range(3)]
        for i in range(3):
            self.send(i, i - 1, [z[i]])
        return z

    def local(self, x: Secret, y: Secret) -> list[Values]:
        """Additive shares of the product, one at each party."""
        j = [1, 2, 0]
        return [x[i] * (y[i] + y[j[i]]) + x[j[i]] * y[i] for i in range(3)]

    def both(self, x: Planes, y: Planes) -> Planes:
        """AND, plane by plane."""
        self.coins.begin("and")
        return self.ands([(p, q, None) for p, q in zip(x, y, strict=True)])

    def ands(self, jobs: Sequence[tuple[Secret, Secret, Secret | None]]) -> Planes:
        """(p AND q) xor r for each job, in one message from each party."""
        f = [self.coins.bits(j, "zero", len(jobs)) for j in range(3)]
        done: Planes = []
        for n, (p, q, r) in enumerate(jobs):
            z = []
            for i in range(3):
                j = (i + 1) % 3
                local = (p[i] & (q[i] ^ q[j])) ^ (p[j] & q[i]) ^ f[i][n] ^ f[j][n]
                z.append(local if r is None else local ^ r[i])
            done.append(z)
        for i in range(3):
            self.send(i, i - 1, [z[i] for z in done])
        return done

    # Bits.

    def sum_planes(self, x: Secret, *, negate_second: bool = False) -> Planes:
        """Planes of (x_0 + x_1) xor (x_2 or -x_2)."""
        a, b = self.mod(x[0] + x[1]), self.mod(-x[2] if negate_second else x[2])
        masks = self.coins.bits(0, "planes", self.k)
        planes = [[m, self.plane(a, n) ^ m, self.plane(b, n)] for n, m in enumerate(masks)]
        self.send(0, 1, [p[1] for p in planes])
        return planes

    def carries(self, planes: Planes) -> Planes:
        """a AND b for planes 0..k-2; result in ascending order, the message in descending order."""
        first, second = (self.coins.bits(j, "carries", self.k - 1)[::-1] for j in (0, 2))
        found = [
            [f0, (p[1] & p[2]) ^ f2, (p[0] & p[2]) ^ f2 ^ f0]
            for p, f0, f2 in zip(planes[: self.k - 1], first, second, strict=True)
        ]
        self.send(1, 0, [g[1] for g in reversed(found)])
        self.send(2, 1, [g[2] for g in reversed(found)])
        return found

    def msb(self, x: Secret) -> Secret:
        """The highest bit."""
        self.coins.begin("msb")
        planes = self.sum_planes(x)
        if self.k == 1:
            return planes[0]
        g, p = self.carries(planes), planes[: self.k - 1]
        while len(g) > 1:
            pairs = len(g) // 2
            found = self.ands(
                [(p[2 * j + 1], g[2 * j], g[2 * j + 1]) for j in reversed(range(pairs))]
                + [(p[2 * j + 1], p[2 * j], None) for j in range(1, pairs)]
            )
            # position 0 needs no P: its place is held, never used
            g, p = found[:pairs][::-1] + g[2 * pairs :], [p[0], *found[pairs:], *p[2 * pairs :]]
        return [u ^ v for u, v in zip(planes[-1], g[0], strict=True)]

    def is_zero(self, x: Secret) -> Secret:
        """All bits of the two summands agree; k is a power of two."""
        self.coins.begin("is zero")
        bits = [[p[0] ^ np.uint64(1), p[1], p[2]] for p in self.sum_planes(x, negate_second=True)]
        while len(bits) > 1:
            half = len(bits) // 2
            bits = self.ands([(bits[j], bits[half + j], None) for j in range(half)])
        return bits[0]

    def to_bits(self, x: Secret) -> Planes:
        """All bits, by prefix sums of the carries."""
        self.coins.begin("ring to bits")
        planes = self.sum_planes(x)
        g, p = self.carries(planes), planes[: self.k - 1]
        distance = 1
        while distance < len(g):
            taking = [i for i in range(len(g)) if i & distance]
            source = {i: (i & ~(2 * distance - 1)) + distance - 1 for i in taking}
            upper = [i for i in taking if i >= 2 * distance]
            found = self.ands(
                [(p[i], g[source[i]], None) for i in taking] + [(p[i], p[source[i]], None) for i in upper]
            )
            for i, product in zip(taking, found, strict=False):
                g[i] = [u ^ v for u, v in zip(g[i], product, strict=True)]
            for i, product in zip(upper, found[len(taking) :], strict=True):
                p[i] = product
            distance *= 2
        return [
            planes[0],
            *([u ^ v for u, v in zip(planes[b], g[b - 1], strict=True)] for b in range(1, self.k)),
        ]

    def to_arithmetic(self, x: Secret) -> Secret:
        """A bit as 0 or 1 of the ring."""
        self.coins.begin("bits to ring")
        u, v = x[0] ^ x[1], x[2]
        u0 = self.coins.ring(0, "input")
        u1 = self.mod(u - u0)
        self.send(0, 1, [u1])
        z0, mask = self.coins.ring(0, "product"), self.coins.ring(2, "product")
        sign = np.uint64(1) - np.uint64(2) * v
        z = [z0, self.mod(v + sign * u1 + mask), self.mod(sign * u0 - mask - z0)]
        self.send(1, 0, [z[1]])
        self.send(2, 1, [z[2]])
        return z

    # Fixed point.

    def truncate(self, x: Secret, f: int) -> Secret:
        """TruncPr."""
        self.coins.begin("truncate")
        return self._truncate_parts(x[0] + x[1], x[2], f)

    def multiply_fixed(self, x: Secret, y: Secret, f: int) -> Secret:
        """A product whose shares meet at P0 and P2 before they are truncated."""
        self.coins.begin("multiply fixed")
        local, mask = self.local(x, y), self.coins.ring(2, "gather")
        gathered = self.mod(local[1] + mask)
        self.send(1, 0, [gathered])
        return self._truncate_parts(local[0] + gathered, local[2] - mask, f)

    def _truncate_parts(self, part0: Values, part2: Values, f: int) -> Secret:
        k, shift = self.k, np.uint64(f)
        low, top, up = np.uint64((1 << (k - 1)) - 1), np.uint64(k - 1), np.uint64(k - 1 - f)
        r0, r2 = self.coins.ring(1, "r"), self.coins.ring(2, "r")
        r = self.mod(r0 + r2)
        big0, m0 = self.coins.ring(1, "R"), self.coins.ring(1, "m")
        big2, m2 = self.mod(((r & low) >> shift) - big0), self.mod((r >> top) - m0)
        offset = np.uint64(1 << (k - 2))
        c0, c2 = self.mod(part0 + r0), self.mod(part2 + r2 + offset)
        self.send(0, 2, [c0])
        self.send(2, 0, [c2])
        self.send(1, 2, [big2, m2])
        c = self.mod(c0 + c2)
        flip, sign = c >> top, np.uint64(1) - np.uint64(2) * (c >> top)
        y0 = ((c & low) >> shift) - big0 + ((flip + sign * m0) << up) - (offset >> shift)
        y2 = ((sign * m2) << up) - big2
        mask1, mask2 = self.coins.ring(1, "result"), self.coins.ring(2, "result")
        w0, w2 = self.mod(y0 - mask1), self.mod(y2 - mask2)
        self.send(0, 2, [w0])
        self.send(2, 0, [w2])
        return [self.mod(w0 + w2), mask1, mask2]
