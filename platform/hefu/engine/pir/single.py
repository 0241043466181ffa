"""Single-server PIR over a channel: the record at a position, and the owner does not learn which.

Offline, once per version of the database: owner -> asker the shape, A's seed and the hint.
Online, one round per group of up to 8 queries: asker -> owner the queries, owner -> asker the answers.

The owner learns how many queries there are, nothing of the positions (LWE, see `lattice`). The asker learns the number
and length of records and, for each query, may learn all records of one column; `retrieve` returns its own only.
Source: Henzinger et al., USENIX Security 2023, section 4.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import EngineError, FrameInvalid, InputInvalid
from hefu.engine.frames import Channel
from hefu.engine.pir.lattice import (
    SEED_BYTES,
    Hint,
    LatticeDatabase,
    QuerySecret,
    decode,
    encrypt,
    respond,
)
from hefu.engine.pir.params import DIMENSION, Shape
from hefu.engine.session import Session

GROUP = 8
DEFAULT_MAX_HINT_BYTES = 1 << 30
_HEADER = struct.Struct(f"<QQQ{SEED_BYTES}s")
_COUNT = struct.Struct("<Q")
_HINT_ROWS = 256  # 1 MiB per frame


def serve_hint(session: Session, channel: Channel, database: LatticeDatabase) -> None:
    """The owner's offline part."""
    shape = database.shape
    channel.send(_HEADER.pack(shape.records, shape.record_bytes, shape.per_column, database.seed))
    for start in range(0, shape.rows, _HINT_ROWS):
        channel.send(database.hint[start : start + _HINT_ROWS])


def fetch_hint(session: Session, channel: Channel, max_bytes: int = DEFAULT_MAX_HINT_BYTES) -> Hint:
    """The asker's offline part.

    raises  FrameInvalid when the owner announces an impossible database, or a hint over `max_bytes`
    """
    header = channel.recv(_HEADER.size)
    if len(header) != _HEADER.size:
        raise FrameInvalid(channel.peer, "the header of a database has another length")
    records, record_bytes, per_column, seed = _HEADER.unpack(header)
    try:
        shape = Shape(records, record_bytes, per_column)
    except EngineError as error:
        raise FrameInvalid(channel.peer, f"an impossible database: {error}") from error
    if shape.hint_bytes > max_bytes:
        raise FrameInvalid(
            channel.peer,
            f"a hint of {shape.hint_bytes} bytes, over our limit of {max_bytes}: raise max_bytes",
        )
    matrix = np.empty((shape.rows, DIMENSION), dtype=np.uint32)
    for start in range(0, shape.rows, _HINT_ROWS):
        channel.recv_into(matrix[start : start + _HINT_ROWS])
    return Hint(shape, seed, matrix)


def receive_count(channel: Channel, limit: int, what: str) -> int:
    """The size of the asker's batch; raises FrameInvalid over the limit."""
    frame = channel.recv(_COUNT.size)
    if len(frame) != _COUNT.size:
        raise FrameInvalid(channel.peer, f"the number of {what} has another length")
    (count,) = _COUNT.unpack(frame)
    if count > limit:
        raise FrameInvalid(channel.peer, f"{count} {what} at once, over our limit of {limit}")
    return int(count)


def send_count(channel: Channel, count: int) -> None:
    """What `receive_count` reads."""
    channel.send(_COUNT.pack(count))


def serve_queries(
    session: Session, channel: Channel, database: LatticeDatabase, *, max_queries: int = 1 << 16
) -> int:
    """The owner's online part, for one batch; returns how many queries it had.

    raises  FrameInvalid when the batch is over `max_queries` or a query has another length
    """
    count = receive_count(channel, max_queries, "queries")
    for start in range(0, count, GROUP):
        queries = np.empty((min(GROUP, count - start), database.shape.columns), dtype=np.uint32)
        channel.recv_into(queries)
        channel.send(respond(database, queries))
    return count


def retrieve(
    session: Session, channel: Channel, hint: Hint, positions: Sequence[int], *, operation: int = 0
) -> NDArray[np.uint8]:
    """The asker's online part: (k, record_bytes), the records at the positions, in their order.

    operation  new for each call within a session: it labels the secrets
    raises     InputInvalid for a position out of range; LabelReused for an operation used before
    """
    shape = hint.shape
    wanted = [int(position) for position in positions]
    if any(not 0 <= position < shape.records for position in wanted):
        raise InputInvalid(
            f"the database has {shape.records} records: positions from 0 to {shape.records - 1}"
        )
    out = np.empty((len(wanted), shape.record_bytes), dtype=np.uint8)
    send_count(channel, len(wanted))
    for start in range(0, len(wanted), GROUP):
        group = wanted[start : start + GROUP]
        secrets = [QuerySecret(session, operation, start + k) for k in range(len(group))]
        channel.send(encrypt(hint.seed, shape.columns, [p // shape.per_column for p in group], secrets))
        answers = np.empty((len(group), shape.rows), dtype=np.uint32)
        channel.recv_into(answers)
        first = [p % shape.per_column * shape.record_bytes for p in group]
        out[start : start + len(group)] = decode(hint, answers, secrets, first, shape.record_bytes)
    return out
