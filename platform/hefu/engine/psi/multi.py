"""Private set intersection between three or more parties: a leader learns what all have in common.

    every pair of parties shares a key of the session; z_i(x) = xor over the others j of H_(k_ij)(x): the z_i(x) of all
    parties add up to zero
    each member and the leader: an oblivious PRF programmed with x -> z_i(x) for the member's items     (`okvs_hint`)
    the leader adds up what it gets for x from all members and its own z(x): zero iff every member has x

Who learns what: the leader the items that all have and every member's number of distinct items; a member the leader's
number. Members exchange nothing among each other but keys. Of items that only some members have the leader learns
nothing, not even how many: each z_i(x) is random by itself.
Assumption: semi-honest parties, any number of which may put their views together, with this limit: leader and members
in collusion learn which of the leader's items *all the others* have, as if the colluding members had brought all items
("augmented semi-honest" in the source). Two parties: use `rr22_two_party`.
Wrong with probability below n 2^-128. Cost per link: as `rr22_two_party` without its last message, and 20.8 B per item
of the member.
Source: Kolesnikov, Matania, Pinkas, Rosulek, Trieu, "Practical multi-party private set intersection from symmetric-key
techniques", CCS 2017, section 5; its programmed PRF from an OKVS, as in `okvs_hint`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hefu.engine.channel import ChannelSet
from hefu.engine.errors import InputInvalid
from hefu.engine.prg import KEY_BYTES
from hefu.engine.psi import rr22
from hefu.engine.psi.items import Items, distinct
from hefu.engine.psi.okvs_bins import plan
from hefu.engine.psi.okvs_hash import BlockHash
from hefu.engine.psi.okvs_hint import hear_corrections, tell_corrections
from hefu.engine.psi.okvs_shared import SharedHashes
from hefu.engine.psi.outcome import agree
from hefu.engine.psi.vole_silent import SilentReceiver, SilentSender
from hefu.engine.session import Session

KEY_LENGTH = 32
_NAME = "multi 1"
_LINK = 1 << 34  # each link has operation numbers of its own; callers' are below 2^32


@dataclass(frozen=True, slots=True)
class CommonToAll:
    """What the leader learns.

    rows          (k,) int64, rising: rows of its input that all have, repeated rows all of them
    member_items  member -> its number of distinct items
    """

    rows: NDArray[np.int64]
    member_items: dict[str, int]


def share_key(session: Session, channels: ChannelSet, members: Iterable[str], *, operation: int) -> bytes:
    """The leader draws the key under which all hash their items (`psi.items`) and sends it to the members."""
    key = session.key(session.party, operation, "psi group key", KEY_LENGTH)
    for member in sorted(members):
        channels[member].send(key)
    return key


def hear_key(channels: ChannelSet, leader: str) -> bytes:
    """A member receives that key; raises ChannelError."""
    key = np.empty(KEY_LENGTH, dtype=np.uint8)
    channels[leader].recv_into(key)
    return key.tobytes()


def lead(
    session: Session, channels: ChannelSet, items: Items, *, members: Sequence[str], operation: int
) -> CommonToAll:
    """The leader's side.

    items    (n, 2) uint64, hashed under one key that all parties share
    members  all others, at least two
    raises   PlanMismatch, ChannelError, InputInvalid
    """
    _require_members(members, session.party)
    mine = distinct(items)
    counts = {member: agree(channels[member], len(mine.items), _NAME) for member in sorted(members)}
    total = _zero_share(session, mine.items, members, operation)
    for number, member in enumerate(sorted(members)):
        channel, link = channels[member], operation + number * _LINK
        prf = SharedHashes(session, member, link, "multi prf")
        vole = SilentReceiver(session, channel, plan(len(mine.items)).size, operation=link)
        got = rr22.evaluate_receiver(session, channel, prf, mine.items, vole, operation=link)
        hints = SharedHashes(session, member, link, "multi corrections")
        hear_corrections(channel, hints, mine.items, counts[member], got)
        total ^= got
    in_all = ~np.asarray(total.any(axis=1), dtype=np.bool_)
    return CommonToAll(mine.expand(in_all), counts)


def join(
    session: Session,
    channels: ChannelSet,
    items: Items,
    *,
    leader: str,
    members: Sequence[str],
    operation: int,
) -> int:
    """A member's side: answers how many distinct items the leader has.

    items    as for `lead`
    members  the same as the leader's, ourselves included
    raises   PlanMismatch, ChannelError, InputInvalid
    """
    _require_members(members, leader)
    if session.party not in members:
        raise InputInvalid(f"{session.party} is not among the members")
    mine = distinct(items)
    channel, link = channels[leader], operation + sorted(members).index(session.party) * _LINK
    leader_items = agree(channel, len(mine.items), _NAME)
    others = [leader, *(member for member in members if member != session.party)]
    wanted = _zero_share(session, mine.items, others, operation)
    prf = SharedHashes(session, leader, link, "multi prf")
    vole = SilentSender(session, channel, plan(leader_items).size, operation=link)
    wanted ^= rr22.evaluate_sender(channel, prf, mine.items, leader_items, vole)
    hints = SharedHashes(session, leader, link, "multi corrections")
    tell_corrections(session, channel, hints, mine.items, wanted, operation=link)
    return leader_items


def _zero_share(session: Session, items: Items, others: Iterable[str], operation: int) -> NDArray[np.uint64]:
    """z(x) for each item: (n, 2)."""
    total = np.zeros_like(items)
    for peer in others:
        total ^= BlockHash(session.key(peer, operation, "multi zero", KEY_BYTES))(items)
    return total


def _require_members(members: Sequence[str], leader: str) -> None:
    if len(set(members)) != len(members) or leader in members or len(members) < 2:
        raise InputInvalid("a leader and two or more members, each named once, are needed")
