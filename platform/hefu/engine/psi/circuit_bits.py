"""Two parties compute on bits that they share by xor: AND, and products of a shared bit with numbers mod 2^64.

Both hold ends of correlated transfers (`vole_small`): the one's random choices c and blocks v, the other's w = v + Delta c.
Hashed, they are random transfers, of which two make a multiplication triple without a further message; and a product
of one party's bit with the other's number costs one transfer and 8 bytes.
Who learns what: nothing; opened are bits under fresh masks. Semi-honest parties.
Sources: Goldreich, Micali, Wigderson, STOC 1987; Asharov, Lindell, Schneider, Zohner, "More efficient oblivious transfer
and extensions", CCS 2013, 5.4 (triples); Gilboa, CRYPTO 1999 (products).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hefu.engine.channel import Channel
from hefu.engine.prg import KEY_BYTES
from hefu.engine.psi.okvs_hash import BlockHash
from hefu.engine.psi.vole_small import SmallReceiver, SmallSender
from hefu.engine.session import Session

Bits = NDArray[np.uint8]
"""0 or 1 per entry."""

Numbers = NDArray[np.uint64]


class Chooser:
    """The end that holds the choices."""

    def __init__(self, session: Session, channel: Channel, operation: int, purpose: str) -> None:
        self._small = SmallReceiver(session, channel, operation)
        self._hash = BlockHash(session.key(channel.peer, operation, f"{purpose} transfers", KEY_BYTES))
        self._channel = channel

    def transfers(self, count: int) -> tuple[Bits, Numbers]:
        """Random choices and the chosen words (count,)."""
        choices, blocks, _, _ = self._small.extend(count, 0)
        return choices, self._hash(blocks, out=blocks)[:, 0]

    def triples(self, count: int) -> tuple[Bits, Bits, Bits]:
        """Our shares of random a, b and a AND b."""
        choices, words = self.transfers(2 * count)
        low = _low(words)
        a, b = choices[:count], choices[count:]
        return a, b, (a & b) ^ low[:count] ^ low[count:]

    def multiply(self, bits: Bits) -> Numbers:
        """Our shares of our bits times the peer's numbers."""
        choices, words = self.transfers(len(bits))
        told = np.empty(len(bits), dtype=np.uint64)
        self._channel.send(np.packbits(bits ^ choices))
        self._channel.recv_into(told)
        return words + told * bits


class Offerer:
    """The end that holds Delta."""

    def __init__(self, session: Session, channel: Channel, operation: int, purpose: str) -> None:
        self._small = SmallSender(session, channel, operation)
        self._hash = BlockHash(session.key(channel.peer, operation, f"{purpose} transfers", KEY_BYTES))
        self._channel = channel

    def transfers(self, count: int) -> tuple[Numbers, Numbers]:
        """Both words of random transfers, (count,) each."""
        blocks, _ = self._small.extend(count, 0)
        others = self._hash(blocks ^ self._small.delta)
        return self._hash(blocks, out=blocks)[:, 0], others[:, 0]

    def triples(self, count: int) -> tuple[Bits, Bits, Bits]:
        """Our shares of random a, b and a AND b."""
        zero, one = self.transfers(2 * count)
        low = _low(zero)
        both = low ^ _low(one)
        b, a = both[:count], both[count:]
        return a, b, (a & b) ^ low[:count] ^ low[count:]

    def multiply(self, numbers: Numbers) -> Numbers:
        """Our shares of the peer's bits times our numbers."""
        zero, one = self.transfers(len(numbers))
        packed = np.empty(-(-len(numbers) // 8), dtype=np.uint8)
        self._channel.recv_into(packed)
        swapped = np.unpackbits(packed)[: len(numbers)].astype(np.bool_)
        q0, q1 = np.where(swapped, one, zero), np.where(swapped, zero, one)
        self._channel.send(q0 + numbers - q1)
        return np.uint64(0) - q0


def _low(words: Numbers) -> Bits:
    return (words & np.uint64(1)).astype(np.uint8)


def conjunction(channel: Channel, gates: Chooser | Offerer, x: Bits, y: Bits) -> Bits:
    """Shares of x AND y, entry by entry. One exchange of a quarter byte per entry each way."""
    shape = x.shape
    x, y = x.reshape(-1), y.reshape(-1)
    a, b, c = gates.triples(len(x))
    mine = np.packbits(np.concatenate([x ^ a, y ^ b]))
    theirs = np.empty_like(mine)
    channel.exchange(mine, theirs)
    opened = np.unpackbits(mine ^ theirs)[: 2 * len(x)]
    d, e = opened[: len(x)], opened[len(x) :]
    z: Bits = c ^ (d & b) ^ (e & a)
    if isinstance(gates, Chooser):
        z ^= d & e
    return z.reshape(shape)


def conjunction_sizes(width: int) -> list[int]:
    """How many rows `equal` joins in each of its exchanges."""
    sizes = []
    while width > 1:
        sizes.append(width // 2)
        width -= width // 2
    return sizes


def equal(channel: Channel, gates: Chooser | Offerer, words: Numbers, width: int = 64) -> Bits:
    """Shares of (our word = the peer's word) for each pair, by their lowest `width` bits: width - 1 ANDs."""
    bits: Bits = np.unpackbits(words.view(np.uint8).reshape(-1, 8), axis=1, bitorder="little").T[:width]
    bits = np.ascontiguousarray(bits)
    if isinstance(gates, Chooser):
        bits ^= 1
    for half in conjunction_sizes(width):
        both = conjunction(channel, gates, bits[:half], bits[half : 2 * half])
        bits = np.concatenate([both, bits[2 * half :]])
    flags: Bits = bits[0]
    return flags
