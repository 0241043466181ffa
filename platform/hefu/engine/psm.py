"""Equality by private simultaneous messages: a receiver learns whether two parties hold equal values, and no more.

Two parties share a key that the receiver lacks; for pair p each sends PRF(p, its value). Equal values give equal
messages; different ones give two independent random words (a false "equal" with probability 2^-64). One key, one use
per pair number: sent again, messages would show whether a value has changed.
Source: Feige, Kilian, Naor, "A minimal model for secure computation", STOC 1994. The PRF is BLAKE2b-64, keyed.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from hefu.engine.blake2b import BLOCK_BYTES, compress, midstate
from hefu.engine.kernels import kernel

_PERSON = b"hefu psm v1"


@kernel
def _messages(state: NDArray[np.uint64], values: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
    h = np.empty(8, np.uint64)
    m = np.zeros(16, np.uint64)
    for i in range(len(values)):
        for k in range(8):
            h[k] = state[k]
        m[0] = np.uint64(i)
        m[1] = values[i]
        compress(h, m, np.uint64(BLOCK_BYTES + 16), True)
        out[i] = h[0]


def messages(key: bytes, values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """(n,) words for the receiver: PRF_key(i, values[i]) for the i-th pair."""
    out = np.empty(len(values), dtype=np.uint64)
    _messages(midstate(key, 8, _PERSON), values, out)
    return out


def message_plain(key: bytes, pair: int, value: int) -> int:
    """The twin of the kernel, by hashlib, for one pair."""
    data = pair.to_bytes(8, "little") + value.to_bytes(8, "little")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8, key=key, person=_PERSON).digest(), "little")
