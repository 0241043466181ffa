"""Private set intersection between two parties and nobody else: an OKVS, and silent VOLE.

    R, S: VOLE for the OKVS's columns (`vole_silent`: base transfers, trees, LPN); then as in `rr22`

Who learns what: R the common items and S's count; S R's count, and with `both` the common items too, from R's word for
it. Semi-honest parties; assumptions: computational
Diffie-Hellman in ristretto255 (base transfers), LPN (`vole_silent`), AES as an ideal permutation.
Cost at 2^20 items a side: 34 B per item, see docs/protocols/psi-okvs-two-party.md.
Sources: Rindal, Schoppmann, EUROCRYPT 2021; Raghuraman, Rindal, "Blazing fast PSI from improved OKVS and subfield VOLE",
CCS 2022.
"""

import numpy as np

from hefu.engine.channel import Channel
from hefu.engine.psi import rr22
from hefu.engine.psi.items import Items, distinct
from hefu.engine.psi.okvs_bins import plan
from hefu.engine.psi.outcome import Outcome, agree
from hefu.engine.psi.tell_back import hear_common, tell_common
from hefu.engine.psi.vole_silent import SilentReceiver, SilentSender
from hefu.engine.session import Session


def receive(
    session: Session, channel: Channel, items: Items, *, operation: int, both: bool = False
) -> Outcome:
    """R's side: the one that learns which of its rows are common.

    items    (n, 2) uint64, hashed under a key shared with the sender (`psi.items`); repeated rows are allowed
    both     tell the sender the result as well; the sender says the same
    raises   PlanMismatch, ChannelError
    """
    mine = distinct(items)
    count = len(mine.items)
    peer_items = agree(channel, count, _name(both))
    found = np.zeros(count, dtype=np.bool_)
    if count and peer_items:
        vole = SilentReceiver(session, channel, plan(count).size, operation=operation)
        found = rr22.receive(session, channel, mine.items, peer_items, vole, operation=operation)
        if both:
            tell_common(session, channel, mine.items[found], operation=operation)
    return Outcome.of(mine, len(items), peer_items, found)


def send(session: Session, channel: Channel, items: Items, *, operation: int, both: bool = False) -> Outcome:
    """S's side: learns how many items the receiver has, and with `both` which of its own rows are common.

    items, both, raises  as for `receive`
    """
    mine = distinct(items)
    peer_items = agree(channel, len(mine.items), _name(both))
    found = np.zeros(len(mine.items), dtype=np.bool_)
    if len(found) and peer_items:
        vole = SilentSender(session, channel, plan(peer_items).size, operation=operation)
        rr22.send(session, channel, mine.items, peer_items, vole, operation=operation)
        if both:
            found = hear_common(session, channel, mine.items, peer_items, operation=operation)
    return Outcome.of(mine, len(items), peer_items, found if both else None)


def _name(both: bool) -> str:
    return "rr22 1 both" if both else "rr22 1"
