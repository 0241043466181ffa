"""How many items two parties have in common, and the sum of the sender's values over them, and nothing else.

`circuit` leaves both parties with shares; the sender adds its own up and sends the totals.
Who learns what: R the number of common items and, where values were brought, their sum mod 2^64; S nothing of it.
Both learn the other's number of distinct items. Neither learns which items are common. Who may ask again with other
items learns differences: bound the number of runs where that matters. Semi-honest parties.
Source: as `circuit`; the task is Google's "Private Join and Compute" (Ion et al., EuroS&P 2020), there by Paillier.
"""

from dataclasses import dataclass

import numpy as np

from hefu.engine.channel import Channel
from hefu.engine.psi import circuit
from hefu.engine.psi.circuit_bits import Numbers
from hefu.engine.psi.items import Items
from hefu.engine.session import Session


@dataclass(frozen=True, slots=True)
class Totals:
    """What the receiver learns.

    common      number of distinct common items
    sum         of the sender's values over them, as a signed 64-bit number; None without values
    peer_items  distinct items of the sender's
    """

    common: int
    sum: int | None
    peer_items: int


def receive(
    session: Session,
    channel: Channel,
    items: Items,
    *,
    operation: int,
    values: bool = False,
    dealer: Channel | None = None,
) -> Totals:
    """R's side; arguments and errors as for `circuit.receive`."""
    shares = circuit.receive(session, channel, items, operation=operation, values=values, dealer=dealer)
    theirs = np.empty(2, dtype=np.uint64)
    channel.recv_into(theirs)
    common, total = (theirs + _own(shares)).view(np.int64).tolist()
    return Totals(common, total if values else None, shares.peer_items)


def send(
    session: Session,
    channel: Channel,
    items: Items,
    values: Numbers | None = None,
    *,
    operation: int,
    dealer: Channel | None = None,
) -> int:
    """S's side; arguments and errors as for `circuit.send`. Answers how many distinct items the receiver has."""
    shares = circuit.send(session, channel, items, values, operation=operation, dealer=dealer)
    channel.send(_own(shares))
    return shares.peer_items


def _own(shares: circuit.Shares) -> Numbers:
    """Our shares of (number, sum)."""
    total = np.uint64(0) if shares.values is None else np.add.reduce(shares.values)
    return np.array([shares.common, total], dtype=np.uint64)
