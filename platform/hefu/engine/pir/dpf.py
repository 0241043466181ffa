"""Distributed point functions: two keys whose evaluations xor to a bit vector with a single one.

A binary tree of 128-bit seeds: the parties' seeds and control bits are equal everywhere but on the path to the point. A
leaf stands for 128 positions (early termination), so n positions need a tree of depth log2(n / 128) and a key has
17 log2(n / 128) + 33 bytes. One key alone is pseudo-random, whatever the point; both together give it away.
The generator is AES-128 in Matyas-Meyer-Oseas mode, s -> AES_k(s) xor s, under three keys that the asker draws afresh
for every batch and tells both servers (ideal cipher).
Source: Boyle, Gilboa, Ishai, "Function secret sharing: improvements and extensions", CCS 2016, figures 1 and 2, 3.2.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid
from hefu.engine.prg import KEY_BYTES, Prg

LEAF_BITS = 128
MAX_DEPTH = 40
_BLOCK = 16
_1, _64 = np.uint64(1), np.uint64(64)
Seeds = NDArray[np.uint64]


def depth_for(points: int) -> int:
    """Levels of the tree over this many positions."""
    return max(-(-points // LEAF_BITS) - 1, 0).bit_length()


def key_bytes(points: int) -> int:
    """The length of one key: root and bit, a correction per level, the last correction."""
    return 2 * _BLOCK + 1 + depth_for(points) * (_BLOCK + 1)


class Mmo:
    """Three one-way functions of 128-bit blocks under public keys: the left child, the right child, the leaf's value."""

    def __init__(self, hash_key: bytes) -> None:
        keys = Prg(hash_key).words(6).tobytes()
        self._encryptors = [
            Cipher(algorithms.AES(keys[k : k + KEY_BYTES]), modes.ECB()).encryptor()  # noqa: S305  one block each, feed-forward
            for k in range(0, 3 * KEY_BYTES, KEY_BYTES)
        ]

    def __call__(self, which: int, seeds: Seeds) -> Seeds:
        """AES(s) xor s for every row of (..., 2)."""
        seeds = np.ascontiguousarray(seeds)
        buffer = np.empty(seeds.size + 2, dtype="<u8")  # update_into asks for one block more
        view = buffer.data.cast("B")
        if seeds.size:
            self._encryptors[which].update_into(seeds.data.cast("B"), view)
        out = buffer[: seeds.size].reshape(seeds.shape)
        out ^= seeds
        return out

    def children(self, seeds: Seeds) -> tuple[Seeds, Seeds, Seeds, Seeds]:
        """Left and right seeds (..., 2), left and right control bits (...): the lowest bit of each block is its bit."""
        left, right = self(0, seeds), self(1, seeds)
        left_bit, right_bit = left[..., 0] & _1, right[..., 0] & _1
        left[..., 0] &= ~_1
        right[..., 0] &= ~_1
        return left, right, left_bit, right_bit


@dataclass(frozen=True, slots=True)
class DpfKeys:
    """One server's keys for k points.

    roots (k, 2), bit: the same for all; corrections (k, depth, 2) with bits (k, depth, 2) for left and right; last (k, 2)
    """

    roots: Seeds
    bit: int
    corrections: Seeds
    bits: NDArray[np.uint8]
    last: Seeds

    def to_bytes(self) -> NDArray[np.uint8]:
        """(k, key_bytes)."""
        count, depth = self.bits.shape[:2]
        out = np.empty((count, 2 * _BLOCK + 1 + depth * (_BLOCK + 1)), dtype=np.uint8)
        out[:, :_BLOCK] = _bytes(self.roots)
        out[:, _BLOCK] = self.bit
        levels = out[:, _BLOCK + 1 : -_BLOCK].reshape(count, depth, _BLOCK + 1)
        levels[:, :, :_BLOCK] = _bytes(self.corrections)
        levels[:, :, _BLOCK] = self.bits[:, :, 0] | self.bits[:, :, 1] << 1
        out[:, _BLOCK + 1 : -_BLOCK] = levels.reshape(count, depth * (_BLOCK + 1))
        out[:, -_BLOCK:] = _bytes(self.last)
        return out

    @classmethod
    def from_bytes(cls, data: NDArray[np.uint8], points: int) -> DpfKeys:
        """The keys in (k, key_bytes) bytes; raises InputInvalid for bits that are no bits."""
        count, depth = len(data), depth_for(points)
        levels = data[:, _BLOCK + 1 : -_BLOCK].reshape(count, depth, _BLOCK + 1)
        flags = levels[:, :, _BLOCK]
        if count and (np.any(data[:, _BLOCK] != data[0, _BLOCK]) or data[0, _BLOCK] > 1 or np.any(flags > 3)):
            raise InputInvalid("a key whose control bits are no bits")
        return cls(
            _words(data[:, :_BLOCK]),
            int(data[0, _BLOCK]) if count else 0,
            _words(levels[:, :, :_BLOCK]),
            np.stack((flags & 1, flags >> 1), axis=2),
            _words(data[:, -_BLOCK:]),
        )


