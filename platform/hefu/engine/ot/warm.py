"""Compile the kernels of this package once, with the types that protocols use."""

import numpy as np

from hefu.engine.ot.bits import BLOCK_ROWS, transpose
from hefu.engine.ot.robust import RobustHash


def warm() -> None:
    """Runs each kernel on a block of zeros."""
    rows = np.empty((BLOCK_ROWS, 1), dtype=np.uint64)
    transpose(np.zeros((64, BLOCK_ROWS // 64), dtype=np.uint64), rows)
    RobustHash(bytes(32))(rows, np.zeros(BLOCK_ROWS, dtype=np.uint64))
