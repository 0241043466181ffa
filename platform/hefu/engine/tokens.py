"""128-bit tokens of match keys: BLAKE2b-128 under a key per institution, over occurrence number and key.

token(i) = BLAKE2b(le64(occurrence[i]) || key[i], digest_size=16, key=K, person="hefu token v1"), as two little-endian
words. Equal rows get equal tokens, whoever makes them; without K a token is as good as random.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hefu.engine.blake2b import BLOCK_BYTES, compress, midstate
from hefu.engine.errors import InputInvalid
from hefu.engine.kernels import kernel

TOKEN_BYTES = 16
_PERSON = b"hefu token v1"
_0, _8 = np.uint64(0), np.uint64(8)


@kernel
def _load(data: NDArray[np.uint8], start: np.uint64, count: np.uint64) -> np.uint64:
    """Up to 8 bytes as one little-endian word. The full case is written out: it becomes one load."""
    if count == _8:
        return (
            np.uint64(data[start])
            | np.uint64(data[start + np.uint64(1)]) << _8
            | np.uint64(data[start + np.uint64(2)]) << np.uint64(16)
            | np.uint64(data[start + np.uint64(3)]) << np.uint64(24)
            | np.uint64(data[start + np.uint64(4)]) << np.uint64(32)
            | np.uint64(data[start + np.uint64(5)]) << np.uint64(40)
            | np.uint64(data[start + np.uint64(6)]) << np.uint64(48)
            | np.uint64(data[start + np.uint64(7)]) << np.uint64(56)
        )
    word = _0
    shift = _0
    for _ in range(count):
        word |= np.uint64(data[start]) << shift
        start += np.uint64(1)
        shift += _8
    return word


@kernel
def _tokens(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    occurrence: NDArray[np.uint32],
    states: NDArray[np.uint64],
    which: NDArray[np.int32],
    out: NDArray[np.uint64],
) -> None:
    h = np.empty(8, np.uint64)
    m = np.empty(16, np.uint64)
    for i in range(len(occurrence)):
        for k in range(8):
            h[k] = states[which[i], k]
        at = np.uint64(offsets[i])
        stop = np.uint64(offsets[i + 1])
        m[0] = np.uint64(occurrence[i])
        filled = 1  # words of the block
        total = np.uint64(BLOCK_BYTES) + _8 + (stop - at)
        absorbed = np.uint64(BLOCK_BYTES)
        while at < stop:
            if filled == 16:
                absorbed += np.uint64(BLOCK_BYTES)
                compress(h, m, absorbed, False)
                filled = 0
            count = min(stop - at, _8)
            m[filled] = _load(data, at, count)
            at += count
            filled += 1
        for k in range(filled, 16):
            m[k] = _0
        compress(h, m, total, True)
        out[i, 0] = h[0]
        out[i, 1] = h[1]


def tokens(
    key_offsets: NDArray[np.int64],
    key_data: NDArray[np.uint8],
    occurrence: NDArray[np.uint32],
    institution: NDArray[np.int32],
    keys: Mapping[int, bytes],
    out: NDArray[np.uint64] | None = None,
) -> NDArray[np.uint64]:
    """One token per row.

    key_offsets  (n+1,) int64, rising from 0 or more; row i's key is key_data[key_offsets[i]:key_offsets[i+1]]
    occurrence   (n,) uint32
    institution  (n,) int32: which of `keys` (32 bytes each) the row is hashed under
    out          (n, 2) uint64 or a view with any strides; made when not given
    raises       InputInvalid when shapes don't fit or a key is missing
    """
    n = len(occurrence)
    key_offsets, key_data = _plain(key_offsets, np.int64), _plain(key_data, np.uint8)
    if len(key_offsets) != n + 1 or len(institution) != n:
        raise InputInvalid("offsets, occurrences and institutions differ in length")
    if n and (
        key_offsets[0] < 0 or key_offsets[-1] > len(key_data) or np.any(key_offsets[1:] < key_offsets[:-1])
    ):
        raise InputInvalid("key offsets don't rise within the key data")
    result = np.empty((n, 2), dtype=np.uint64)  # of one layout always: a kernel is compiled for each
    if not n:
        return result if out is None else out
    indices = sorted(keys)
    if not indices:
        raise InputInvalid("rows, but no institution's key")
    states = np.array([midstate(keys[k], TOKEN_BYTES, _PERSON) for k in indices])
    table = np.array(indices, dtype=np.int64)
    which = np.minimum(np.searchsorted(table, institution), len(table) - 1)
    if np.any(table[which] != institution):
        raise InputInvalid("a row belongs to an institution whose key we don't hold")
    _tokens(key_offsets, key_data, _plain(occurrence, np.uint32), states, which.astype(np.int32), result)
    if out is None:
        return result
    out[...] = result
    return out


def _plain(array: NDArray[Any], dtype: type[Any]) -> NDArray[Any]:
    """Contiguous and writeable, copied only where it isn't: every other kind of array would be compiled for anew."""
    return np.require(array, dtype=dtype, requirements=["C", "W"])


def token_plain(key: bytes, match_key: bytes, occurrence: int) -> tuple[int, int]:
    """The twin of the kernel, by hashlib, for one row."""
    message = occurrence.to_bytes(8, "little") + match_key
    digest = hashlib.blake2b(message, digest_size=TOKEN_BYTES, key=key, person=_PERSON).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")
