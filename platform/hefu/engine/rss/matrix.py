"""Matrix product in Z_2^64.

The right matrix is copied into panels of 16 columns; four rows by four inner steps are done at once on a panel, so that
each loaded word takes part in four multiplications and the compiler vectorises over the 16 columns. For few columns a
row-by-column loop reads the left matrix once.
"""

import numpy as np

from hefu.engine.errors import InputInvalid
from hefu.engine.kernels import kernel
from hefu.engine.rss.party import Words

_PANEL = 16
_FEW_COLUMNS = 4
_TILE = 64


def ring_product(left: Words, right: Words) -> Words:
    """(m, k) times (k, n), mod 2^64, C-contiguous; raises InputInvalid when the inner sizes differ."""
    if left.shape[1] != right.shape[0]:
        raise InputInvalid(f"no matrix product of shapes {left.shape} and {right.shape}")
    rows, inner = left.shape
    columns = right.shape[1]
    out = np.zeros((rows, columns), dtype=np.uint64)
    if not out.size or not inner:
        return out
    if columns <= _FEW_COLUMNS:
        _narrow(np.ascontiguousarray(left), np.ascontiguousarray(right.T), out)
        return out
    full_rows, full_inner = -(-rows // 4) * 4, -(-inner // 4) * 4
    padded = np.zeros((full_rows, full_inner), dtype=np.uint64)
    padded[:rows, :inner] = left
    panels = np.zeros((-(-columns // _PANEL), full_inner, _PANEL), dtype=np.uint64)
    for number, panel in enumerate(panels):
        part = right[:, number * _PANEL : (number + 1) * _PANEL]
        panel[:inner, : part.shape[1]] = part
    _wide(padded, panels.reshape(len(panels), full_inner // 4, _TILE), np.empty(_TILE, dtype=np.uint64), out)
    return out


@kernel
def _narrow(left: Words, right: Words, out: Words) -> None:
    for i in range(left.shape[0]):
        for j in range(right.shape[0]):
            total = np.uint64(0)
            for k in range(left.shape[1]):
                total += left[i, k] * right[j, k]
            out[i, j] = total


@kernel
def _wide(left: Words, panels: Words, tile: Words, out: Words) -> None:
    rows, columns = out.shape
    inner = 4 * panels.shape[1]
    for number in range(panels.shape[0]):
        first = number * 16
        width = min(16, columns - first)
        for i in range(0, left.shape[0], 4):
            for j in range(64):
                tile[j] = 0
            for k in range(0, inner, 4):
                a00, a01, a02, a03 = left[i, k], left[i, k + 1], left[i, k + 2], left[i, k + 3]
                a10, a11, a12, a13 = (
                    left[i + 1, k],
                    left[i + 1, k + 1],
                    left[i + 1, k + 2],
                    left[i + 1, k + 3],
                )
                a20, a21, a22, a23 = (
                    left[i + 2, k],
                    left[i + 2, k + 1],
                    left[i + 2, k + 2],
                    left[i + 2, k + 3],
                )
                a30, a31, a32, a33 = (
                    left[i + 3, k],
                    left[i + 3, k + 1],
                    left[i + 3, k + 2],
                    left[i + 3, k + 3],
                )
                block = panels[number, k >> 2]
                for j in range(16):
                    b0, b1, b2, b3 = block[j], block[16 + j], block[32 + j], block[48 + j]
                    tile[j] += a00 * b0 + a01 * b1 + a02 * b2 + a03 * b3
                    tile[16 + j] += a10 * b0 + a11 * b1 + a12 * b2 + a13 * b3
                    tile[32 + j] += a20 * b0 + a21 * b1 + a22 * b2 + a23 * b3
                    tile[48 + j] += a30 * b0 + a31 * b1 + a32 * b2 + a33 * b3
            for r in range(min(4, rows - i)):
                for j in range(width):
                    out[i + r, first + j] = tile[16 * r + j]
