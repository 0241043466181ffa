"""Transposing bit matrices: columns as streams give them -> rows as transfers need them.

64 x 64 blocks by halving (Warren, "Hacker's Delight", 2nd ed., 7-3), eight neighbouring blocks at a time, so that each
step is one vector instruction over them.
"""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid
from hefu.engine.kernels import kernel

BLOCK_ROWS = 512

_LANES = 8
_STEPS = np.array([32, 16, 8, 4, 2, 1], dtype=np.uint64)
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


@kernel
def _transpose(columns: NDArray[np.uint64], rows: NDArray[np.uint64]) -> None:
    block = np.empty((64, 8), np.uint64)
    for word in range(0, columns.shape[1], 8):
        for group in range(rows.shape[1]):
            for i in range(64):
                for lane in range(8):
                    block[i, lane] = columns[64 * group + i, word + lane]
            for step in range(6):
                shift = _STEPS[step]
                mask = _MASKS[step]
                distance = int(shift)
                for start in range(0, 64, 2 * distance):
                    for i in range(start, start + distance):
                        for lane in range(8):
                            low, high = block[i, lane], block[i + distance, lane]
                            swap = ((low >> shift) ^ high) & mask
                            block[i + distance, lane] = high ^ swap
                            block[i, lane] = low ^ (swap << shift)
            for lane in range(8):
                for i in range(64):
                    rows[64 * (word + lane) + i, group] = block[i, lane]


def transpose(columns: NDArray[np.uint64], rows: NDArray[np.uint64]) -> None:
    """rows[r] bit c = columns[c] bit r, bits counted from the lowest of each word.

    columns  (64 w, n / 64) uint64, C-contiguous; n a multiple of 512
    rows     (n, w) uint64, overwritten
    raises   InputInvalid
    """
    n, width = rows.shape
    if n % BLOCK_ROWS or columns.shape != (64 * width, n // 64):
        raise InputInvalid("a bit matrix is transposed in blocks of 512 rows and 64 columns")
    _transpose(columns, rows)


def transpose_plain(columns: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The twin, by numpy's unpacked bits."""
    bits = np.unpackbits(np.ascontiguousarray(columns).view(np.uint8), axis=1, bitorder="little")
    return np.packbits(np.ascontiguousarray(bits.T), axis=1, bitorder="little").view(np.uint64)
