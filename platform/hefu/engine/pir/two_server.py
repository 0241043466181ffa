"""Two-server PIR: the record at a position, and neither of two servers learns which, unless they collude.

Both servers hold the same records. The asker makes two keys of a distributed point function per position and sends each
server one; each server answers the xor of those records whose bit in its vector is set. The two answers xor to the record.
One round; nothing beforehand.

Each server learns the number of positions asked. The asker learns the number and length of records (from the contract),
and per position one record. Answers carry a mask that the servers share and that cancels between them, so that one answer
alone is uniform; an asker that sends other than point functions gets the xor of some records instead of one (as many bytes).
Semi-honest; a server that answers wrongly makes the record wrong, undetected in `retrieve`, found by the tag in `look_up`
but for 2^-64.
Source: Boyle, Gilboa, Ishai, CCS 2016, section 1 and 3; the shared mask: Gertner, Ishai, Kushilevitz, Malkin, STOC 1998.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import EngineError, FrameInvalid, InputInvalid
from hefu.engine.frames import Channel
from hefu.engine.pir.dpf import DpfKeys, Mmo, depth_for, evaluate_all, generate, key_bytes
from hefu.engine.pir.keyed import KeyedTable, TableHeader, agree, locate, open_buckets
from hefu.engine.pir.scan import as_words, scan
from hefu.engine.pir.single import receive_count, send_count
from hefu.engine.prg import KEY_BYTES
from hefu.engine.session import Session

_LEAVES_AT_ONCE = 1 << 18  # 4 MiB of seeds
_ANSWER_BYTES = 1 << 22
DEFAULT_MAX_BUCKET_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class Replica:
    """What each server holds: records (n, words), padded to whole words."""

    records: NDArray[np.uint64]
    record_bytes: int

    @classmethod
    def of(cls, records: NDArray[np.uint8]) -> Replica:
        """From (n, L) bytes, L >= 1; not copied when L divides by 8."""
        if records.ndim != 2 or records.shape[1] < 1:
            raise InputInvalid("a database has records of at least one byte")
        return cls(as_words(records), records.shape[1])


def serve_positions(
    session: Session,
    asker: Channel,
    other_server: str,
    replica: Replica,
    *,
    operation: int = 0,
    max_queries: int = 1 << 16,
) -> int:
    """One server's part, for one batch; returns how many positions it had. Both servers use the same operation.

    raises  FrameInvalid when the batch is over `max_queries` or keys are malformed
    """
    count = receive_count(asker, max_queries, "queries")
    records = replica.records
    points = len(records)
    frame = np.empty(KEY_BYTES + count * key_bytes(points), dtype=np.uint8)
    asker.recv_into(frame)
    mmo = Mmo(frame[:KEY_BYTES].tobytes())
    data = frame[KEY_BYTES:].reshape(count, key_bytes(points))
    step = _step(points, replica.record_bytes)
    mask = session.prg(other_server, operation, "pir answer mask")
    for start in range(0, count, step):
        try:
            keys = DpfKeys.from_bytes(data[start : start + step], points)
        except EngineError as error:
            raise FrameInvalid(asker.peer, str(error)) from error
        answers = scan(records, evaluate_all(mmo, keys, points))
        hidden = np.empty_like(answers)
        mask.fill(hidden)
        answers ^= hidden
        asker.send(np.ascontiguousarray(answers.view(np.uint8)[:, : replica.record_bytes]))
    return count


def _step(points: int, record_bytes: int) -> int:
    """How many queries are answered in one pass over the records: as both sides know, so that answers come in frames."""
    return max(min(_LEAVES_AT_ONCE >> depth_for(points), _ANSWER_BYTES // record_bytes), 1)


def retrieve(
    session: Session,
    servers: tuple[Channel, Channel],
    records: int,
    record_bytes: int,
    positions: Sequence[int],
    *,
    operation: int = 0,
) -> NDArray[np.uint8]:
    """The asker's part: (k, record_bytes), the records at the positions, in their order.

    records, record_bytes  of the database, as agreed
    raises                 InputInvalid for a position out of range; LabelReused for an operation used before
    """
    wanted = [int(position) for position in positions]
    if any(not 0 <= position < records for position in wanted):
        raise InputInvalid(f"the database has {records} records: positions from 0 to {records - 1}")
    hash_key = session.key(session.party, operation, "dpf hash key", KEY_BYTES)
    coins = session.private_prg(operation, "dpf roots")
    pair = generate(Mmo(hash_key), records, np.array(wanted, dtype=np.uint64), coins)
    for server, keys in zip(servers, pair, strict=True):
        send_count(server, len(wanted))
        server.send(hash_key + keys.to_bytes().tobytes())
    out = np.empty((len(wanted), record_bytes), dtype=np.uint8)
    step = _step(records, record_bytes)
    for start in range(0, len(wanted), step):
        part = out[start : start + step]
        other = np.empty_like(part)
        servers[0].recv_into(part)
        servers[1].recv_into(other)
        part ^= other
    return out


def serve_table(asker: Channel, table: KeyedTable) -> None:
    """One server's offline part of look-ups by key: the table's header.

    Online it runs `serve_positions` on `Replica.of(table.rows)`. The PRF of a sealed table stays with its owner, who runs
    `oprf.serve_evaluations`.
    """
    asker.send(table.header.to_bytes())


def fetch_table(
    servers: tuple[Channel, Channel], max_bucket_bytes: int = DEFAULT_MAX_BUCKET_BYTES
) -> TableHeader:
    """The asker's offline part.

    raises  PlanMismatch when the servers hold different tables, FrameInvalid for buckets over `max_bucket_bytes`
    """
    first, second = (TableHeader.receive(server) for server in servers)
    agree(first, second, servers[1].peer)
    size = first.layout.bucket_bytes
    if size > max_bucket_bytes:
        raise FrameInvalid(servers[0].peer, f"buckets of {size} bytes, over our limit of {max_bucket_bytes}")
    return first


def look_up(
    session: Session,
    servers: tuple[Channel, Channel],
    header: TableHeader,
    keys: Sequence[bytes],
    *,
    prf_channel: Channel | None = None,
    operation: int = 0,
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """The asker's part: (k,) whether each key is there, (k, L) its payload, zeros where not.

    prf_channel  to the owner of a sealed table, who evaluates; it may be one of the servers
    """
    located = locate(session, header, keys, prf_channel, operation=operation)
    layout = header.layout
    buckets = retrieve(
        session, servers, layout.buckets, layout.bucket_bytes, located.buckets, operation=operation
    )
    return open_buckets(header, located, buckets)
