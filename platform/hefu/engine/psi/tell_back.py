"""The party that learned the common items tells them to the other one: 16 bytes each, in random order.

The other holds every one of them itself, so it learns which of its items are common, and nothing else: neither order nor
position comes from a table that depends on the teller's other items. It believes the teller (semi-honest).
"""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.channel import Channel
from hefu.engine.errors import FrameInvalid
from hefu.engine.permutation import permutation
from hefu.engine.psi.items import Items
from hefu.engine.psi.lookup import Table
from hefu.engine.session import Session


def tell_common(session: Session, channel: Channel, common: Items, *, operation: int) -> None:
    """Send the common items (k, 2): two frames, their number and they themselves."""
    order = permutation(session.private_prg(operation, "psi common order"), len(common))
    channel.send(len(common).to_bytes(8, "little"))
    channel.send(np.ascontiguousarray(common[order]))


def hear_common(
    session: Session, channel: Channel, items: Items, peer_items: int, *, operation: int
) -> NDArray[np.bool_]:
    """Which of our distinct items (n, 2) the peer names; raises FrameInvalid for one that we don't have."""
    count = hear_count(channel, min(len(items), peer_items))
    common = np.empty((count, 2), dtype=np.uint64)
    channel.recv_into(common)
    rows = Table(items).find(common)
    if (rows < 0).any():
        raise FrameInvalid(channel.peer, "names a common item that we don't have")
    found = np.zeros(len(items), dtype=np.bool_)
    found[rows] = True
    return found


def tell_count(channel: Channel, count: int) -> None:
    """Send how many items are common: one frame of 8 bytes."""
    channel.send(count.to_bytes(8, "little"))


def hear_count(channel: Channel, at_most: int) -> int:
    """How many items are common, by the peer's word; raises FrameInvalid for more than there can be."""
    count = int.from_bytes(channel.recv(8), "little")
    if count > at_most:
        raise FrameInvalid(channel.peer, f"names {count} common items, more than there can be")
    return count
