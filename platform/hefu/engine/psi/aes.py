"""AES-128 on many blocks at once, as a fixed-key permutation."""

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

BLOCK_WORDS = 2


class Permutation:
    """AES under one key, block by block (ECB is what a fixed-key permutation is; nothing is kept confidential by it)."""

    def __init__(self, key: bytes) -> None:
        self._encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305  # a permutation, no encryption
        self._room = np.empty(0, dtype=np.uint8)

    def __call__(self, blocks: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Images of a C-contiguous array of blocks, in a buffer that the next call overwrites."""
        size = blocks.nbytes
        if len(self._room) < size + 15:  # the library asks for that much
            self._room = np.empty(size + 15, dtype=np.uint8)
        if size:
            self._encryptor.update_into(blocks.data.cast("B"), self._room[: size + 15].data)
        return self._room[:size].view(np.uint64).reshape(blocks.shape)
