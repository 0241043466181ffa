"""Is every recorded AND right? The check of `malicious_check`, over GF(2^128) and xor shares.

Each bit is an element of its own with a random weight, so a lie in any of the 64 bits of a word counts; one repetition
is enough. Missed with probability below (2⌈log₂ n⌉ + 4)/2¹²⁸ for n bits. Costs each party 32 bytes and a coin of 16 bytes for
each halving, in two rounds.
Who learns what: nobody anything. Sources as in `malicious_check`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hefu.engine.field import add_scaled, dot, multiply
from hefu.engine.prg import Prg
from hefu.engine.rss.malicious_coins import CheatingDetected, Openings
from hefu.engine.rss.party import Party, Words
from hefu.engine.rss.shares import Bits


@dataclass(frozen=True, slots=True, eq=False)
class FieldShare:
    """Components x_i, x_{i+1} of x = x_0 + x_1 + x_2 in GF(2^128); (n, 2) uint64 each."""

    first: Words
    second: Words

    def __add__(self, other: FieldShare) -> FieldShare:
        return FieldShare(self.first ^ other.first, self.second ^ other.second)

    def __getitem__(self, key: slice) -> FieldShare:
        return FieldShare(self.first[key], self.second[key])

    def __len__(self) -> int:
        return len(self.first)

    def times(self, scalar: Words) -> FieldShare:
        """Every element times one public element, shape (2,)."""
        out = FieldShare(np.zeros_like(self.first), np.zeros_like(self.second))
        add_scaled(out.first, np.ascontiguousarray(self.first), scalar)
        add_scaled(out.second, np.ascontiguousarray(self.second), scalar)
        return out


def verify_ands(party: Party, openings: Openings, x: Words, y: Words, z: Words) -> None:
    """Raises CheatingDetected unless z = x AND y; all three (2, n) 0 or 1: both components, a bit to an element."""
    weights = openings.coin().words(2 * x.shape[1]).reshape(-1, 2)
    left = FieldShare(*(weights * c[:, None] for c in x))
    right = FieldShare(*(np.stack([c, np.zeros_like(c)], axis=1) for c in y))
    product = FieldShare(*(np.bitwise_xor.reduce(weights * c[:, None], axis=0)[None] for c in z))
    while len(left) > 1:
        left, right = _even(left), _even(right)
        one, leading = _multiplied(party, left, right)
        challenge = _challenge(openings.coin())
        left, right = _folded(left, challenge), _folded(right, challenge)
        product = _at(product + one, one, leading, challenge)
    left, right = _with_mask(party, left), _with_mask(party, right)
    one, leading = _multiplied(party, left, right)
    challenge = _challenge(openings.coin())
    left, right = _folded(left, challenge), _folded(right, challenge)
    product = _at(product, one, leading, challenge)
    openings.compare()
    first, second = (
        np.concatenate([getattr(v, c) for v in (left, right, product)]) for c in ("first", "second")
    )
    party.begin("verified open")
    opened = openings.components(first, second) ^ first ^ second
    openings.compare()
    if not np.array_equal(multiply(opened[:1].copy(), opened[1:2].copy()), opened[2:]):
        raise CheatingDetected("an AND is wrong: one of the three parties did not follow the protocol")


def unpacked(x: Bits) -> Words:
    """(2, planes * n) 0 or 1: both components of every meaningful bit."""
    rows = [
        np.unpackbits(
            np.ascontiguousarray(c).view(np.uint8), axis=1, count=x.size, bitorder="little"
        ).reshape(-1)
        for c in (x.first, x.second)
    ]
    return np.stack(rows).astype(np.uint64)


def _even(vector: FieldShare) -> FieldShare:
    if len(vector) % 2 == 0:
        return vector
    nothing = np.zeros((1, 2), dtype=np.uint64)
    return FieldShare(np.concatenate([vector.first, nothing]), np.concatenate([vector.second, nothing]))


def _multiplied(party: Party, left: FieldShare, right: FieldShare) -> tuple[FieldShare, FieldShare]:
    """Shares of p(1) and of the leading coefficient."""
    op = party.begin("check ands")
    half = len(left) // 2
    f, g = left[half:], right[half:]
    out = np.stack([_local(f, g), _local(f + left[:half], g + right[:half])])
    for start, mine, following in op.zero().chunks(out.size):
        out.reshape(-1)[start : start + len(mine)] ^= mine ^ following
    second = np.empty_like(out)
    party.pass_back(out, second)
    return FieldShare(out[:1], second[:1]), FieldShare(out[1:], second[1:])


def _local(f: FieldShare, g: FieldShare) -> Words:
    """This party's additive share of <f, g>."""
    mixed = dot(np.ascontiguousarray(f.first), g.first ^ g.second)
    return np.asarray(mixed ^ dot(np.ascontiguousarray(f.second), np.ascontiguousarray(g.first)))


def _folded(vector: FieldShare, challenge: Words) -> FieldShare:
    half = len(vector) // 2
    low, high = vector[:half], vector[half:]
    return low + (low + high).times(challenge)


def _at(zero: FieldShare, one: FieldShare, leading: FieldShare, challenge: Words) -> FieldShare:
    """p(β) = p(0) + β (p(1) + p(0) + leading + β leading)."""
    return zero + (one + zero + leading + leading.times(challenge)).times(challenge)


def _with_mask(party: Party, vector: FieldShare) -> FieldShare:
    op = party.begin("check ands mask")
    first, second = (op.stream(key, "mask").words(2)[None] for key in (party.index, party.index + 1))
    return FieldShare(np.concatenate([vector.first, first]), np.concatenate([vector.second, second]))


def _challenge(coin: Prg) -> Words:
    """A uniform element; zero, which would leave the mask out, becomes one."""
    beta = coin.words(2)
    if not beta.any():
        beta[0] = 1
    return beta
