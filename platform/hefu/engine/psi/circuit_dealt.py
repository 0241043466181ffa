"""The dealer of a circuit intersection: a node without data that deals VOLE, multiplication triples, random transfers.

Who learns what: the dealer R's number of distinct items, nothing else; it receives no other message. Together with R or
with S it can open what the two share: choose a node that colludes with neither. Semi-honest parties.
Cost beside the parties' own messages: 26 B of VOLE per item of R, an eighth of a byte per AND, 8 B per product.
Sources: Beaver, "Efficient multiparty protocols using circuit randomization", CRYPTO 1991; `dealer` for the VOLE.
"""

import numpy as np

from hefu.engine.channel import Channel, ChannelSet
from hefu.engine.prg import Prg
from hefu.engine.psi.circuit import MAX_ITEMS, batches, target_bits
from hefu.engine.psi.circuit_bits import conjunction_sizes
from hefu.engine.psi.circuit_supply import random_bits
from hefu.engine.psi.cuckoo import HASHES, region_bins
from hefu.engine.psi.dealer import deal_vole
from hefu.engine.psi.okvs_shared import checked_count
from hefu.engine.session import Session


class Gates:
    """What two ends of gates need of the dealer: each call answers one of theirs."""

    def __init__(self, chooser: Channel, choosing: Prg, offerer: Channel, offering: Prg) -> None:
        self._chooser, self._choosing, self._offerer, self._offering = chooser, choosing, offerer, offering

    def triples(self, count: int) -> None:
        """The offerer's c."""
        a0, b0, c0 = (random_bits(self._choosing, count) for _ in range(3))
        a1, b1 = random_bits(self._offering, count), random_bits(self._offering, count)
        self._offerer.send(np.packbits(c0 ^ ((a0 ^ a1) & (b0 ^ b1))))

    def transfers(self, count: int) -> None:
        """The chooser's words."""
        choices = random_bits(self._choosing, count)
        zero, one = self._offering.words(count), self._offering.words(count)
        self._chooser.send(np.where(choices == 1, one, zero))


def deal(
    session: Session,
    channels: ChannelSet,
    *,
    receiver: str,
    sender: str,
    operation: int,
    values: bool = False,
) -> int:
    """Deal for one `circuit` (or `sum`) run; answers how many distinct items the receiver has. raises ChannelError

    values  whether the sender brings values: the parties say the same
    """
    said = np.empty(1, dtype=np.uint64)
    channels[receiver].recv_into(said)
    count = checked_count(channels[receiver], said, MAX_ITEMS)
    bins = HASHES * region_bins(count)
    deal_vole(session, channels, bins, receiver=receiver, sender=sender, operation=operation)
    forth = _gates(session, channels, receiver, sender, operation, "circuit")
    back = _gates(session, channels, sender, receiver, operation, "circuit back") if values else None
    sizes = conjunction_sizes(target_bits(bins))
    for part in batches(bins):
        size = part.stop - part.start
        for rows in sizes:
            forth.triples(rows * size)
        forth.transfers(size)
        if back is not None:
            forth.transfers(size)
            back.transfers(size)
    return count


def _gates(
    session: Session, channels: ChannelSet, chooser: str, offerer: str, operation: int, purpose: str
) -> Gates:
    choosing = session.prg(chooser, operation, f"{purpose} chooser")
    offering = session.prg(offerer, operation, f"{purpose} offerer")
    return Gates(channels[chooser], choosing, channels[offerer], offering)
