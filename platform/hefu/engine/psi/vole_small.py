"""VOLE from 128 oblivious transfers: for short vectors, and as the seed of the silent one.

The sender's Delta is cut into 32 digits of 4 bits. For each digit the receiver grows a tree of 16 leaves; the sender
gets all leaves but number `digit`, by 4 base transfers. Each leaf r_x makes a vector; with u = sum r_x and
v = sum x r_x, the sender computes sum (x - digit) r_x = v - digit u without the missing one. The receiver corrects u to
be the same for all digits (31 vectors are sent); weighted by the digits' places they add up to w = v + Delta u.
The vectors are of field elements (u in GF(2^128): VOLE) or of bits (u in GF(2): correlated transfers, of which u is the
choice).

Who learns what: nothing, either side: u and Delta are random and stay where they are. Semi-honest parties.
Bytes: 496 per element, 3.9 per bit, receiver -> sender; 4 KiB and the base transfers once.
Source: Roy, "SoftSpokenOT", CRYPTO 2022, sections 3 and 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hefu.engine.channel import Channel
from hefu.engine.field import add_scaled
from hefu.engine.field.gf128 import Elements
from hefu.engine.ot import base
from hefu.engine.ot.bits import BLOCK_ROWS, transpose
from hefu.engine.prg import Prg
from hefu.engine.psi.vole_ggm import Sides, Words, grow, grow_punctured
from hefu.engine.session import Session

DELTA_BITS = 128
DIGIT_BITS = 4
DIGITS = DELTA_BITS // DIGIT_BITS
LEAVES = 1 << DIGIT_BITS


class SmallReceiver:
    """Holds u and v; each call of `extend` goes on where the last one stopped."""

    def __init__(self, session: Session, channel: Channel, operation: int) -> None:
        keys = base.send(session, channel, DELTA_BITS, operation=operation)
        roots = session.private_prg(operation, "vole roots").words(2 * DIGITS).reshape(-1, 2)
        leaves, sums = grow(roots, DIGIT_BITS, Sides(session, channel.peer, operation, "digits"))
        self._streams = [_Streams(leaves[:, digit]) for digit in range(DIGITS)]
        by_level = keys.reshape(DIGITS, DIGIT_BITS, 2, 2).transpose(1, 2, 0, 3)
        channel.send(np.ascontiguousarray(sums ^ by_level))
        self._channel = channel

    def extend(self, bits: int, elements: int) -> tuple[NDArray[np.uint8], Words, Elements, Elements]:
        """Choice bits (bits,), their v (bits, 2); u (elements, 2), its v (elements, 2)."""
        words = BLOCK_ROWS // 64 * -(-bits // BLOCK_ROWS)
        columns = np.empty((DELTA_BITS, words), dtype=np.uint64)
        v = np.zeros((elements, 2), dtype=np.uint64)
        corrections = np.empty((DIGITS - 1, words + 2 * elements), dtype=np.uint64)
        u = np.empty(words + 2 * elements, dtype=np.uint64)
        for digit in range(DIGITS):
            sums, total = _fold(self._streams[digit].next(len(u)))
            _weigh(digit, sums, words, columns, v)
            if digit:
                np.bitwise_xor(total, u, out=corrections[digit - 1])
            else:
                u[:] = total
        self._channel.send(corrections)
        choices = np.unpackbits(u[:words].view(np.uint8), bitorder="little")[:bits]
        return choices, _rows(columns, bits), u[words:].reshape(-1, 2), v


class SmallSender:
    """Holds Delta and w = v + Delta u; each call of `extend` goes on where the last one stopped.

    delta  (2,)
    """

    def __init__(self, session: Session, channel: Channel, operation: int) -> None:
        self.delta: Elements = session.private_prg(operation, "vole delta").words(2)
        ones = np.unpackbits(self.delta.view(np.uint8), bitorder="little")
        choices = 1 - ones
        keys = base.receive(session, channel, choices.astype(np.bool_), operation=operation)
        told = np.empty((DIGIT_BITS, 2, DIGITS, 2), dtype=np.uint64)
        channel.recv_into(told)
        by_level = choices.reshape(DIGITS, DIGIT_BITS).T
        chosen = np.where(by_level[:, :, None] == 1, told[:, 1], told[:, 0])
        chosen = chosen ^ keys.reshape(DIGITS, DIGIT_BITS, 2).transpose(1, 0, 2)
        sides = Sides(session, channel.peer, operation, "digits")
        leaves, self._digits = grow_punctured(np.ascontiguousarray(by_level), chosen, sides)
        by_distance = [np.arange(LEAVES) ^ value for value in self._digits.tolist()]
        self._streams = [_Streams(leaves[numbers, digit]) for digit, numbers in enumerate(by_distance)]
        self._channel = channel

    def extend(self, bits: int, elements: int) -> tuple[Words, Elements]:
        """w of the bits (bits, 2), and of the elements (elements, 2)."""
        words = BLOCK_ROWS // 64 * -(-bits // BLOCK_ROWS)
        columns = np.empty((DELTA_BITS, words), dtype=np.uint64)
        w = np.zeros((elements, 2), dtype=np.uint64)
        corrections = np.empty((DIGITS - 1, words + 2 * elements), dtype=np.uint64)
        self._channel.recv_into(corrections)
        for digit in range(DIGITS):
            value = int(self._digits[digit])
            sums, _ = _fold(self._streams[digit].next(words + 2 * elements))
            if digit:
                for bit in range(DIGIT_BITS):
                    if value >> bit & 1:
                        sums[bit] ^= corrections[digit - 1]
            _weigh(digit, sums, words, columns, w)
        return _rows(columns, bits), w


class _Streams:
    """The vectors of one digit's leaves, as far as they were asked for."""

    def __init__(self, leaves: Words) -> None:
        self._prgs = [Prg(leaf.tobytes()) for leaf in leaves]

    def next(self, words: int) -> Words:
        """(16, words): the next of each leaf's vector."""
        out = np.empty((len(self._prgs), words), dtype=np.uint64)
        for prg, row in zip(self._prgs, out, strict=True):
            prg.fill(row)
        return out


def _fold(vectors: Words) -> tuple[Words, Words]:
    """For each bit j the sum of the vectors whose number has it, and the sum of all."""
    sums = np.empty((DIGIT_BITS, vectors.shape[1]), dtype=np.uint64)
    for bit in range(DIGIT_BITS):
        np.bitwise_xor.reduce(vectors[1::2], axis=0, out=sums[bit])
        vectors = vectors[0::2] ^ vectors[1::2]
    return sums, vectors[0]


def _weigh(digit: int, sums: Words, words: int, columns: Words, elements: Elements) -> None:
    """Put the sums of bits into their columns, add those of elements times x^(4 digit + bit)."""
    for bit in range(DIGIT_BITS):
        place = DIGIT_BITS * digit + bit
        columns[place] = sums[bit, :words]
        power = np.zeros(2, dtype=np.uint64)
        power[place // 64] = np.uint64(1 << (place % 64))
        add_scaled(elements, sums[bit, words:].reshape(-1, 2), power)


def _rows(columns: Words, bits: int) -> Words:
    """128 columns of bits as (bits, 2) words."""
    rows = np.empty((64 * columns.shape[1], 2), dtype=np.uint64)
    transpose(columns, rows)
    return rows[:bits]
