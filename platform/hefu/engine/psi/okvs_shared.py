"""What two parties agree on before an OKVS travels between them: counts, hash keys, row keys."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hefu.engine.channel import Channel
from hefu.engine.errors import FrameInvalid
from hefu.engine.prg import KEY_BYTES, Prg
from hefu.engine.psi.items import Items
from hefu.engine.psi.lookup import MAX_ROWS
from hefu.engine.psi.okvs import OkvsFailed, RowHash, Rows, encode
from hefu.engine.psi.okvs_bins import Binned, Plan
from hefu.engine.psi.okvs_hash import BlockHash
from hefu.engine.session import Session

ATTEMPTS = 4


class SharedHashes:
    """The public functions of one run, under keys that both parties draw from their session.

    item    h: what the OKVS holds for an item
    output  H: what is compared
    """

    def __init__(self, session: Session, peer: str, operation: int, purpose: str = "psi") -> None:
        self.purpose = purpose
        self._rows = [session.key(peer, operation, f"{purpose} rows {t}", 32) for t in range(ATTEMPTS)]
        self._bins = session.key(peer, operation, f"{purpose} bins", KEY_BYTES)
        self.item = BlockHash(session.key(peer, operation, f"{purpose} item hash", KEY_BYTES))
        self.output = BlockHash(session.key(peer, operation, f"{purpose} output hash", KEY_BYTES))

    def rows(self, attempt: int) -> RowHash:
        """The row hash of an attempt."""
        return RowHash(self._rows[attempt])

    def binned(self, items: Items, shape: Plan) -> Binned:
        """The items by bin."""
        return Binned(items, shape.bins, self._bins)


def encode_bin(
    hashes: SharedHashes, keys: Items, values: NDArray[np.uint64], shape: Plan, filler: Prg
) -> tuple[int, Rows, NDArray[np.uint64]]:
    """(attempt, rows, P) under the first row key that works; raises OkvsFailed."""
    for attempt in range(ATTEMPTS):
        rows = hashes.rows(attempt).rows(keys, shape.sparse)
        p = encode(rows, values, shape.sparse, filler)
        if p is not None:
            return attempt, rows, p
    raise OkvsFailed(f"no row key of {ATTEMPTS} fits {len(keys)} keys: are they distinct?")


def received_attempt(channel: Channel, head: NDArray[np.uint64]) -> int:
    """The attempt in a bin's first row; raises FrameInvalid."""
    if int(head[0]) >= ATTEMPTS or head[1] != head[0]:
        raise FrameInvalid(channel.peer, "a bin's row key is none of those agreed on")
    return int(head[0])


def checked_count(channel: Channel, said: NDArray[np.uint64], most: int = MAX_ROWS) -> int:
    """A count that arrived; raises FrameInvalid over `most`."""
    if int(said[0]) > most:
        raise FrameInvalid(channel.peer, f"claims {int(said[0])} items: at most {most}")
    return int(said[0])
