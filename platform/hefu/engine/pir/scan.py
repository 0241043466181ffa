"""The xor of those records whose bit is set: the inner product of a bit vector with a database, over GF(2)."""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid
from hefu.engine.kernels import kernel

WORD_BYTES = 8
_0, _1 = np.uint64(0), np.uint64(1)
_BLOCK_RECORDS = 256


@kernel
def _scan(records: NDArray[np.uint64], bits: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
    """out[k] ^= records[r] for all r with bit r of bits[k]; a block of records serves all k while it is in the cache."""
    count, words = records.shape
    whole = words // 4 * 4
    for start in range(0, count, _BLOCK_RECORDS):
        stop = min(count, start + _BLOCK_RECORDS)
        for k in range(len(bits)):
            row = bits[k]
            for w in range(0, whole, 4):
                a0, a1, a2, a3 = _0, _0, _0, _0
                for r in range(start, stop):
                    mask = _0 - ((row[r >> 6] >> np.uint64(r & 63)) & _1)
                    a0 ^= records[r, w] & mask
                    a1 ^= records[r, w + 1] & mask
                    a2 ^= records[r, w + 2] & mask
                    a3 ^= records[r, w + 3] & mask
                out[k, w] ^= a0
                out[k, w + 1] ^= a1
                out[k, w + 2] ^= a2
                out[k, w + 3] ^= a3
            for w in range(whole, words):
                a0 = _0
                for r in range(start, stop):
                    a0 ^= records[r, w] & (_0 - ((row[r >> 6] >> np.uint64(r & 63)) & _1))
                out[k, w] ^= a0


def as_words(records: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(n, L) bytes as (n, ceil(L / 8)) words, zeros behind; not copied when L divides by 8."""
    if records.ndim != 2 or records.dtype != np.uint8:
        raise InputInvalid("a database is an array of bytes, one row per record")
    count, width = records.shape
    words = -(-width // WORD_BYTES)
    if width == words * WORD_BYTES:
        return np.require(np.asarray(records), requirements=["C", "W"]).view(np.uint64).reshape(count, words)
    padded = np.zeros((count, words * WORD_BYTES), dtype=np.uint8)
    padded[:, :width] = records
    return padded.view(np.uint64)


def scan(records: NDArray[np.uint64], bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """(k, words): the xor of the chosen records.

    records  (n, words); bits (k, >= n / 64), record r is bit r % 64 of word r // 64
    raises   InputInvalid for too few bits
    """
    if bits.shape[1] * 64 < len(records):
        raise InputInvalid("fewer bits than records")
    out = np.zeros((len(bits), records.shape[1]), dtype=np.uint64)
    _scan(records, np.require(bits, requirements=["C", "W"]), out)
    return out
