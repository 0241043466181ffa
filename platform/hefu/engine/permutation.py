"""Uniform permutations from a keystream: Fisher-Yates with Lemire's exact rejection.

A word r of 64 bits gives j = floor(r m / 2^64), uniform in [0, m) once the words whose low product falls under
2^64 mod m are rejected (one in about 2^64 / m): no bias is left.
Sources: Knuth, TAOCP 2, 3.4.2, algorithm P; Lemire, "Fast random integer generation in an interval", TOMACS 2019.
"""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid
from hefu.engine.kernels import kernel
from hefu.engine.prg import Prg

MAX_ROWS = (1 << 31) - 1
_CHUNK_WORDS = 1 << 15
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


@kernel
def _swap_down(permutation: NDArray[np.uint32], position: int, words: NDArray[np.uint64]) -> int:
    """Go on from `position` until the words are used up; returns where it stopped (0: done)."""
    for w in range(len(words)):
        if position <= 0:
            break
        r = words[w]
        m = np.uint64(position + 1)
        low = r * m
        if low < m and low < (np.uint64(0) - m) % m:
            continue
        j = ((r >> _32) * m + (((r & _LOW) * m) >> _32)) >> _32
        swapped = permutation[j]
        permutation[j] = permutation[position]
        permutation[position] = swapped
        position -= 1
    return position


def permutation(prg: Prg, count: int) -> NDArray[np.uint32]:
    """A uniform permutation of 0..count-1; raises InputInvalid for more than 2^31 - 1 rows."""
    if not 0 <= count <= MAX_ROWS:
        raise InputInvalid(f"{count} rows cannot be permuted at once")
    result = np.arange(count, dtype=np.uint32)
    position = count - 1
    while position > 0:
        position = _swap_down(result, position, prg.words(min(position, _CHUNK_WORDS)))
    return result


def permutation_plain(prg: Prg, count: int) -> list[int]:
    """The twin of the kernel, in Python's integers."""
    result = list(range(count))
    position = count - 1
    while position > 0:
        for word in prg.words(min(position, _CHUNK_WORDS)).tolist():
            if position <= 0:
                break
            m = position + 1
            if (word * m) % (1 << 64) < (1 << 64) % m:
                continue
            j = (word * m) >> 64
            result[j], result[position] = result[position], result[j]
            position -= 1
    return result
