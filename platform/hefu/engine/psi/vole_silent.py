"""Silent VOLE over GF(2^128) between two parties: long vectors from little communication, under LPN.

    the noise: in each of t blocks one place alpha_i, one random element beta_i; only the receiver knows them
    from `vole_small`: v_i, w_i with w_i = v_i + Delta beta_i, and a correlated transfer per block and level
    S grows a tree per block, R all of it but leaf alpha_i; S -> R: (sum of the leaves) + w_i
    R now holds the trees with + Delta beta_i at alpha_i:  C0 = B0 + Delta e
    both apply one public linear code, from N = 2 n to n entries: C = B + Delta A with A = code(e)

Who learns what: nothing; Delta stays with the sender, A with the receiver. Semi-honest parties.
Assumption: LPN in its dual form (syndrome decoding) over GF(2^128), regular noise, the code of `vole_code`.
t >= 400: with minimum distance delta N of the code and delta = 0.2 no linear test has a bias over (1 - delta)^t < 2^-128
(over a large field a block's noise cancels with probability 1 - delta, not 1 - 2 delta as over GF(2)).
Up to 1024 entries come from `vole_small` directly, without LPN.
Bytes for 2^20 items: 2.7 per entry beside the base transfers. Rounds: 3, and one per part of the vector.
Sources: Boyle, Couteau, Gilboa, Ishai, CCS 2018 (vector OLE from LPN); Boyle et al., CCS 2019, section 4 (two rounds);
Rindal, Schoppmann, EUROCRYPT 2021, and Raghuraman, Rindal, CCS 2022, for intersection; parameters: `vole_code`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hefu.engine.channel import Channel
from hefu.engine.field.gf128 import Elements
from hefu.engine.prg import KEY_BYTES
from hefu.engine.psi.okvs_hash import BlockHash
from hefu.engine.psi.vole_code import Code
from hefu.engine.psi.vole_ggm import Sides, Words, grow, grow_punctured
from hefu.engine.psi.vole_small import SmallReceiver, SmallSender
from hefu.engine.session import Session

NOISE_WEIGHT = 400
DIRECT_ENTRIES = 1024
MAX_PART = 1 << 18
MIN_DEPTH = 2


@dataclass(frozen=True, slots=True)
class Shape:
    """How a vector is made: `parts` parts of `entries` entries each, from `trees` noise blocks of 2^depth.

    parts 0: directly from the small VOLE.
    """

    parts: int
    entries: int
    trees: int
    depth: int


def shape(count: int) -> Shape:
    """The shape of at least `count` entries with the fewest bytes."""
    if count <= DIRECT_ENTRIES:
        return Shape(0, count, 0, 0)
    fewest = -(-count // MAX_PART)
    candidates = []
    for parts in range(fewest, 2 * fewest + 1):
        entries = -(-count // parts)
        depth = max(MIN_DEPTH, math.floor(math.log2(2 * entries / NOISE_WEIGHT)))
        candidates.append(Shape(parts, entries, max(NOISE_WEIGHT, -(-2 * entries // (1 << depth))), depth))
    return min(candidates, key=lambda s: s.parts * s.trees * (2 * s.depth + 33))


class SilentReceiver:
    """A and C, `count` entries in all."""

    def __init__(self, session: Session, channel: Channel, count: int, *, operation: int) -> None:
        self._channel, self._shape = channel, shape(count)
        self._keys = _Keys(session, channel.peer, operation, self._shape)
        small = SmallReceiver(session, channel, operation)
        s = self._shape
        if not s.parts:
            _, _, self._a, self._c = small.extend(0, s.entries)
            return
        blocks = s.parts * s.trees
        choices, pads, beta, v = small.extend(blocks * s.depth, blocks)
        self._choices = choices.reshape(s.parts, s.depth, s.trees)
        self._pads = self._keys.pad(pads).reshape(s.parts, s.depth, s.trees, 2)
        self._beta, self._v = beta.reshape(s.parts, s.trees, 2), v.reshape(s.parts, s.trees, 2)
        self._part, self._left = 0, 0
        self._code: Code | None = None

    def take(self, count: int) -> tuple[Elements, Elements]:
        """The next entries of A and C."""
        if not self._shape.parts:
            a, c = self._a[:count], self._c[:count]
            self._a, self._c = self._a[count:], self._c[count:]
            return a, c
        a, c = np.empty((count, 2), dtype=np.uint64), np.empty((count, 2), dtype=np.uint64)
        done = 0
        while done < count:
            if self._code is None or not self._left:
                self._code = None  # its memory first
                self._code = self._next_part()
            size = min(count - done, self._left)
            both = self._code.take(size)
            a[done : done + size], c[done : done + size] = both[:, :2], both[:, 2:]
            done += size
            self._left -= size
        return a, c

    def _next_part(self) -> Code:
        s, part = self._shape, self._part
        told = np.empty((2 * s.depth + 1, s.trees, 2), dtype=np.uint64)
        self._channel.recv_into(told)
        masked = told[:-1].reshape(s.depth, 2, s.trees, 2)
        choices = self._choices[part]
        chosen = np.where(choices[:, :, None] == 1, masked[:, 1], masked[:, 0]) ^ self._pads[part]
        leaves, missing = grow_punctured(choices, chosen, self._keys.sides)
        tree = np.arange(s.trees)
        leaves[missing, tree] = np.bitwise_xor.reduce(leaves, axis=0) ^ told[-1] ^ self._v[part]
        noise = np.zeros((len(leaves) * s.trees, 4), dtype=np.uint64)
        noise[:, 2:] = leaves.reshape(-1, 2)
        noise[missing * s.trees + tree, :2] = self._beta[part]
        self._part, self._left = part + 1, s.entries
        return Code(self._keys.code(part), noise)


class SilentSender:
    """Delta and B, `count` entries in all.

    delta  (2,)
    """

    def __init__(self, session: Session, channel: Channel, count: int, *, operation: int) -> None:
        self._channel, self._shape = channel, shape(count)
        self._keys = _Keys(session, channel.peer, operation, self._shape)
        small = SmallSender(session, channel, operation)
        self.delta: Elements = small.delta
        s = self._shape
        if not s.parts:
            _, self._b = small.extend(0, s.entries)
            return
        blocks = s.parts * s.trees
        pads, w = small.extend(blocks * s.depth, blocks)
        both = np.stack([self._keys.pad(pads), self._keys.pad(pads ^ self.delta)])
        self._pads = both.reshape(2, s.parts, s.depth, s.trees, 2)
        self._w = w.reshape(s.parts, s.trees, 2)
        self._roots = session.private_prg(operation, "silent roots")
        self._part, self._left = 0, 0
        self._code: Code | None = None

    def take(self, count: int) -> Elements:
        """The next entries of B."""
        if not self._shape.parts:
            b, self._b = self._b[:count], self._b[count:]
            return b
        b = np.empty((count, 2), dtype=np.uint64)
        done = 0
        while done < count:
            if self._code is None or not self._left:
                self._code = None
                self._code = self._next_part()
            size = min(count - done, self._left)
            b[done : done + size] = self._code.take(size)
            done += size
            self._left -= size
        return b

    def _next_part(self) -> Code:
        s, part = self._shape, self._part
        roots = self._roots.words(2 * s.trees).reshape(-1, 2)
        leaves, sums = grow(roots, s.depth, self._keys.sides)
        message = np.empty((2 * s.depth + 1, s.trees, 2), dtype=np.uint64)
        message[:-1] = (sums ^ self._pads[:, part].transpose(1, 0, 2, 3)).reshape(-1, s.trees, 2)
        message[-1] = np.bitwise_xor.reduce(leaves, axis=0) ^ self._w[part]
        self._channel.send(message)
        self._part, self._left = part + 1, s.entries
        return Code(self._keys.code(part), leaves.reshape(-1, 2))


class _Keys:
    """What is public between the two: the trees' hashes, the pads' hash, the seeds of the codes."""

    def __init__(self, session: Session, peer: str, operation: int, shape: Shape) -> None:
        self.sides = Sides(session, peer, operation, "silent")
        self._pad = BlockHash(session.key(peer, operation, "silent pads", KEY_BYTES))
        self._codes = [session.key(peer, operation, f"silent code {i}") for i in range(shape.parts)]

    def pad(self, blocks: Words) -> NDArray[np.uint64]:
        """Keys of transfers from correlated blocks."""
        return self._pad(blocks)

    def code(self, part: int) -> bytes:
        """32 bytes."""
        return self._codes[part]
