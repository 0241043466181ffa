"""Records by key: the table that an owner publishes for private look-up, and how an asker finds its way in it.

open    place and tag are a hash of the key under a published seed, bodies are payloads as they are. Whoever fetches a
        bucket can read the payloads of all its entries, though not their keys, and test any key against it.
sealed  place, tag and a pad over the payload come from an oblivious PRF of the key under the owner's secret. A bucket is
        random bytes to whoever fetches it, but for keys that the owner has evaluated: one per look-up. (Symmetric PIR:
        Gertner, Ishai, Kushilevitz, Malkin, STOC 1998; from an OPRF: Freedman, Ishai, Pinkas, Reingold, TCC 2005.)
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import EngineError, FrameInvalid, InputInvalid, PlanMismatch
from hefu.engine.frames import Channel
from hefu.engine.pir import oprf
from hefu.engine.pir.keys import Keys, as_keys, payload_matrix, refuse_duplicates, seeded_tokens
from hefu.engine.pir.table import (
    PLACES,
    TAG_BYTES,
    BucketOverflow,
    Layout,
    bucket_of,
    choose_layout,
    fill,
    find,
)
from hefu.engine.session import Session

SEED_BYTES = 16
_HEADER = struct.Struct(f"<BBQQQ{SEED_BYTES}s")
_OPEN, _SEALED = 0, 1
_CHUNK_KEYS = 1 << 15
# A PRF value has 64 bytes: six places of 4, a tag of up to 16, and 24 that are the key of the pad.
_TAG_AT = 4 * PLACES
_PAD_AT = _TAG_AT + 16


@dataclass(frozen=True, slots=True)
class TableHeader:
    """What is published of a table."""

    layout: Layout
    seed: bytes
    sealed: bool
    place: int

    def to_bytes(self) -> bytes:
        """42 bytes."""
        layout = self.layout
        return _HEADER.pack(
            _SEALED if self.sealed else _OPEN,
            self.place,
            layout.buckets,
            layout.capacity,
            layout.body_bytes,
            self.seed,
        )

    @classmethod
    def receive(cls, channel: Channel) -> TableHeader:
        """Read it from a peer; raises FrameInvalid for one that makes no sense."""
        frame = channel.recv(_HEADER.size)
        if len(frame) != _HEADER.size:
            raise FrameInvalid(channel.peer, "the header of a table has another length")
        kind, place, buckets, capacity, body_bytes, seed = _HEADER.unpack(frame)
        if kind not in (_OPEN, _SEALED) or place >= PLACES:
            raise FrameInvalid(channel.peer, "a table of an unknown kind")
        try:
            return cls(Layout(buckets, capacity, body_bytes), seed, kind == _SEALED, place)
        except EngineError as error:
            raise FrameInvalid(channel.peer, f"an impossible table: {error}") from error


@dataclass(frozen=True, slots=True)
class KeyedTable:
    """The owner's table: rows (buckets, bucket_bytes). The PRF's key is the owner's alone: servers get it not."""

    header: TableHeader
    rows: NDArray[np.uint8]
    oprf_key: bytes | None = field(default=None, repr=False)

    def for_servers(self) -> KeyedTable:
        """The same table without the PRF's key."""
        return KeyedTable(self.header, self.rows)


def build_table(
    session: Session,
    keys: Keys | Sequence[bytes],
    payloads: NDArray[np.uint8],
    *,
    sealed: bool = True,
    mean_load: int = 128,
    operation: int = 0,
) -> KeyedTable:
    """The owner's table.

    keys       n different byte strings; payloads (n, L) uint8, L >= 0
    mean_load  entries per bucket: fewer make answers shorter and the table emptier
    raises     InputInvalid for a key that comes twice, naming its rows
    """
    keys = as_keys(keys)
    payloads = payload_matrix(payloads, keys)
    layout = choose_layout(len(keys), payloads.shape[1], mean_load)
    seed = session.key(session.party, operation, "pir table seed", SEED_BYTES)
    oprf_key = None
    if sealed:
        oprf_key = oprf.new_key(session.private_prg(operation, "pir table prf key"))
        values = prf_values(oprf_key, keys)
        refuse_duplicates(values[:, :16].copy().view("<u8"))
        tags = values[:, _TAG_AT : _TAG_AT + TAG_BYTES]
        bodies = payloads ^ pads(values, payloads.shape[1])
        places = values[:, : 4 * PLACES].copy().view("<u4").T
    else:
        refuse_duplicates(seeded_tokens(seed, keys))
        bodies = payloads
    for place in range(PLACES):
        if not sealed:
            tokens = seeded_tokens(seed + bytes([place]), keys)
            places, tags = np.broadcast_to(_upper(tokens), (PLACES, len(keys))), _tag_bytes(tokens)
        try:
            filler = session.private_prg(operation, f"pir table filler {place}")
            rows = fill(layout, places[place], tags, bodies, filler)
        except BucketOverflow:
            continue
        return KeyedTable(TableHeader(layout, seed, sealed, place), rows, oprf_key)
    raise InputInvalid(
        "six placements overflowed, which chance does once in 2^48 tables: use another operation"
    )


