"""What an intersection comes to at one party, and what both say before it: sizes and options."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hefu.engine.channel import Channel
from hefu.engine.errors import FrameInvalid, InputInvalid, PlanMismatch
from hefu.engine.psi.items import Distinct
from hefu.engine.psi.lookup import MAX_ROWS

_TAG_BYTES: Final = 24


@dataclass(frozen=True, slots=True)
class Outcome:
    """One party's end of an intersection. Repeated rows count once in the three counts of items.

    rows        (k,) int64, rising: our input's rows whose item both have, repeated rows all of them; None at a party
                that is not told which
    common      how many distinct items both have; None at a party that is not told
    own_rows    rows of our input
    own_items   distinct items of our input: the peer learns this number
    peer_items  distinct items of the peer's
    """

    rows: NDArray[np.int64] | None
    common: int | None
    own_rows: int
    own_items: int
    peer_items: int

    @property
    def repeated_rows(self) -> int:
        """Rows of our input that repeat an earlier one."""
        return self.own_rows - self.own_items

    @classmethod
    def of(cls, mine: Distinct, own_rows: int, peer_items: int, found: NDArray[np.bool_] | None) -> Outcome:
        """From the marks on our distinct items, or none where we aren't told."""
        if found is None:
            return cls(None, None, own_rows, len(mine.items), peer_items)
        return cls(mine.expand(found), int(found.sum()), own_rows, len(mine.items), peer_items)

    def counted(self, common: int) -> Outcome:
        """The same with the number of common items."""
        return replace(self, common=common)


def agree(channel: Channel, count: int, protocol: str) -> int:
    """Exchange numbers of items and the protocol's name with its options; answers the peer's number.

    Either role is written in the name from the receiver's view, so both parties say the same.
    raises  PlanMismatch when the peer runs another protocol or other options; FrameInvalid for an absurd number
    """
    tag = protocol.encode()
    if len(tag) > _TAG_BYTES:
        raise InputInvalid(f"a protocol's name has up to {_TAG_BYTES} bytes")
    mine = count.to_bytes(8, "little") + tag.ljust(_TAG_BYTES, b"\0")
    theirs = np.empty(8 + _TAG_BYTES, dtype=np.uint8)
    channel.exchange(mine, theirs)
    said = theirs.tobytes()
    if said[8:] != mine[8:]:
        raise PlanMismatch(channel.peer, f"runs another intersection, or other options, than {protocol!r}")
    number = int.from_bytes(said[:8], "little")
    if number > MAX_ROWS:
        raise FrameInvalid(channel.peer, f"claims {number} items: at most {MAX_ROWS}")
    return number
