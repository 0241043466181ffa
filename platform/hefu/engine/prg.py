"""Keystream of AES-128-CTR, as 64-bit words.

One key makes one stream; a key is never used for a second purpose (session.Session hands out a key per label).
Fast because the zero block that is encrypted is kept: `update` allocates, `update_into` does not.
Source: NIST SP 800-38A, 6.5; words are little-endian.
"""

from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid

KEY_BYTES = 16
_ZEROS = memoryview(bytes(1 << 18))


class Prg:
    """A stream of pseudo-random words under a 16-byte key; each call goes on where the last one stopped."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise InputInvalid(f"a generator's key has {KEY_BYTES} bytes, not {len(key)}")
        self._encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()

    def fill(self, out: NDArray[Any]) -> None:
        """Overwrite a C-contiguous array with keystream."""
        if not out.size:
            return
        view = out.data.cast("B")
        for start in range(0, len(view), len(_ZEROS)):
            part = view[start : start + len(_ZEROS)]
            self._encryptor.update_into(_ZEROS[: len(part)], part)

    def words(self, count: int) -> NDArray[np.uint64]:
        """The next `count` words."""
        out = np.empty(count, dtype="<u8")
        self.fill(out)
        return out
