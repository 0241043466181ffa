"""Private set intersection with a helping node: an OKVS, and VOLE from a dealer that holds no data.

    D: Delta from a stream that D shares with S; A and C from streams that D shares with R; D -> S: B = C + Delta A
    R, S: as in `rr22`

Who learns what: R the common items and S's count; S R's count; D R's count. D alone, or D with nobody else, learns
nothing of either set. D together with R or with S can test guesses of the other's items: choose a node that colludes
with neither. (D sees no message that depends on an item: items are hashed under a key that D does not have.)
Semi-honest parties. Cost per item: 20.8 B R -> S, 20.8 B D -> S, 10 B S -> R at 2^20.
Source: Rindal, Schoppmann, "VOLE-PSI", EUROCRYPT 2021, section 4; the trusted dealer takes the place of its VOLE.
"""

import numpy as np

from hefu.engine.channel import Channel, ChannelSet
from hefu.engine.field import add_scaled
from hefu.engine.field.gf128 import Elements
from hefu.engine.prg import Prg
from hefu.engine.psi import rr22
from hefu.engine.psi.items import Items, distinct
from hefu.engine.psi.okvs_bins import plan
from hefu.engine.psi.okvs_shared import checked_count
from hefu.engine.psi.outcome import Outcome, agree
from hefu.engine.psi.tell_back import hear_common, tell_common
from hefu.engine.session import Session


class DealtReceiver:
    """R's side of the dealt VOLE: A and C from the two streams."""

    def __init__(self, a: Prg, c: Prg) -> None:
        self._a, self._c = a, c

    def take(self, count: int) -> tuple[Elements, Elements]:
        """The next entries of A and C."""
        return self._a.words(2 * count).reshape(-1, 2), self._c.words(2 * count).reshape(-1, 2)


class DealtSender:
    """S's side: B arrives from the dealer."""

    def __init__(self, delta: Prg, dealer: Channel) -> None:
        self.delta: Elements = delta.words(2)
        self._dealer = dealer

    def take(self, count: int) -> Elements:
        """The next entries of B: one message of the dealer."""
        b = np.empty((count, 2), dtype=np.uint64)
        self._dealer.recv_into(b)
        return b


def receive(
    session: Session,
    channels: ChannelSet,
    items: Items,
    *,
    sender: str,
    dealer: str,
    operation: int,
    both: bool = False,
) -> Outcome:
    """R's side: the one that learns which of its rows are common.

    items    (n, 2) uint64, hashed under a key shared with the sender alone (`psi.items`); repeated rows are allowed
    both     tell the sender the result as well; the sender says the same
    raises   PlanMismatch, ChannelError
    """
    mine = distinct(items)
    channel = channels[sender]
    peer_items = agree(channel, len(mine.items), _name(both))
    channels[dealer].send(np.array([len(mine.items)], dtype=np.uint64))
    vole = vole_receiver(session, dealer, operation)
    found = rr22.receive(session, channel, mine.items, peer_items, vole, operation=operation)
    if both:
        tell_common(session, channel, mine.items[found], operation=operation)
    return Outcome.of(mine, len(items), peer_items, found)


def send(
    session: Session,
    channels: ChannelSet,
    items: Items,
    *,
    receiver: str,
    dealer: str,
    operation: int,
    both: bool = False,
) -> Outcome:
    """S's side: learns how many items the receiver has, and with `both` which of its own rows are common.

    items, both, raises  as for `receive`
    """
    mine = distinct(items)
    channel = channels[receiver]
    peer_items = agree(channel, len(mine.items), _name(both))
    vole = DealtSender(session.prg(dealer, operation, "psi vole delta"), channels[dealer])
    rr22.send(session, channel, mine.items, peer_items, vole, operation=operation)
    found = None
    if both:
        found = hear_common(session, channel, mine.items, peer_items, operation=operation)
    return Outcome.of(mine, len(items), peer_items, found)


def deal(session: Session, channels: ChannelSet, *, receiver: str, sender: str, operation: int) -> int:
    """D: answers how many distinct items the receiver has. raises ChannelError"""
    said = np.empty(1, dtype=np.uint64)
    channels[receiver].recv_into(said)
    count = checked_count(channels[receiver], said)
    deal_vole(session, channels, count, receiver=receiver, sender=sender, operation=operation)
    return count


def deal_vole(
    session: Session, channels: ChannelSet, keys: int, *, receiver: str, sender: str, operation: int
) -> None:
    """D's part of the VOLE for an OKVS of so many keys."""
    shape = plan(keys)
    vole = vole_receiver(session, receiver, operation)
    delta = session.prg(sender, operation, "psi vole delta").words(2)
    for _ in range(shape.bins):
        a, b = vole.take(shape.columns)
        add_scaled(b, a, delta)
        channels[sender].send(b)


def vole_receiver(session: Session, peer: str, operation: int) -> DealtReceiver:
    """A and C as the receiver has them (its peer is the dealer), and the dealer (its peer is the receiver)."""
    return DealtReceiver(
        session.prg(peer, operation, "psi vole a"), session.prg(peer, operation, "psi vole c")
    )


def _name(both: bool) -> str:
    return "dealt 1 both" if both else "dealt 1"
