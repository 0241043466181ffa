"""One party's step of a shuffle on additive shares: permute the rows, then add or subtract a common mask.

Two parties that hold shares x + y of some rows and share a stream do `step(x, +)` and `step(y, -)` with the same
permutation and mask: they then hold fresh shares of the permuted rows. A third party may be handed one of them.
Source: Laur, Willemson, Zhang, "Round-efficient oblivious database manipulation", ISC 2011, section 4.
"""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid
from hefu.engine.kernels import kernel
from hefu.engine.prg import Prg

_CHUNK_ROWS = 1 << 13


@kernel
def _gather(
    rows: NDArray[np.uint64],
    order: NDArray[np.uint32],
    mask: NDArray[np.uint64],
    negative: bool,
    start: int,
    out: NDArray[np.uint64],
) -> None:
    for i in range(len(mask)):
        source = order[start + i]
        for k in range(rows.shape[1]):
            if negative:
                out[start + i, k] = rows[source, k] - mask[i, k]
            else:
                out[start + i, k] = rows[source, k] + mask[i, k]


def permute_and_mask(
    rows: NDArray[np.uint64], order: NDArray[np.uint32], mask: Prg, *, negative: bool
) -> NDArray[np.uint64]:
    """out[i] = rows[order[i]] + mask[i], or - mask[i], mod 2^64.

    rows   (n, w) uint64; order (n,) a permutation; mask: a stream of which n*w words are used
    raises InputInvalid when the lengths differ
    """
    n, width = rows.shape
    if len(order) != n:
        raise InputInvalid("the permutation is of another length than the rows")
    out = np.empty_like(rows)
    buffer = np.empty((_CHUNK_ROWS, width), dtype=np.uint64)
    for start in range(0, n, _CHUNK_ROWS):
        part = buffer[: min(_CHUNK_ROWS, n - start)]
        mask.fill(part)
        _gather(rows, order, part, negative, start, out)
    return out
