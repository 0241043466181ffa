"""The loops of the OKVS. Positions are uint32 columns, field elements two uint64 words."""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.kernels import kernel

_1, _8, _32, _63 = np.uint64(1), np.uint64(8), np.uint64(32), np.uint64(63)
_LOW, _BYTE = np.uint64(0xFFFFFFFF), np.uint64(0xFF)


@kernel
def locate(
    first: NDArray[np.uint64],
    second: NDArray[np.uint64],
    sparse: np.uint64,
    positions: NDArray[np.uint32],
    dense: NDArray[np.uint64],
) -> None:
    """Three distinct columns and 64 bits from 256 bits per key: uniform among the triples, up to sparse / 2^32."""
    for i in range(len(dense)):
        dense[i] = first[i, 0]
        word = first[i, 1]
        a = ((word & _LOW) * sparse) >> _32
        b = ((word >> _32) * (sparse - _1)) >> _32
        c = ((second[i, 0] & _LOW) * (sparse - _1 - _1)) >> _32
        if b >= a:
            b += _1
        low, high = min(a, b), max(a, b)
        if c >= low:
            c += _1
        if c >= high:
            c += _1
        positions[i, 0] = a
        positions[i, 1] = b
        positions[i, 2] = c


@kernel
def peel(
    positions: NDArray[np.uint32], sparse: int, order: NDArray[np.uint32], is_core: NDArray[np.bool_]
) -> int:
    """Take rows away that alone touch some column; order[t] = (row, that column). Returns how many were taken."""
    n = len(positions)
    degree = np.zeros(sparse, dtype=np.uint32)
    mixed = np.zeros(sparse, dtype=np.uint32)  # xor of the rows that touch a column: of one row, its number
    for i in range(n):
        for k in range(3):
            column = positions[i, k]
            degree[column] += np.uint32(1)
            mixed[column] ^= np.uint32(i)
    ready = np.empty(sparse, dtype=np.uint32)
    waiting = 0
    for column in range(sparse):
        if degree[column] == 1:
            ready[waiting] = column
            waiting += 1
    taken = 0
    while waiting:
        waiting -= 1
        column = ready[waiting]
        if degree[column] != 1:
            continue
        row = mixed[column]
        order[taken, 0] = row
        order[taken, 1] = column
        taken += 1
        is_core[row] = False
        for k in range(3):
            other = positions[row, k]
            degree[other] -= np.uint32(1)
            mixed[other] ^= row
            if degree[other] == 1:
                ready[waiting] = other
                waiting += 1
    return taken


@kernel
def tabulate(dense: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """(8, 256, 2): the sums that each byte of 64 selecting bits makes of dense (64, 2)."""
    tables = np.zeros((8, 256, 2), dtype=np.uint64)
    for byte in range(8):
        for bit in range(8):
            size = 1 << bit
            d0, d1 = dense[8 * byte + bit, 0], dense[8 * byte + bit, 1]
            for j in range(size):
                tables[byte, size + j, 0] = tables[byte, j, 0] ^ d0
                tables[byte, size + j, 1] = tables[byte, j, 1] ^ d1
    return tables


@kernel
def _selected(tables: NDArray[np.uint64], bits: np.uint64) -> tuple[np.uint64, np.uint64]:
    s0, s1 = np.uint64(0), np.uint64(0)
    for byte in range(8):
        entry = bits & _BYTE
        s0 ^= tables[byte, entry, 0]
        s1 ^= tables[byte, entry, 1]
        bits >>= _8
    return s0, s1


@kernel
def back_substitute(
    positions: NDArray[np.uint32],
    dense: NDArray[np.uint64],
    values: NDArray[np.uint64],
    order: NDArray[np.uint32],
    tables: NDArray[np.uint64],
    p: NDArray[np.uint64],
) -> None:
    """Set each peeled row's own column, last taken first."""
    for t in range(len(order) - 1, -1, -1):
        row, column = order[t, 0], order[t, 1]
        s0, s1 = _selected(tables, dense[row])
        s0 ^= values[row, 0] ^ p[column, 0]
        s1 ^= values[row, 1] ^ p[column, 1]
        for k in range(3):
            s0 ^= p[positions[row, k], 0]
            s1 ^= p[positions[row, k], 1]
        p[column, 0] = s0
        p[column, 1] = s1


@kernel
def add_selected(
    p: NDArray[np.uint64],
    positions: NDArray[np.uint32],
    dense: NDArray[np.uint64],
    tables: NDArray[np.uint64],
    out: NDArray[np.uint64],
) -> None:
    """out[i] += what row i selects."""
    for i in range(len(out)):
        s0, s1 = _selected(tables, dense[i])
        for k in range(3):
            s0 ^= p[positions[i, k], 0]
            s1 ^= p[positions[i, k], 1]
        out[i, 0] ^= s0
        out[i, 1] ^= s1


@kernel
def eliminate(matrix: NDArray[np.uint64], right: NDArray[np.uint64], pivots: NDArray[np.int64]) -> bool:
    """Gauss-Jordan over GF(2), in place: afterwards variable pivots[r] is right[r], the others 0. False: dependent rows."""
    n, words = matrix.shape
    for r in range(n):
        word = 0
        while word < words and matrix[r, word] == 0:
            word += 1
        if word == words:
            return False
        bit = np.uint64(0)
        while (matrix[r, word] >> bit) & _1 == 0:
            bit += _1
        pivots[r] = 64 * word + np.int64(bit)
        for other in range(n):
            if other != r and (matrix[other, word] >> bit) & _1 != 0:
                for k in range(words):
                    matrix[other, k] ^= matrix[r, k]
                right[other, 0] ^= right[r, 0]
                right[other, 1] ^= right[r, 1]
    return True
