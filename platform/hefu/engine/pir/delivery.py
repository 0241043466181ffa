"""An owner's table on its way to a server that will answer for it. A sealed table travels without the PRF's key."""

import numpy as np

from hefu.engine.errors import FrameInvalid
from hefu.engine.frames import Channel
from hefu.engine.pir.keyed import KeyedTable, TableHeader

DEFAULT_MAX_TABLE_BYTES = 1 << 32
_FRAME_BYTES = 1 << 20


def deliver_table(server: Channel, table: KeyedTable) -> None:
    """The owner's side: header, then the rows in frames of about 1 MiB.

    The server learns the layout; of an open table the payloads, of a sealed one nothing.
    """
    server.send(table.header.to_bytes())
    step = max(_FRAME_BYTES // table.header.layout.bucket_bytes, 1)
    for start in range(0, len(table.rows), step):
        server.send(table.rows[start : start + step])


def receive_table(owner: Channel, max_bytes: int = DEFAULT_MAX_TABLE_BYTES) -> KeyedTable:
    """The server's side; raises FrameInvalid for an impossible table or one over `max_bytes`."""
    header = TableHeader.receive(owner)
    layout = header.layout
    if layout.buckets * layout.bucket_bytes > max_bytes:
        size = layout.buckets * layout.bucket_bytes
        raise FrameInvalid(owner.peer, f"a table of {size} bytes, over our limit of {max_bytes}")
    rows = np.empty((layout.buckets, layout.bucket_bytes), dtype=np.uint8)
    step = max(_FRAME_BYTES // layout.bucket_bytes, 1)
    for start in range(0, layout.buckets, step):
        owner.recv_into(rows[start : start + step])
    return KeyedTable(header, rows)