def _bytes(words: Seeds) -> NDArray[np.uint8]:
    return np.ascontiguousarray(words).view(np.uint8)


def _words(data: NDArray[np.uint8]) -> Seeds:
    return np.ascontiguousarray(data).view("<u8")


def generate(mmo: Mmo, points: int, wanted: NDArray[np.uint64], coins: Prg) -> tuple[DpfKeys, DpfKeys]:
    """Keys for both servers: bit vectors of `points` bits that xor to a one at each of the (k,) wanted positions.

    raises  InputInvalid for a position out of range
    """
    if np.any(wanted >= np.uint64(max(points, 0))):
        raise InputInvalid(f"positions from 0 to {points - 1}")
    count, depth = len(wanted), depth_for(points)
    roots = coins.words(4 * count).reshape(2, count, 2)
    seeds = roots.copy()  # (server, k, 2)
    controls = np.zeros((2, count), dtype=np.uint64)
    controls[1] = 1
    corrections = np.empty((count, depth, 2), dtype="<u8")
    bits = np.empty((count, depth, 2), dtype=np.uint8)
    leaf = wanted // np.uint64(LEAF_BITS)
    for level in range(depth):
        turn = (leaf >> np.uint64(depth - 1 - level)) & _1  # 1: the path goes right
        left, right, left_bit, right_bit = mmo.children(seeds)
        goes_right = (np.uint64(0) - turn)[:, None]
        lose = (left & goes_right) | (right & ~goes_right)
        keep = (right & goes_right) | (left & ~goes_right)
        correction = lose[0] ^ lose[1]
        correct_left = left_bit[0] ^ left_bit[1] ^ turn ^ _1
        correct_right = right_bit[0] ^ right_bit[1] ^ turn
        kept_bit = np.where(turn == 1, right_bit, left_bit)
        kept_correction = np.where(turn == 1, correct_right, correct_left)
        corrections[:, level] = correction
        bits[:, level, 0], bits[:, level, 1] = correct_left, correct_right
        seeds = keep ^ (correction[None] & (np.uint64(0) - controls)[:, :, None])
        controls = kept_bit ^ (controls & kept_correction)
    values = mmo(2, seeds)
    last = values[0] ^ values[1]
    within = wanted % np.uint64(LEAF_BITS)
    last[np.arange(count), (within // _64).astype(np.int64)] ^= _1 << (within % _64)
    return (
        DpfKeys(roots[0], 0, corrections, bits, last),
        DpfKeys(roots[1], 1, corrections, bits, last),
    )


def evaluate_all(mmo: Mmo, keys: DpfKeys, points: int) -> NDArray[np.uint64]:
    """(k, words): one server's share of every position, 64 to a word, lowest bit first; words for whole leaves."""
    count, depth = len(keys.roots), depth_for(points)
    leaves = max(-(-points // LEAF_BITS), 1)
    seeds = keys.roots[:, None, :]
    controls = np.full((count, 1), keys.bit, dtype=np.uint64)
    for level in range(depth):
        width = -(-leaves // (1 << (depth - level)))  # nothing to the right of the last leaf
        seeds, controls = seeds[:, :width], controls[:, :width]
        left, right, left_bit, right_bit = mmo.children(seeds)
        chosen = np.uint64(0) - controls
        correction = keys.corrections[:, level][:, None, :] & chosen[:, :, None]
        seeds = np.empty((count, width, 2, 2), dtype=np.uint64)
        np.bitwise_xor(left, correction, out=seeds[:, :, 0])
        np.bitwise_xor(right, correction, out=seeds[:, :, 1])
        both = np.empty((count, width, 2), dtype=np.uint64)
        flags = keys.bits[:, level].astype(np.uint64)
        both[:, :, 0] = left_bit ^ (controls & flags[:, None, 0])
        both[:, :, 1] = right_bit ^ (controls & flags[:, None, 1])
        seeds, controls = seeds.reshape(count, 2 * width, 2), both.reshape(count, 2 * width)
    seeds, controls = seeds[:, :leaves], controls[:, :leaves]
    values = mmo(2, seeds)
    values ^= keys.last[:, None, :] & (np.uint64(0) - controls)[:, :, None]
    return values.reshape(count, 2 * leaves)


def evaluate_plain(mmo: Mmo, keys: DpfKeys, row: int, point: int) -> int:
    """The twin of `evaluate_all`: one server's share of one position, walking down the tree."""
    seed, control = keys.roots[row], keys.bit
    depth = keys.bits.shape[1]
    for level in range(depth):
        turn = point // LEAF_BITS >> (depth - 1 - level) & 1
        child = mmo(turn, seed)
        bit = int(child[0]) & 1
        child[0] &= ~_1
        if control:
            child = child ^ keys.corrections[row, level]
            bit ^= int(keys.bits[row, level, turn])
        seed, control = child, bit
    value = mmo(2, seed)
    if control:
        value = value ^ keys.last[row]
    return int(value[point % LEAF_BITS // 64]) >> point % 64 & 1
