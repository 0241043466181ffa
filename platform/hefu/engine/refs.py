"""Row references: flags << 56 | batch << 40 | row, one 64-bit word.

flags  bit 0: a bank's row (else an institution's); bit 1: in transit; the others are zero
batch  the owner's number in the job, 16 bits
row    1-based row in the owner's file, 40 bits
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid, ResultInvalid

MAX_BATCH = (1 << 16) - 1
MAX_ROW = (1 << 40) - 1
_SECOND_SIDE, _TRANSIT, _FLAGS = 1, 2, 3


class Refs(NamedTuple):
    """References taken apart, each array of the shape of the words."""

    second_side: NDArray[np.bool_]
    transit: NDArray[np.bool_]
    batch: NDArray[np.int64]
    row: NDArray[np.int64]


def pack(
    second_side: bool, transit: NDArray[np.bool_], batch: int, row: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """(n,) uint64 references of one owner's rows; raises InputInvalid when something doesn't fit its bits."""
    if not 0 <= batch <= MAX_BATCH:
        raise InputInvalid(f"batch {batch} is not within 0..{MAX_BATCH}")
    if len(row) and (int(row.min()) < 1 or int(row.max()) > MAX_ROW):
        raise InputInvalid(f"row numbers are not within 1..{MAX_ROW}")
    flags = np.uint64(_SECOND_SIDE if second_side else 0) | (transit.astype(np.uint64) << np.uint64(1))
    words: NDArray[np.uint64] = (flags << np.uint64(56)) | np.uint64(batch << 40) | row.astype(np.uint64)
    return words


def unpack(words: NDArray[np.uint64]) -> Refs:
    """Take references apart; raises ResultInvalid when reserved bits are set or a row is 0."""
    flags = (words >> np.uint64(56)).astype(np.int64)
    row = (words & np.uint64(MAX_ROW)).astype(np.int64)
    if np.any(flags & ~_FLAGS) or np.any(row == 0):
        raise ResultInvalid("a reference has reserved bits set, or row 0")
    batch = ((words >> np.uint64(40)) & np.uint64(MAX_BATCH)).astype(np.int64)
    return Refs((flags & _SECOND_SIDE) != 0, (flags & _TRANSIT) != 0, batch, row)
