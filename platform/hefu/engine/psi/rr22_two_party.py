"""Private set intersection between two parties and nobody else: an OKVS, and silent VOLE.

    R, S: VOLE for the OKVS's columns (`vole_silent`: base transfers, trees, LPN); then as in `rr22`

Who learns what: R the common items and S's count; S R's count. Semi-honest parties; assumptions: computational
Diffie-Hellman in ristretto255 (base transfers), LPN (`vole_silent`), AES as an ideal permutation.
Cost at 2^20 items a side: 34 B per item, see docs/protocols/psi-okvs-two-party.md.
Sources: Rindal, Schoppmann, EUROCRYPT 2021; Raghuraman, Rindal, "Blazing fast PSI from improved OKVS and subfield VOLE",
CCS 2022.
"""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.channel import ChannelSet
from hefu.engine.psi import rr22
from hefu.engine.psi.items import Items, distinct
from hefu.engine.psi.okvs_bins import plan
from hefu.engine.psi.okvs_shared import exchange_counts
from hefu.engine.psi.vole_silent import SilentReceiver, SilentSender
from hefu.engine.session import Session

_OPERATION = 0


def receive(
    session: Session, channels: ChannelSet, *, sender: str, items: Items, operation: int = _OPERATION
) -> NDArray[np.int64]:
    """R: rows of `items` (n, 2) that the sender has too, rising; equal rows are all named. raises ChannelError"""
    mine = distinct(items)
    channel = channels[sender]
    theirs = exchange_counts(channel, len(mine.items))
    vole = SilentReceiver(session, channel, plan(len(mine.items)).size, operation=operation)
    return mine.expand(rr22.receive(session, channel, mine.items, theirs, vole, operation=operation))


def send(
    session: Session, channels: ChannelSet, *, receiver: str, items: Items, operation: int = _OPERATION
) -> int:
    """S: answers how many distinct items the receiver has. raises ChannelError"""
    mine = distinct(items)
    channel = channels[receiver]
    theirs = exchange_counts(channel, len(mine.items))
    vole = SilentSender(session, channel, plan(theirs).size, operation=operation)
    rr22.send(session, channel, mine.items, theirs, vole, operation=operation)
    return theirs
