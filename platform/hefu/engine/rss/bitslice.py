"""Words to bit planes and back: 64x64 bit transposes, eight blocks at a time.

Element e, bit b  <->  row b, word e // 64, bit e % 64. Eight blocks stand side by side, so that each step of the
transpose is done on vectors of eight words.
Source: Warren, Hacker's Delight, 2nd ed., 7-3 (recursive block transpose).
"""

import numpy as np

from hefu.engine.kernels import kernel
from hefu.engine.rss.party import Words
from hefu.engine.rss.shares import words_for

_MASKS = np.array(
    [
        0x00000000FFFFFFFF,
        0x0000FFFF0000FFFF,
        0x00FF00FF00FF00FF,
        0x0F0F0F0F0F0F0F0F,
        0x3333333333333333,
        0x5555555555555555,
    ],
    dtype=np.uint64,
)
_BLOCKS = 8


@kernel
def _transpose(block: Words) -> None:
    """Eight 64x64 blocks in place: block[8 j + w] is row j of block w."""
    step = 32
    for stage in range(6):
        mask = _MASKS[stage]
        shift = np.uint64(step)
        for base in range(0, 64, 2 * step):
            low, high = 8 * base, 8 * (base + step)
            one, two = block[low : low + 8 * step], block[high : high + 8 * step]
            for t in range(8 * step):
                swapped = ((one[t] >> shift) ^ two[t]) & mask
                two[t] ^= swapped
                one[t] ^= swapped << shift
        step >>= 1


@kernel
def _slice(words: Words, planes: Words, block: Words) -> None:
    count, width = len(words), planes.shape[1]
    for group in range(0, width, 8):
        blocks = min(8, width - group)
        for w in range(blocks):
            offset = 64 * (group + w)
            filled = min(64, count - offset)
            for j in range(filled):
                block[8 * j + w] = words[offset + j]
            for j in range(filled, 64):
                block[8 * j + w] = 0
        _transpose(block)
        for b in range(64):
            for w in range(blocks):
                planes[b, group + w] = block[8 * b + w]


@kernel
def _unslice(planes: Words, words: Words, block: Words) -> None:
    count, width = len(words), planes.shape[1]
    for group in range(0, width, 8):
        blocks = min(8, width - group)
        for b in range(64):
            for w in range(blocks):
                block[8 * b + w] = planes[b, group + w]
        _transpose(block)
        for w in range(blocks):
            offset = 64 * (group + w)
            for j in range(min(64, count - offset)):
                words[offset + j] = block[8 * j + w]


def to_planes(words: Words, out: Words | None = None) -> Words:
    """(64, words_for(n)) planes of n words (one row, C-contiguous), in `out` if given; beyond the last element all bits are 0."""
    planes = np.empty((64, words_for(len(words))), dtype=np.uint64) if out is None else out
    _slice(words, planes, np.zeros(64 * _BLOCKS, dtype=np.uint64))
    return planes


def from_planes(planes: Words, count: int) -> Words:
    """The first `count` elements of 64 planes, as words."""
    words = np.empty(count, dtype=np.uint64)
    _unslice(planes, words, np.zeros(64 * _BLOCKS, dtype=np.uint64))
    return words
