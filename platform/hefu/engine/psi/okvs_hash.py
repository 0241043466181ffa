"""AES-128 as a hash of 128-bit blocks under a key of the session: H(x) = AES_k(x) xor x (Matyas-Meyer-Oseas).

With AES as an ideal permutation under a fresh key, H on distinct blocks is indistinguishable from a random function up
to 2^64 blocks, and correlation robust. The key is public to the parties that hash; it is never used for a second purpose.
Source: Guo, Katz, Wang, Yu, "Efficient and secure multiparty computation from fixed-key block ciphers", S&P 2020, 4.
"""

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid
from hefu.engine.prg import KEY_BYTES

_CHUNK = 1 << 12


class BlockHash:
    """One function from (n, 2) uint64 to (n, 2) uint64, row by row."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise InputInvalid(f"a hash's key has {KEY_BYTES} bytes, not {len(key)}")
        cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - the permutation itself, not encryption
        self._encryptor = cipher.encryptor()
        self._room = np.empty((_CHUNK + 1, 2), dtype=np.uint64)  # update_into asks for one block more

    def __call__(
        self, blocks: NDArray[np.uint64], out: NDArray[np.uint64] | None = None
    ) -> NDArray[np.uint64]:
        """H of each row; `out` may be `blocks` itself."""
        result = np.empty_like(blocks) if out is None else out
        room = self._room.data.cast("B")
        for start in range(0, len(blocks), _CHUNK):
            part = blocks[start : start + _CHUNK]
            self._encryptor.update_into(part.data.cast("B"), room)
            np.bitwise_xor(part, self._room[: len(part)], out=result[start : start + len(part)])
        return result
