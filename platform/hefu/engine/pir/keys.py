"""An owner's keys as one run of bytes with offsets, and their 128-bit tokens under a public seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid
from hefu.engine.session import derive_key
from hefu.engine.tokens import tokens


@dataclass(frozen=True, slots=True)
class Keys:
    """n keys; key i is data[offsets[i]:offsets[i + 1]]."""

    offsets: NDArray[np.int64]
    data: NDArray[np.uint8]

    @classmethod
    def of(cls, keys: Sequence[bytes]) -> Keys:
        """From byte strings of any lengths."""
        offsets = np.zeros(len(keys) + 1, dtype=np.int64)
        np.cumsum(np.fromiter((len(key) for key in keys), dtype=np.int64, count=len(keys)), out=offsets[1:])
        return cls(offsets, np.frombuffer(bytearray(b"".join(keys)), dtype=np.uint8))

    @classmethod
    def fixed(cls, keys: NDArray[np.uint8]) -> Keys:
        """From an (n, width) array: keys of one length."""
        if keys.ndim != 2 or keys.dtype != np.uint8:
            raise InputInvalid("keys of one length are an array of bytes, one row per key")
        offsets = np.arange(len(keys) + 1, dtype=np.int64) * keys.shape[1]
        return cls(offsets, np.ascontiguousarray(keys).reshape(-1))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> bytes:
        return self.data[self.offsets[row] : self.offsets[row + 1]].tobytes()


def as_keys(keys: Keys | Sequence[bytes]) -> Keys:
    """Either form as `Keys`."""
    return keys if isinstance(keys, Keys) else Keys.of(keys)


def seeded_tokens(seed: bytes, keys: Keys) -> NDArray[np.uint64]:
    """(n, 2): BLAKE2b-128 of each key under a seed that both sides know. Hides nothing: a hash function by number."""
    count = len(keys)
    table_key = derive_key(seed, b"hefu pir table v1")
    zeros = np.zeros(count, dtype=np.uint32), np.zeros(count, dtype=np.int32)
    return tokens(keys.offsets, keys.data, *zeros, {0: table_key})


def refuse_duplicates(digests: NDArray[np.uint64]) -> None:
    """Raise InputInvalid, naming two rows, when two keys have equal (n, 2) digests: the same key twice."""
    if len(digests) < 2:
        return
    order = np.lexsort((digests[:, 1], digests[:, 0]))
    ordered = digests[order]
    same = np.flatnonzero((ordered[1:] == ordered[:-1]).all(axis=1))
    if len(same):
        first, second = sorted(int(row) for row in order[same[0] : same[0] + 2])
        raise InputInvalid(
            f"rows {first} and {second} have the same key: a key has one payload, join them before"
        )


def payload_matrix(payloads: NDArray[np.uint8], keys: Keys) -> NDArray[np.uint8]:
    """The payloads, checked to be one row of bytes per key; raises InputInvalid."""
    if payloads.ndim != 2 or payloads.dtype != np.uint8 or len(payloads) != len(keys):
        raise InputInvalid("payloads are an array of bytes, one row of equal length per key")
    return payloads
