"""Keys in bins: a large OKVS as many small ones, each of which fits the CPU's cache and is streamed.

The number of bins and their columns follow from the encoder's number of keys, which is public. A key's bin comes from a
hash under a key of the session; how many keys fall into a bin is known to its owner alone (it would say something
about the keys).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hefu.engine.kernels import kernel
from hefu.engine.psi.okvs import DENSE, sparse_columns
from hefu.engine.psi.okvs_hash import BlockHash

BIN_KEYS = 1 << 15
_CHUNK = 1 << 14
_32 = np.uint64(32)


@dataclass(frozen=True, slots=True)
class Plan:
    """The shape of an OKVS for a number of keys: `bins` bins of `sparse` + 64 columns each."""

    bins: int
    sparse: int

    @property
    def columns(self) -> int:
        """Per bin."""
        return self.sparse + DENSE

    @property
    def size(self) -> int:
        """Field elements in all bins."""
        return self.bins * self.columns


def plan(keys: int) -> Plan:
    """Bins of BIN_KEYS keys at most on average."""
    bins = max(1, -(-keys // BIN_KEYS))
    return Plan(bins, sparse_columns(-(-keys // bins)))


@kernel
def _choose_bins(
    hashed: NDArray[np.uint64], bins: np.uint64, out: NDArray[np.uint32], sizes: NDArray[np.int64]
) -> None:
    for i in range(len(out)):
        chosen = ((hashed[i, 0] >> _32) * bins) >> _32
        out[i] = chosen
        sizes[chosen + np.uint64(1)] += 1


@kernel
def _by_bin(bin_of: NDArray[np.uint32], places: NDArray[np.int64], order: NDArray[np.uint32]) -> None:
    for i in range(len(bin_of)):
        place = places[bin_of[i]]
        order[place] = i
        places[bin_of[i]] = place + 1


@kernel
def _gather(keys: NDArray[np.uint64], rows: NDArray[np.uint32], out: NDArray[np.uint64]) -> None:
    for i in range(len(rows)):
        out[i, 0] = keys[rows[i], 0]
        out[i, 1] = keys[rows[i], 1]


@kernel
def _scatter(values: NDArray[np.uint64], rows: NDArray[np.uint32], out: NDArray[np.uint64]) -> None:
    for i in range(len(rows)):
        out[rows[i], 0] = values[i, 0]
        out[rows[i], 1] = values[i, 1]


def scatter(values: NDArray[np.uint64], rows: NDArray[np.uint32], out: NDArray[np.uint64]) -> None:
    """out[rows[i]] = values[i]; rows are those of a bin, or a part of a permutation of all."""
    _scatter(values, rows, out)


class Binned:
    """(n, 2) keys, bin by bin; the array is kept, not copied.

    order   (n,) uint32: rows of the input, bin after bin
    starts  (bins + 1,) int64: where each bin begins in `order`
    """

    def __init__(self, keys: NDArray[np.uint64], bins: int, key: bytes) -> None:
        self._keys = keys
        n = len(keys)
        self.starts = np.zeros(bins + 1, dtype=np.int64)
        if bins == 1:
            self.order = np.arange(n, dtype=np.uint32)
            self.starts[1] = n
            return
        choose, bin_of = BlockHash(key), np.empty(n, dtype=np.uint32)
        for start in range(0, n, _CHUNK):
            hashed = choose(keys[start : start + _CHUNK])
            _choose_bins(hashed, np.uint64(bins), bin_of[start : start + _CHUNK], self.starts)
        np.cumsum(self.starts, out=self.starts)
        self.order = np.empty(n, dtype=np.uint32)
        _by_bin(bin_of, self.starts[:-1].copy(), self.order)

    def rows(self, number: int) -> NDArray[np.uint32]:
        """Which rows of the input lie in a bin."""
        return self.order[self.starts[number] : self.starts[number + 1]]

    def keys(self, number: int) -> NDArray[np.uint64]:
        """The keys of a bin."""
        rows = self.rows(number)
        out = np.empty((len(rows), 2), dtype=np.uint64)
        _gather(self._keys, rows, out)
        return out
