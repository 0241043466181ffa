"""Cuckoo hashing: a table of bins with at most one item each, every item in one of its three bins.

The table has three equal regions and hash h points into region h, so that an item's three bins always differ. There is
no stash: with 1.27 bins per item insertion fails hardly ever, and then the caller takes a new key. Small tables are made
as large as one for 1024 items (see `failure_bound`): with fewer bins a few items with the same three bins are likely.
Sources: Pagh, Rodler, J. Algorithms 2004; Pinkas, Schneider, Zohner, TOPS 2018, section 3.2 (parameters).
"""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid
from hefu.engine.kernels import kernel
from hefu.engine.psi.aes import Permutation
from hefu.engine.psi.items import Items

HASHES = 3
BINS_PER_ITEM = 1.27
SMALLEST_ITEMS = 1024

_MAX_STEPS = 5000
_CHUNK_ROWS = 1 << 14
_32 = np.uint64(32)
_STEP, _MULTIPLY, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(29)


def region_bins(items: int) -> int:
    """Bins in each of the three regions."""
    return -(-int(BINS_PER_ITEM * max(items, SMALLEST_ITEMS)) // HASHES)


class Bins:
    """The three hash functions under one key: bits of AES(item), which are uniform whatever the items are.

    region  bins in each region
    """

    def __init__(self, key: bytes, region: int) -> None:
        self._permute = Permutation(key)
        self.region = region

    def of(self, items: Items, which: int) -> NDArray[np.uint32]:
        """(n,) each item's bin within region `which`, 0 <= bin < region."""
        out = np.empty(len(items), dtype=np.uint32)
        for start in range(0, len(items), _CHUNK_ROWS):
            image = self._permute(items[start : start + _CHUNK_ROWS]).view(np.uint32)[:, which]
            out[start : start + len(image)] = (image.astype(np.uint64) * np.uint64(self.region)) >> _32
        return out


@kernel
def _place(bins: NDArray[np.uint32], region: int, table: NDArray[np.int32], state: np.uint64) -> bool:
    """Random walk: put in, and where all three bins are taken throw one of the others out and go on with it."""
    for first in range(bins.shape[1]):
        item = np.int64(first)
        last = np.int64(-1)
        placed = False
        for _ in range(_MAX_STEPS):
            for h in range(3):
                at = h * region + np.int64(bins[h, item])
                if table[at] < 0:
                    table[at] = item
                    placed = True
                    break
            if placed:
                break
            state += _STEP
            word = (state ^ (state >> _SHIFT)) * _MULTIPLY
            chosen = np.int64(((word >> _32) * np.uint64(3)) >> _32)
            if chosen == last:
                chosen = (chosen + 1 + np.int64(word & np.uint64(1))) % 3
            at = chosen * region + np.int64(bins[chosen, item])
            thrown = np.int64(table[at])
            table[at] = item
            item = thrown
            last = chosen
        if not placed:
            return False
    return True


def place(items: Items, bins: Bins, coins: np.uint64) -> NDArray[np.int32] | None:
    """(3 region,) the number of the item in each bin, -1 in empty ones; None when this key's bins don't hold the items.

    coins  any 64 bits of our own: where the walk goes, secret like the table
    """
    if len(items) > HASHES * bins.region:
        raise InputInvalid("more items than bins")
    where = np.stack([bins.of(items, h) for h in range(HASHES)])
    table = np.full(HASHES * bins.region, -1, dtype=np.int32)
    return table if _place(where, bins.region, table, coins) else None


def failure_bound(items: int) -> float:
    """Chance that some 4 to 7 items share too few bins: what makes small tables fail. Summed over expected numbers."""
    from math import comb

    region = region_bins(items)
    total = 0.0
    for count in range(4, 8):
        for a in range(1, count):
            for b in range(1, count - a):
                c = count - 1 - a - b
                if c >= 1:
                    spots = comb(region, a) * comb(region, b) * comb(region, c)
                    total += comb(items, count) * spots * (a * b * c / region**3) ** count
    return total
