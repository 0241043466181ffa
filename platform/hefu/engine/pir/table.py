"""A table of buckets, so that a key's record is at a position which the asker can compute.

A 32-bit place of each key chooses its bucket. A bucket has room for `capacity` entries (tag, then body) and is always
full: where there is no entry there are random bytes. Entries lie in the order of their tags, so nothing of the owner's
order is left. The asker fetches one bucket, privately, and looks for its own tag: not there means that the owner does
not have the key (a random tag is equal by chance with probability capacity / 2^64).
The room depends on the number of entries only; that some bucket overflows has probability < 2^-8, and then the next of
six independent places is used: all fail once in 2^48 tables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid
from hefu.engine.prg import Prg

TAG_BYTES = 8
PLACES = 6
OVERFLOW_BITS = 8
MAX_BUCKETS = 1 << 30
MAX_BUCKET_BYTES = 1 << 30
_SORT_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class Layout:
    """`buckets` of `capacity` entries, each a tag of 8 bytes and a body."""

    buckets: int
    capacity: int
    body_bytes: int

    def __post_init__(self) -> None:
        if not (1 <= self.buckets <= MAX_BUCKETS and self.capacity >= 1 and self.body_bytes >= 0):
            raise InputInvalid("a table has at least one bucket with room for at least one entry")
        if self.bucket_bytes > MAX_BUCKET_BYTES:
            raise InputInvalid(f"buckets of {self.bucket_bytes} bytes, over the limit of {MAX_BUCKET_BYTES}")

    @property
    def slot_bytes(self) -> int:
        """One entry."""
        return TAG_BYTES + self.body_bytes

    @property
    def bucket_bytes(self) -> int:
        """What the asker fetches per key."""
        return self.capacity * self.slot_bytes


def capacity_for(entries: int, buckets: int, overflow_bits: int = OVERFLOW_BITS) -> int:
    """The least room such that any of the buckets overflows with probability below 2^-overflow_bits.

    A bucket's load is binomial, P(load > a) <= P(load = a + 1) / (1 - r) with r the ratio of the next two terms, which
    falls from there on; over all buckets by the union bound.
    """
    if entries <= 1 or buckets == 1:
        return max(entries, 1)
    low, high = entries // buckets + 1, entries  # a room of all entries never overflows
    while low < high:
        room = (low + high) // 2
        if _log2_overflow(entries, buckets, room) + math.log2(buckets) < -overflow_bits:
            high = room
        else:
            low = room + 1
    return low


def _log2_overflow(entries: int, buckets: int, room: int) -> float:
    """log2 of the bound on P(Binomial(entries, 1 / buckets) > room), for a room above the mean."""
    load = room + 1
    ratio = (entries - load) / (load + 1) / (buckets - 1)
    if load > entries or ratio >= 1:
        return -math.inf if load > entries else 0.0
    ways = math.lgamma(entries + 1) - math.lgamma(load + 1) - math.lgamma(entries - load + 1)
    logarithm = ways - load * math.log(buckets) + (entries - load) * math.log1p(-1 / buckets)
    return (logarithm - math.log1p(-ratio)) / math.log(2)


def choose_layout(entries: int, body_bytes: int, mean_load: int) -> Layout:
    """About `mean_load` entries to a bucket."""
    buckets = max(round(entries / max(mean_load, 1)), 1)
    return Layout(buckets, capacity_for(entries, buckets), body_bytes)


def bucket_of(places: NDArray[np.uint32], buckets: int) -> NDArray[np.int64]:
    """floor(place / 2^32 * buckets)."""
    return ((places.astype(np.uint64) * np.uint64(buckets)) >> np.uint64(32)).astype(np.int64)


class BucketOverflow(InputInvalid):
    """More entries fell into one bucket than it has room for."""


def fill(
    layout: Layout,
    places: NDArray[np.uint32],
    tags: NDArray[np.uint8],
    bodies: NDArray[np.uint8],
    filler: Prg,
) -> NDArray[np.uint8]:
    """(buckets, bucket_bytes): the table.

    places  (n,) uint32; tags (n, 8); bodies (n, body_bytes)
    filler  a stream of the owner's coins for the places where there is no entry
    raises  BucketOverflow
    """
    buckets = bucket_of(places, layout.buckets)
    order = np.argsort(buckets, kind="stable")
    ordered = buckets[order]
    starts = np.searchsorted(ordered, np.arange(layout.buckets + 1))
    if len(places) and int(np.diff(starts).max()) > layout.capacity:
        raise BucketOverflow(f"a bucket has more than {layout.capacity} entries")
    table = np.empty((layout.buckets * layout.capacity, layout.slot_bytes), dtype=np.uint8)
    filler.fill(table)
    within = np.arange(len(order)) - starts[ordered]
    slots = ordered * layout.capacity + within
    table[slots, :TAG_BYTES] = tags[order]
    table[slots, TAG_BYTES:] = bodies[order]
    shaped = table.reshape(layout.buckets, layout.capacity, layout.slot_bytes)
    step = max(_SORT_BYTES // layout.bucket_bytes, 1)
    for start in range(0, layout.buckets, step):
        part = shaped[start : start + step]
        by_tag = np.argsort(tag_words(part), axis=1)
        part[...] = np.take_along_axis(part, by_tag[:, :, None], axis=1)
    return table.reshape(layout.buckets, layout.bucket_bytes)


def tag_words(entries: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The tags of (..., slot_bytes) entries as words."""
    return np.ascontiguousarray(entries[..., :TAG_BYTES]).view("<u8")[..., 0]


def find(
    layout: Layout, buckets: NDArray[np.uint8], tags: NDArray[np.uint8]
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Which of the k fetched buckets hold their tag, and the body beside it (zeros where not): (k,), (k, body_bytes)."""
    entries = buckets.reshape(len(buckets), layout.capacity, layout.slot_bytes)
    same = tag_words(entries) == tag_words(tags)[:, None]
    found = same.any(axis=1)
    at = same.argmax(axis=1)
    bodies = entries[np.arange(len(entries)), at, TAG_BYTES:].copy()
    bodies[~found] = 0
    return found, bodies
