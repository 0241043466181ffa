"""BLAKE2b's compression function for kernels that hash millions of short messages under few keys.

A key's block is compressed once (`midstate`); a message of up to 128 bytes then costs one compression. Equal to
`hashlib.blake2b(message, digest_size=…, key=…, person=…)`, which is the twin in the tests.
Source: RFC 7693; parameter block and personalisation: the BLAKE2 paper, 2.8.
"""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid
from hefu.engine.kernels import kernel

BLOCK_BYTES = 128

_IV = np.array(
    [
        0x6A09E667F3BCC908,
        0xBB67AE8584CAA73B,
        0x3C6EF372FE94F82B,
        0xA54FF53A5F1D36F1,
        0x510E527FADE682D1,
        0x9B05688C2B3E6C1F,
        0x1F83D9ABFB41BD6B,
        0x5BE0CD19137E2179,
    ],
    dtype=np.uint64,
)
_SIGMA = np.array(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    ],
    dtype=np.uint8,
)
_32, _24, _16, _63, _40, _48, _1 = (np.uint64(k) for k in (32, 24, 16, 63, 40, 48, 1))

Words = tuple[np.uint64, np.uint64, np.uint64, np.uint64]


@kernel
def _mix(a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64, x: np.uint64, y: np.uint64) -> Words:
    a = a + b + x
    d = d ^ a
    d = (d >> _32) | (d << _32)
    c = c + d
    b = b ^ c
    b = (b >> _24) | (b << _40)
    a = a + b + y
    d = d ^ a
    d = (d >> _16) | (d << _48)
    c = c + d
    b = b ^ c
    b = (b >> _63) | (b << _1)
    return a, b, c, d


@kernel
def compress(h: NDArray[np.uint64], m: NDArray[np.uint64], count: np.uint64, last: bool) -> None:
    """Absorb block `m` (16 words) into state `h` (8 words); `count` is the number of bytes so far, key block included."""
    v0, v1, v2, v3, v4, v5, v6, v7 = h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
    v8, v9, v10, v11 = _IV[0], _IV[1], _IV[2], _IV[3]
    v12, v13, v14, v15 = _IV[4] ^ count, _IV[5], _IV[6], _IV[7]
    if last:
        v14 = ~v14
    for r in range(12):
        s = _SIGMA[r]
        v0, v4, v8, v12 = _mix(v0, v4, v8, v12, m[s[0]], m[s[1]])
        v1, v5, v9, v13 = _mix(v1, v5, v9, v13, m[s[2]], m[s[3]])
        v2, v6, v10, v14 = _mix(v2, v6, v10, v14, m[s[4]], m[s[5]])
        v3, v7, v11, v15 = _mix(v3, v7, v11, v15, m[s[6]], m[s[7]])
        v0, v5, v10, v15 = _mix(v0, v5, v10, v15, m[s[8]], m[s[9]])
        v1, v6, v11, v12 = _mix(v1, v6, v11, v12, m[s[10]], m[s[11]])
        v2, v7, v8, v13 = _mix(v2, v7, v8, v13, m[s[12]], m[s[13]])
        v3, v4, v9, v14 = _mix(v3, v4, v9, v14, m[s[14]], m[s[15]])
    h[0] ^= v0 ^ v8
    h[1] ^= v1 ^ v9
    h[2] ^= v2 ^ v10
    h[3] ^= v3 ^ v11
    h[4] ^= v4 ^ v12
    h[5] ^= v5 ^ v13
    h[6] ^= v6 ^ v14
    h[7] ^= v7 ^ v15


def midstate(key: bytes, digest_size: int, person: bytes) -> NDArray[np.uint64]:
    """(8,) state after the key's block. The message that follows must not be empty."""
    if not 1 <= len(key) <= 64 or not 1 <= digest_size <= 64 or len(person) > 16:
        raise InputInvalid("BLAKE2b takes 1-64 bytes of key, 1-64 of digest, up to 16 of personalisation")
    state = _IV.copy()
    state[0] ^= np.uint64(0x01010000 | len(key) << 8 | digest_size)
    state[6:8] ^= np.frombuffer(person.ljust(16, b"\0"), dtype="<u8")
    block = np.frombuffer(key.ljust(BLOCK_BYTES, b"\0"), dtype="<u8").astype(np.uint64)
    compress(state, block, np.uint64(BLOCK_BYTES), False)
    return state
