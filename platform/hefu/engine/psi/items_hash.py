"""BLAKE2b-128 of many rows of bytes, eight at a time where they fit one block.

Equal to `hashlib.blake2b(bytes(8) + row, digest_size=16, key=key, person=person)`: the leading word keeps the message of an
empty row from being empty, which the key's midstate does not allow.
"""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.blake2b import BLOCK_BYTES, compress
from hefu.engine.kernels import kernel
from hefu.engine.ot.lanes import hash_eight

_8 = np.uint64(8)
_SHORT = 120


@kernel
def _word(data: NDArray[np.uint8], at: int, stop: int) -> np.uint64:
    """Up to 8 bytes, little-endian, zeros behind the end. The full case is written out: it becomes one load."""
    if stop - at >= 8:
        return (
            np.uint64(data[at])
            | np.uint64(data[at + 1]) << _8
            | np.uint64(data[at + 2]) << np.uint64(16)
            | np.uint64(data[at + 3]) << np.uint64(24)
            | np.uint64(data[at + 4]) << np.uint64(32)
            | np.uint64(data[at + 5]) << np.uint64(40)
            | np.uint64(data[at + 6]) << np.uint64(48)
            | np.uint64(data[at + 7]) << np.uint64(56)
        )
    word = np.uint64(0)
    for k in range(stop - at):
        word |= np.uint64(data[at + k]) << np.uint64(8 * k)
    return word


@kernel
def hash_rows(
    offsets: NDArray[np.int64], data: NDArray[np.uint8], state: NDArray[np.uint64], out: NDArray[np.uint64]
) -> None:
    """out (n, 2): digests of data[offsets[i]:offsets[i + 1]] from the key's midstate."""
    n = len(out)
    blocks = np.zeros((16, 8), np.uint64)
    counts = np.zeros(8, np.uint64)
    digests = np.empty((2, 8), np.uint64)
    h, block = np.empty(8, np.uint64), np.empty(16, np.uint64)
    for start in range(0, n, 8):
        filled = min(8, n - start)
        for lane in range(filled):
            at, stop = offsets[start + lane], offsets[start + lane + 1]
            counts[lane] = np.uint64(BLOCK_BYTES + 8 + stop - at)
            if stop - at <= _SHORT:
                for k in range(15):
                    blocks[k + 1, lane] = _word(data, min(at + 8 * k, stop), stop)
        hash_eight(state, blocks, counts, digests)
        for lane in range(filled):
            at, stop = offsets[start + lane], offsets[start + lane + 1]
            if stop - at <= _SHORT:
                out[start + lane, 0] = digests[0, lane]
                out[start + lane, 1] = digests[1, lane]
                continue
            h[:] = state
            block[0] = np.uint64(0)
            first, absorbed = 1, np.uint64(BLOCK_BYTES)
            while at < stop:
                for k in range(first, 16):
                    block[k] = _word(data, min(at, stop), stop)
                    at += 8
                first = 0
                last = at >= stop
                absorbed = counts[lane] if last else absorbed + np.uint64(BLOCK_BYTES)
                compress(h, block, absorbed, last)
            out[start + lane, 0] = h[0]
            out[start + lane, 1] = h[1]
