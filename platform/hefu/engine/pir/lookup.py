"""Single-server look-up by key, with payload: is the key there, and what goes with it.

Offline: owner -> asker the table's header, then shape, seed and hint of `single`, over the table's buckets.
Online: with a sealed table one round of OPRF (32 bytes per key each way), then one round per 8 keys of `single`.

The owner learns the number of keys asked (once more when the table is sealed: the same number), nothing of them. The
asker learns the table's dimensions, which bound the number of entries, and each of its keys' payload or absence; and
beyond that, of an open table all payloads in the bucket that it fetched, of a sealed one nothing.
Sources: `single`, `keyed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import FrameInvalid
from hefu.engine.frames import Channel
from hefu.engine.pir import oprf
from hefu.engine.pir.keyed import KeyedTable, TableHeader, build_table, locate, open_buckets
from hefu.engine.pir.keys import Keys
from hefu.engine.pir.lattice import Hint, LatticeDatabase, prepare
from hefu.engine.pir.params import DIMENSION, MAX_COLUMNS, Shape
from hefu.engine.pir.single import (
    DEFAULT_MAX_HINT_BYTES,
    fetch_hint,
    retrieve,
    serve_hint,
    serve_queries,
)
from hefu.engine.pir.table import choose_layout
from hefu.engine.session import Session


@dataclass(frozen=True, slots=True)
class LookupDatabase:
    """What the owner keeps."""

    table: KeyedTable
    lattice: LatticeDatabase


@dataclass(frozen=True, slots=True)
class LookupHint:
    """What the asker keeps."""

    header: TableHeader
    lattice: Hint


def choose_load(entries: int, payload_bytes: int, queries: int) -> int:
    """The mean load of buckets with the least transfer and computation over the life of a version.

    Larger buckets waste less room, and so make the hint cheaper to compute; smaller ones are fewer bytes to fetch. A
    byte that travels is taken for as much as a byte of the table that passes through the hint (at 100 Mbit/s it is).
    """

    def cost(load: int) -> int:
        layout = choose_layout(entries, payload_bytes, load)
        travel = layout.bucket_bytes * 4 * (DIMENSION + queries) + 4 * queries * layout.buckets
        return travel + layout.buckets * layout.bucket_bytes

    least = -(-entries // MAX_COLUMNS)
    loads = [load for load in (1 << k for k in range(16)) if load >= 2 * least]
    return min(loads or [2 * least], key=cost)


def prepare_lookup(
    session: Session,
    keys: Keys | Sequence[bytes],
    payloads: NDArray[np.uint8],
    *,
    sealed: bool = True,
    queries: int = 16,
    operation: int = 0,
) -> LookupDatabase:
    """The owner's preparation, once per version of its list; arguments as in `keyed.build_table`.

    queries  how many are expected of this version: decides the table's shape
    """
    load = choose_load(len(keys), payloads.shape[1] if payloads.ndim == 2 else 0, queries)
    table = build_table(session, keys, payloads, sealed=sealed, mean_load=load, operation=operation)
    layout = table.header.layout
    shape = Shape(layout.buckets, layout.bucket_bytes, 1)
    return LookupDatabase(table, prepare(session, table.rows, shape=shape, operation=operation))


def serve_lookup_hint(session: Session, channel: Channel, database: LookupDatabase) -> None:
    """The owner's offline part."""
    channel.send(database.table.header.to_bytes())
    serve_hint(session, channel, database.lattice)


def fetch_lookup_hint(
    session: Session, channel: Channel, max_bytes: int = DEFAULT_MAX_HINT_BYTES
) -> LookupHint:
    """The asker's offline part; raises FrameInvalid when table and hint don't fit together or `max_bytes`."""
    header = TableHeader.receive(channel)
    hint = fetch_hint(session, channel, max_bytes)
    if (hint.shape.records, hint.shape.record_bytes) != (header.layout.buckets, header.layout.bucket_bytes):
        raise FrameInvalid(channel.peer, "the hint belongs to another table")
    return LookupHint(header, hint)


def serve_lookups(
    session: Session, channel: Channel, database: LookupDatabase, *, max_keys: int = 1 << 16
) -> int:
    """The owner's online part, for one batch; returns how many keys it had."""
    if database.table.oprf_key is not None:
        max_keys = oprf.serve_evaluations(channel, database.table.oprf_key, max_keys)
    return serve_queries(session, channel, database.lattice, max_queries=max_keys)


def look_up(
    session: Session, channel: Channel, hint: LookupHint, keys: Sequence[bytes], *, operation: int = 0
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """The asker's online part: (k,) whether the owner has each key, (k, L) its payload, zeros where not."""
    located = locate(session, hint.header, keys, channel, operation=operation)
    buckets = retrieve(session, channel, hint.lattice, located.buckets, operation=operation)
    return open_buckets(hint.header, located, buckets)
