"""Cuckoo hashing: every item in one of its own bins, small tables that hardly ever fail, a failure that is told."""

import numpy as np
import pytest
from hefu.engine.errors import InputInvalid
from hefu.engine.psi.cuckoo import HASHES, Bins, failure_bound, place, region_bins


def some_items(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, (n, 2), dtype=np.uint64)


def key(seed: int) -> bytes:
    return seed.to_bytes(16, "little")


@pytest.mark.parametrize("n", [0, 1, 2, 10, 1000, 20_000])
def test_every_item_sits_in_one_of_its_bins(n: int) -> None:
    items, bins = some_items(n), Bins(key(1), region_bins(n))
    table = place(items, bins, np.uint64(7))
    assert table is not None
    where = np.flatnonzero(table >= 0)
    assert sorted(table[where].tolist()) == list(range(n))
    for h in range(HASHES):
        here = where[(where >= h * bins.region) & (where < (h + 1) * bins.region)]
        assert np.array_equal(bins.of(items[table[here]], h), here - h * bins.region)


def test_items_with_structure_are_spread_like_others() -> None:
    items = np.zeros((3000, 2), np.uint64)
    items[:, 1] = np.arange(3000) << 40
    assert place(items, Bins(key(2), region_bins(3000)), np.uint64(1)) is not None


def test_small_sets_do_not_fail() -> None:
    for n in (2, 10, 100, 1024):
        items = some_items(n, n)
        assert all(place(items, Bins(key(k), region_bins(n)), np.uint64(k)) is not None for k in range(300))


def test_a_table_without_padding_fails_and_says_so() -> None:
    """What the smallest size is for: 10 items in 13 bins fail in some of 300 trials."""
    items = some_items(10)
    failed = [place(items, Bins(key(k), 4), np.uint64(k)) is None for k in range(300)]
    assert 0 < sum(failed) < 300


def test_the_bound_is_small_where_tables_are_used() -> None:
    sizes = [4, 10, 100, 1000, 1024, 2000, 10**4, 10**6]
    assert max(failure_bound(n) for n in sizes) < 2**-42


def test_more_items_than_bins_are_refused() -> None:
    with pytest.raises(InputInvalid):
        place(some_items(10), Bins(key(0), 3), np.uint64(0))
