"""The hash that turns rows of a transfer extension into keys: H(number, row), correlation robust.

BLAKE2b-128 under a key of the session, over the row and its number, eight rows at a time: each step of the compression
is one vector instruction over eight rows. Equal to
`hashlib.blake2b(row || le64(number), digest_size=16, key=key, person=b"hefu ot hash v1")`, the twin in the tests.
Assumed of it: H(i, q xor c·s) looks random for secret s and any known i, q, c of which c·s keeps 128 bits of entropy.
Sources: RFC 7693; Ishai, Kilian, Nissim, Petrank, CRYPTO 2003 (definition 1); Kolesnikov et al., CCS 2016 (Hamming version).
"""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.blake2b import BLOCK_BYTES, midstate
from hefu.engine.errors import InputInvalid
from hefu.engine.kernels import kernel
from hefu.engine.ot.lanes import hash_eight

HASH_WORDS = 2
MAX_ROW_WORDS = 15

_PERSON = b"hefu ot hash v1"


@kernel
def _hash_rows(
    rows: NDArray[np.uint64], numbers: NDArray[np.uint64], state: NDArray[np.uint64], out: NDArray[np.uint64]
) -> None:
    n, width = rows.shape
    blocks = np.zeros((16, 8), np.uint64)
    digests = np.empty((2, 8), np.uint64)
    counts = np.full(8, np.uint64(BLOCK_BYTES + 8 * (width + 1)))
    for start in range(0, n, 8):
        filled = min(8, n - start)
        for lane in range(filled):
            for k in range(width):
                blocks[k, lane] = rows[start + lane, k]
            blocks[width, lane] = numbers[start + lane]
        hash_eight(state, blocks, counts, digests)
        for lane in range(filled):
            out[start + lane, 0] = digests[0, lane]
            out[start + lane, 1] = digests[1, lane]


class RobustHash:
    """H under one public key of 32 bytes, fresh for each run of a protocol."""

    def __init__(self, key: bytes) -> None:
        self.state = midstate(key, 8 * HASH_WORDS, _PERSON)

    def __call__(self, rows: NDArray[np.uint64], numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """(n, 2) digests of (n, w) rows, w <= 15, with their (n,) numbers; raises InputInvalid."""
        n, width = rows.shape
        if not 1 <= width <= MAX_ROW_WORDS or numbers.shape != (n,):
            raise InputInvalid("rows of 1-15 words are hashed, each with a number")
        out = np.empty((n, HASH_WORDS), dtype=np.uint64)
        _hash_rows(rows, numbers, self.state, out)
        return out