def _upper(tokens: NDArray[np.uint64]) -> NDArray[np.uint32]:
    return (tokens[:, 0] >> np.uint64(32)).astype(np.uint32)


def _tag_bytes(tokens: NDArray[np.uint64]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(tokens[:, 1:2]).view(np.uint8)


def prf_values(key: bytes, keys: Keys) -> NDArray[np.uint8]:
    """(n, 64): the PRF of the owner's own keys."""
    out = np.empty((len(keys), oprf.VALUE_BYTES), dtype=np.uint8)
    for start in range(0, len(keys), _CHUNK_KEYS):
        rows = range(start, min(start + _CHUNK_KEYS, len(keys)))
        out[start : rows.stop] = oprf.evaluate(key, [keys[row] for row in rows])
    return out


def pads(values: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """(n, count): SHAKE-256 of each value's last 24 bytes, to be xored with the payload."""
    out = np.empty((len(values), count), dtype=np.uint8)
    if not count:
        return out
    flat = out.reshape(-1).data
    for row, value in enumerate(values[:, _PAD_AT:]):
        flat[row * count : (row + 1) * count] = hashlib.shake_256(
            b"hefu pir pad v1" + value.tobytes()
        ).digest(count)
    return out


def tag_columns(values: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """(n, count): the tags that PRF values carry, up to 16 bytes."""
    return values[:, _TAG_AT : _TAG_AT + count]


@dataclass(frozen=True, slots=True)
class Located:
    """Where an asker's keys would be, and what it needs to read them there."""

    buckets: list[int]
    tags: NDArray[np.uint8]
    pads: NDArray[np.uint8] | None


def locate(
    session: Session,
    header: TableHeader,
    keys: Sequence[bytes],
    prf_channel: Channel | None = None,
    *,
    operation: int = 0,
) -> Located:
    """The asker's preparation; with a sealed table one round with the holder of the PRF's key (32 bytes per key each way).

    raises  InputInvalid when a sealed table is asked without `prf_channel`
    """
    layout = header.layout
    if not header.sealed:
        tokens = seeded_tokens(header.seed + bytes([header.place]), as_keys(keys))
        return Located(bucket_of(_upper(tokens), layout.buckets).tolist(), _tag_bytes(tokens), None)
    if prf_channel is None:
        raise InputInvalid("a sealed table needs the channel to the holder of its key")
    values = oprf.fetch_evaluations(prf_channel, keys, session.private_prg(operation, "pir blinds"))
    places = np.ascontiguousarray(values[:, 4 * header.place : 4 * header.place + 4]).view("<u4")[:, 0]
    return Located(
        bucket_of(places, layout.buckets).tolist(),
        tag_columns(values, TAG_BYTES),
        pads(values, layout.body_bytes),
    )


def open_buckets(
    header: TableHeader, located: Located, buckets: NDArray[np.uint8]
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Which keys the owner has, and their payloads (zeros for the others): (k,), (k, L)."""
    found, bodies = find(header.layout, buckets, located.tags)
    if located.pads is not None:
        bodies[found] ^= located.pads[found]
    return found, bodies


def agree(first: TableHeader, second: TableHeader, peer: str) -> None:
    """Raise PlanMismatch when two servers speak of different tables."""
    if first != second:
        raise PlanMismatch(peer, "serves another table than its twin")
