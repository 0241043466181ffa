"""Shared bits to shared ring elements, and choosing by a shared bit.

The bit is u xor v with u = b_0 xor b_1 known to P0 and v = b_2 to P1 and P2, so it is u + v - 2uv in the ring.
P0 shares u with PRG(k_0) as component 0 and the rest to P1; P1 and P2 flip their part by v, add masks, and hand them on:
z_0 = PRG(k_0), z_1 = v + (1-2v) U1 + PRG(k_2) to P0, z_2 = (1-2v) U0 - PRG(k_2) - z_0 to P1.
Who learns what: nobody anything. 24 bytes an element in all, two rounds.
"""

import numpy as np

from hefu.engine.errors import InputInvalid
from hefu.engine.kernels import kernel
from hefu.engine.rss.multiply import multiply
from hefu.engine.rss.party import Party, Words, chunks
from hefu.engine.rss.shares import Arithmetic, Bits

_SIX, _LOW_SIX, _ONE = np.uint64(6), np.uint64(63), np.uint64(1)


@kernel
def _bits_minus(packed: Words, mask: Words, start: int, out: Words) -> None:
    rest = out[start : start + len(mask)]
    for i in range(len(mask)):
        k = np.uint64(start + i)
        rest[i] = ((packed[k >> _SIX] >> (k & _LOW_SIX)) & _ONE) - mask[i]


@kernel
def _flip(words: Words, packed: Words, keep: Words, mask: Words, start: int, out: Words) -> None:
    """out = (1 - 2v) words + keep v + mask; `words` are those of this chunk, `keep` one word."""
    flipped = out[start : start + len(mask)]
    for i in range(len(mask)):
        k = np.uint64(start + i)
        v = (packed[k >> _SIX] >> (k & _LOW_SIX)) & _ONE
        sign = np.uint64(0) - v
        flipped[i] = ((words[i] ^ sign) + v) + (v & keep[0]) + mask[i]


def to_arithmetic(party: Party, x: Bits) -> Arithmetic:
    """0 or 1 in Z_2^64 for each element; x has one plane."""
    op = party.begin("bits to ring")
    if x.planes != 1:
        raise InputInvalid(f"one plane becomes 0 or 1, not {x.planes}")
    first, second = np.empty(x.size, dtype=np.uint64), np.empty(x.size, dtype=np.uint64)
    if party.index == 0:
        packed = x.first[0] ^ x.second[0]
        for start, (mask,) in chunks(x.size, op.stream(0, "input")):
            _bits_minus(packed, mask, start, second)
        party.send(1, second)
        op.stream(0, "product").fill(first)
        party.receive(1, second)
    elif party.index == 1:
        party.receive(0, second)
        v, keep = np.ascontiguousarray(x.second[0]), np.ones(1, dtype=np.uint64)
        for start, (mask,) in chunks(x.size, op.stream(2, "product")):
            _flip(second[start : start + len(mask)], v, keep, mask, start, first)
        if first.size:
            party.channel(0).shift(first, party.channel(2), second)
    else:
        v, keep = np.ascontiguousarray(x.first[0]), np.zeros(1, dtype=np.uint64)
        streams = op.stream(0, "input"), op.stream(2, "product"), op.stream(0, "product")
        for start, (words, mask, fresh) in chunks(x.size, *streams):
            second[start : start + len(fresh)] = fresh
            mask += fresh
            np.negative(mask, out=mask)
            _flip(words, v, keep, mask, start, first)
        party.send(1, first)
    return Arithmetic(first.reshape(x.shape), second.reshape(x.shape))


def select(party: Party, condition: Bits, x: Arithmetic, y: Arithmetic) -> Arithmetic:
    """x where the condition holds, else y; shapes broadcast. 48 bytes an element, three rounds."""
    return y + multiply(party, to_arithmetic(party, condition), x - y)
