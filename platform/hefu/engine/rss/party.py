"""One of three parties that compute on replicated shares: who it is, whom it talks to, which coins it shares.

Parties P0, P1, P2 stand in a ring. A value x = x0 + x1 + x2 (or xor) is held so that P_i has x_i and x_{i+1}; the stream
k_i is known to P_i and P_{i-1}. Indices are mod 3. Every operation takes the next running number, and every stream is
labelled by that number, the operation's name and a purpose: an operation that one party lost shifts no other's coins.
Semi-honest: any one party learns nothing but what is opened to it.
Source: Araki, Furukawa, Lindell, Nof, Ohara, CCS 2016, section 2.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hefu.engine.channel import ChannelSet
from hefu.engine.errors import EngineError, InputInvalid
from hefu.engine.frames import Channel
from hefu.engine.prg import Prg
from hefu.engine.session import Session

Words = NDArray[np.uint64]

CHUNK_WORDS: Final = 1 << 14
"""How many words of keystream are made at once: two such buffers stay in the second-level cache."""

DEFAULT_SLAB: Final = 1 << 19
"""How many elements a protocol of many rounds takes at a time: memory is bounded, rounds are counted per slab."""

_KEPT_BUFFERS: Final = 8


class Party:
    """P_index of three.

    session, channels  this party's; the channels to both others are past their handshake
    names              the three parties in ring order, the same at each of them
    slab               elements that comparisons and truncations take at a time, a multiple of 64, the same at all three
    raises             InputInvalid when the names don't fit session and channels
    """

    def __init__(
        self, session: Session, channels: ChannelSet, names: Sequence[str], *, slab: int = DEFAULT_SLAB
    ) -> None:
        if sys.byteorder != "little":
            raise EngineError("shares travel as little-endian words; this machine is big-endian")
        if len(names) != 3 or len(set(names)) != 3 or session.party not in names:
            raise InputInvalid(
                f"{session.party!r} needs three different names of parties, its own among them"
            )
        if any(name != session.party and name not in channels for name in names):
            raise InputInvalid(f"{session.party!r} has no channel to one of {', '.join(names)}")
        self.session = session
        self.names = tuple(names)
        self.index = self.names.index(session.party)
        if slab < 64 or slab % 64:
            raise InputInvalid(f"a slab is a multiple of 64 elements, not {slab}")
        self.slab = slab
        self.scratch = Scratch()
        self._channels = channels
        self._operations = 0

    def begin(self, name: str) -> Operation:
        """The next operation; all three parties begin the same ones in the same order."""
        self._operations += 1
        return Operation(self, self._operations, name)

    def name(self, index: int) -> str:
        """Who P_index is."""
        return self.names[index % 3]

    def channel(self, index: int) -> Channel:
        """The channel to P_index; raises InputInvalid for ourselves."""
        if (index - self.index) % 3 == 0:
            raise InputInvalid(f"{self.session.party!r} has no channel to itself")
        return self._channels[self.name(index)]

    def send(self, index: int, words: Words) -> None:
        """Send C-contiguous words to P_index; an empty array is no message at all."""
        if words.size:
            self.channel(index).send(words)

    def receive(self, index: int, out: Words) -> None:
        """Fill a C-contiguous array with one message of P_index; raises ChannelError."""
        if out.size:
            self.channel(index).recv_into(out)

    def exchange(self, index: int, words: Words, out: Words) -> None:
        """Send to P_index while receiving as many words from it."""
        if words.size:
            self.channel(index).exchange(words, out)

    def pass_back(self, words: Words, out: Words) -> None:
        """Send to P_{i-1} while receiving from P_{i+1}: new components travel to those who hold them second."""
        if words.size:
            self.channel(self.index - 1).shift(words, self.channel(self.index + 1), out)

    def pass_on(self, words: Words, out: Words) -> None:
        """Send to P_{i+1} while receiving from P_{i-1}: what each lacks to open."""
        if words.size:
            self.channel(self.index + 1).shift(words, self.channel(self.index - 1), out)


class Scratch:
    """Buffers that a party uses over and over: touching fresh memory costs more than most of what is done with it."""

    def __init__(self) -> None:
        self._free: list[Words] = []

    @contextmanager
    def lend(self) -> Iterator[Callable[..., Words]]:
        """`take(*shape)` gives an array with any content, which must not outlive the block."""
        taken: list[Words] = []

        def take(*shape: int) -> Words:
            size = prod(shape)
            fitting = [n for n, buffer in enumerate(self._free) if buffer.size >= size]
            found = min(fitting, key=lambda n: self._free[n].size, default=None)
            buffer = np.empty(size, dtype=np.uint64) if found is None else self._free.pop(found)
            taken.append(buffer)
            return buffer[:size].reshape(shape)

        try:
            yield take
        finally:
            self._free += taken
            self._free.sort(key=len, reverse=True)
            del self._free[_KEPT_BUFFERS:]


class Operation:
    """One operation's coins. A stream is asked for once; it then goes on for as long as the operation needs it."""

    def __init__(self, party: Party, number: int, name: str) -> None:
        self.party = party
        self.number = number
        self.name = name

    def stream(self, key: int, purpose: str) -> Prg:
        """The stream of k_key (mod 3), which P_key and P_{key-1} share.

        raises  InputInvalid at the third party, LabelReused at the second request
        """
        me = self.party.index
        other = {0: me - 1, 1: me + 1}.get((key - me) % 3)
        if other is None:
            raise InputInvalid(f"k{key % 3} is not known to P{me}")
        return self.party.session.prg(self.party.name(other), self.number, f"{self.name}: {purpose}")

    def private(self, purpose: str) -> Prg:
        """A stream that nobody else has; raises LabelReused."""
        return self.party.session.private_prg(self.number, f"{self.name}: {purpose}")

    def zero(self, purpose: str = "zero") -> ZeroShares:
        """Additive (or xor) shares of zero, without a message."""
        me = self.party.index
        return ZeroShares(self.stream(me, purpose), self.stream(me + 1, purpose))


class ZeroShares:
    """F(k_i) and F(k_{i+1}): their difference (or xor) sums to zero over the three parties; to one alone it is uniform."""

    def __init__(self, mine: Prg, following: Prg) -> None:
        self._mine = mine
        self._following = following

    def chunks(self, count: int) -> Iterator[tuple[int, Words, Words]]:
        """(start, F(k_i), F(k_{i+1})) for the next `count` words; the buffers are overwritten at each step."""
        mine, following = (np.empty(min(count, CHUNK_WORDS), dtype=np.uint64) for _ in range(2))
        for start in range(0, count, CHUNK_WORDS):
            size = min(CHUNK_WORDS, count - start)
            self._mine.fill(mine[:size])
            self._following.fill(following[:size])
            yield start, mine[:size], following[:size]


def chunks(count: int, *streams: Prg) -> Iterator[tuple[int, list[Words]]]:
    """(start, one buffer per stream) for the next `count` words of each; the buffers are overwritten at each step."""
    buffers = [np.empty(min(count, CHUNK_WORDS), dtype=np.uint64) for _ in streams]
    for start in range(0, count, CHUNK_WORDS):
        parts = [buffer[: min(CHUNK_WORDS, count - start)] for buffer in buffers]
        for stream, part in zip(streams, parts, strict=True):
            stream.fill(part)
        yield start, parts
