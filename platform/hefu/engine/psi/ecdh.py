"""Private set intersection between two parties by Diffie-Hellman in ristretto255: few bytes, much arithmetic.

    R -> S: a H(x), S -> R: b H(y), each in a random order      32 bytes an item, exchanged piece by piece
    S -> R: the values of b (a H(x)), in R's order              10 bytes or more an item of R
    R: x is common iff the value of b a H(x) is among those of a b H(y)

A value is BLAKE2b-128 of the point, cut to 40 + log2(n_R n_S) bits. H is RFC 9496's map of 64 hashed bytes.

Who learns what: R the common items and how many distinct items S has; S how many distinct items R has. With `both`, S
learns the common items too, from R's word for it. With `cardinality`, S shuffles R's values before it returns them, and
R learns how many items are common but not which (and S too, with `both`).
Semi-honest parties; one-more Diffie-Hellman in ristretto255, H a random oracle. The group's order is prime: no cofactor
to clear, no small subgroups; strings that are no points are refused.
Choose it for small or unequal sets and thin links; for large ones `kkrt` or a VOLE costs a fraction of its CPU.
Sources: Meadows, IEEE S&P 1986; Huberman, Franklin, Hogg, EC 1999; cardinality: De Cristofaro, Gasti, Tsudik, CANS 2012.
"""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.channel import Channel
from hefu.engine.errors import FrameInvalid, InputInvalid
from hefu.engine.group import ristretto
from hefu.engine.ot.robust import RobustHash
from hefu.engine.permutation import permutation
from hefu.engine.psi import values
from hefu.engine.psi.ecdh_hash import ItemHash
from hefu.engine.psi.items import Items, distinct
from hefu.engine.psi.lookup import Table
from hefu.engine.psi.outcome import Outcome, agree
from hefu.engine.psi.tell_back import hear_common, hear_count, tell_common, tell_count
from hefu.engine.session import Session

PIECE_ITEMS = 1 << 12

_POINT = ristretto.POINT_BYTES


def receive(
    session: Session,
    channel: Channel,
    items: Items,
    *,
    operation: int,
    both: bool = False,
    cardinality: bool = False,
) -> Outcome:
    """R's side: the one that learns which of its rows are common, or with `cardinality` how many items.

    items    (n, 2) uint64, hashed under a key shared with the sender (`psi.items`); repeated rows are allowed
    both     tell the sender the result as well; both parties give the same options
    raises   PlanMismatch, ChannelError
    """
    mine = distinct(items)
    peer_items = agree(channel, len(mine.items), _name(both, cardinality))
    found = np.zeros(len(mine.items), dtype=np.bool_)
    if len(found) and peer_items:
        order, theirs = _exchange(session, channel, mine.items, peer_items, operation)
        width = values.value_bytes(len(found), peer_items)
        values.cut(theirs, width)
        found[order] = values.find_each(channel, len(found), width, Table(theirs))
        if both and cardinality:
            tell_count(channel, int(found.sum()))
        elif both:
            tell_common(session, channel, mine.items[found], operation=operation)
    if cardinality:
        return Outcome(None, int(found.sum()), len(items), len(found), peer_items)
    return Outcome.of(mine, len(items), peer_items, found)


def send(
    session: Session,
    channel: Channel,
    items: Items,
    *,
    operation: int,
    both: bool = False,
    cardinality: bool = False,
) -> Outcome:
    """S's side: learns how many items the receiver has, and with `both` the result.

    items, both, cardinality, raises  as for `receive`
    """
    mine = distinct(items)
    peer_items = agree(channel, len(mine.items), _name(both, cardinality))
    if not len(mine.items) or not peer_items:
        none = np.zeros(len(mine.items), dtype=np.bool_)
        outcome = Outcome.of(mine, len(items), peer_items, none if both and not cardinality else None)
        return outcome.counted(0) if both else outcome
    _, theirs = _exchange(session, channel, mine.items, peer_items, operation)
    if cardinality:
        theirs = theirs[permutation(session.private_prg(operation, "ecdh return"), peer_items)]
    octets = theirs.view(np.uint8).reshape(-1, values.VALUE_BYTES)
    values.tell(channel, octets[:, : values.value_bytes(peer_items, len(mine.items))])
    if both and not cardinality:
        found = hear_common(session, channel, mine.items, peer_items, operation=operation)
        return Outcome.of(mine, len(items), peer_items, found)
    outcome = Outcome.of(mine, len(items), peer_items, None)
    return outcome.counted(hear_count(channel, min(len(mine.items), peer_items))) if both else outcome


def _exchange(
    session: Session, channel: Channel, items: Items, peer_items: int, operation: int
) -> tuple[NDArray[np.uint32], NDArray[np.uint64]]:
    """(order in which ours went, (peer_items, 2) values of the peer's points under both secrets, in its order)."""
    to_uniform = ItemHash(session.key(channel.peer, operation, "ecdh items"))
    to_value = RobustHash(session.key(channel.peer, operation, "ecdh values"))
    coins = session.private_prg(operation, "ecdh secret")
    secret = ristretto.random_scalars(coins, 1).tobytes()
    order = permutation(coins, len(items))
    try:
        out = np.empty((peer_items, 2), dtype=np.uint64)
    except MemoryError as error:
        raise FrameInvalid(channel.peer, f"claims {peer_items} items, more than fit in memory") from error
    theirs = np.empty((min(PIECE_ITEMS, peer_items), _POINT), dtype=np.uint8)
    for start in range(0, max(len(items), peer_items), PIECE_ITEMS):
        piece = items[order[start : start + PIECE_ITEMS]]
        masked = ristretto.multiply_uniform(secret, to_uniform(piece))
        room = theirs[: max(0, min(PIECE_ITEMS, peer_items - start))]
        channel.exchange(masked, room)
        try:
            points = ristretto.multiply(secret, room)
        except InputInvalid as error:
            raise FrameInvalid(channel.peer, f"masked items: {error}") from error
        out[start : start + len(room)] = to_value(points.view(np.uint64), np.zeros(len(room), np.uint64))
    return order, out


def _name(both: bool, cardinality: bool) -> str:
    return "ecdh 1" + " both" * both + " count" * cardinality
