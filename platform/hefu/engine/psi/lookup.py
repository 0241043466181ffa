"""A table of 128-bit values by open addressing: which row holds a value, and which rows are equal.

Values are expected to look random (hashes, masked values). Nothing here is secret from the party that runs it, and its
time depends on the values: it is for a party's own data and what it may learn.
"""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid
from hefu.engine.kernels import kernel

MAX_ROWS = (1 << 30) - 1
_MIX = np.uint64(0x9E3779B97F4A7C15)
_32 = np.uint64(32)
_1 = np.uint64(1)


@kernel
def _insert(values: NDArray[np.uint64], table: NDArray[np.int32], first: NDArray[np.int32]) -> None:
    mask = np.uint64(len(table) - 1)
    for i in range(len(values)):
        low, high = values[i, 0], values[i, 1]
        slot = (((low ^ (high >> _32)) * _MIX) >> _32) & mask
        found = table[slot]
        while found >= 0 and (values[found, 0] != low or values[found, 1] != high):
            slot = (slot + _1) & mask
            found = table[slot]
        if found < 0:
            table[slot] = i
            first[i] = i
        else:
            first[i] = found


@kernel
def _find(
    values: NDArray[np.uint64],
    table: NDArray[np.int32],
    queries: NDArray[np.uint64],
    out: NDArray[np.int32],
) -> None:
    mask = np.uint64(len(table) - 1)
    for i in range(len(queries)):
        low, high = queries[i, 0], queries[i, 1]
        slot = (((low ^ (high >> _32)) * _MIX) >> _32) & mask
        found = table[slot]
        while found >= 0 and (values[found, 0] != low or values[found, 1] != high):
            slot = (slot + _1) & mask
            found = table[slot]
        out[i] = found


class Table:
    """Rows of values (n, 2) uint64 by value. The array is kept, not copied.

    first  (n,) int32: the first row with the same value
    """

    def __init__(self, values: NDArray[np.uint64]) -> None:
        if len(values) > MAX_ROWS:
            raise InputInvalid(f"{len(values)} rows at once: at most {MAX_ROWS}")
        self._values = values
        size = 1 << max(4, (3 * len(values) // 2).bit_length())
        self._table = np.full(size, -1, dtype=np.int32)
        self.first = np.empty(len(values), dtype=np.int32)
        _insert(values, self._table, self.first)

    def find(self, queries: NDArray[np.uint64]) -> NDArray[np.int32]:
        """(q,) int32: the first row that holds each of the (q, 2) queries, -1 where none does."""
        out = np.empty(len(queries), dtype=np.int32)
        _find(self._values, self._table, queries, out)
        return out
