"""Private set intersection between two parties by KKRT's oblivious PRF: symmetric cryptography and 512 base transfers.

    R puts its items into bins (cuckoo hashing); item x in bin b by hash h
    R -> S: u[b] = t[b] xor t'[b] xor C(x, h)      by OT extension, batch by batch; S has q[b] = t[b] xor (C(x, h) and s)
    S: F_h(y) = H(b, q[b] xor (C(y, h) and s)) for each of its items y and h = 0, 1, 2, b = y's bin by h
    S -> R: the three lists F_0, F_1, F_2, each shuffled on its own
    R: x is common iff H(b, t[b]) is in list h

Who learns what: R the common items and how many distinct items S has; S how many distinct items R has and, when R's
first keys for the bins did not do, their number. With `both`, S learns the common items too, from R's word for it.
Semi-honest parties; H correlation robust, C pseudo-random, base transfers under Diffie-Hellman. A dishonest R can learn
bits of s with rows that are no code's: use this between parties that follow the protocol.
Values compared have 40 + log2(n_R n_S) bits. Cost: 64 B x 1.27 per item of R, 3 x 10 B per item of S.
Source: Kolesnikov, Kumaresan, Rosulek, Trieu, "Efficient batched oblivious PRF with applications to private set
intersection", CCS 2016, sections 4 and 5.
"""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.channel import Channel
from hefu.engine.errors import FrameInvalid, InputInvalid
from hefu.engine.ot.extension import ExtensionReceiver, ExtensionSender, batches
from hefu.engine.ot.robust import RobustHash
from hefu.engine.permutation import permutation
from hefu.engine.prg import KEY_BYTES, Prg
from hefu.engine.psi import values
from hefu.engine.psi.cuckoo import HASHES, Bins, place, region_bins
from hefu.engine.psi.items import Items, distinct
from hefu.engine.psi.kkrt_code import CODE_WORDS, Code, by_batch, sender_values
from hefu.engine.psi.lookup import Table
from hefu.engine.psi.outcome import Outcome, agree
from hefu.engine.psi.tell_back import hear_common, tell_common
from hefu.engine.session import Session

BATCH_BINS = 1 << 15
ATTEMPTS = 8

_CHUNK_ITEMS = 1 << 13


def receive(
    session: Session, channel: Channel, items: Items, *, operation: int, both: bool = False
) -> Outcome:
    """R's side: the one that learns which of its rows are common.

    items    (n, 2) uint64, hashed under a key shared with the sender (`psi.items`); repeated rows are allowed
    both     tell the sender the result as well; the sender says the same
    raises   PlanMismatch, ChannelError; InputInvalid when none of eight keys places the items
    """
    mine = distinct(items)
    peer_items = agree(channel, len(mine.items), _name(both))
    found = np.zeros(len(mine.items), dtype=np.bool_)
    if len(found) and peer_items:
        _receive(session, channel, mine.items, peer_items, operation, found)
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
        _send(session, channel, mine.items, peer_items, operation)
        if both:
            found = hear_common(session, channel, mine.items, peer_items, operation=operation)
    return Outcome.of(mine, len(items), peer_items, found if both else None)


def _receive(
    session: Session,
    channel: Channel,
    items: Items,
    peer_items: int,
    operation: int,
    found: NDArray[np.bool_],
) -> None:
    public = _Public(session, channel.peer, operation, region_bins(len(items)))
    table = public.place(channel, items, session.private_prg(operation, "kkrt walk"))
    extension = ExtensionReceiver(session, channel, CODE_WORDS, operation=operation)
    width = values.value_bytes(len(items), peer_items)
    masked = np.empty((len(items), 2), dtype=np.uint64)
    entries, ends = np.empty(len(items), dtype=np.int32), [0]
    for h in range(HASHES):
        offset, end = h * public.region, ends[-1]
        for start, stop in batches(public.region, BATCH_BINS):
            chosen = table[offset + start : offset + stop]
            t = extension.rows(public.code(items, chosen, h))
            numbers = np.arange(offset + start, offset + stop, dtype=np.uint64)
            used = chosen >= 0
            kept = chosen[used]
            masked[end : end + len(kept)] = public.hash(t, numbers)[used]
            entries[end : end + len(kept)] = kept
            end += len(kept)
        ends.append(end)
    values.cut(masked, width)
    for h in range(HASHES):
        part = slice(ends[h], ends[h + 1])
        hits = values.find(channel, peer_items, width, Table(masked[part]))
        found[entries[part][hits]] = True


def _send(session: Session, channel: Channel, items: Items, peer_items: int, operation: int) -> None:
    public = _Public(session, channel.peer, operation, region_bins(peer_items))
    bins = public.hear_bins(channel)
    coins = session.private_prg(operation, "kkrt shuffles")
    extension = ExtensionSender(session, channel, CODE_WORDS, operation=operation)
    lists = np.empty((HASHES, len(items), values.value_bytes(peer_items, len(items))), dtype=np.uint8)
    chosen = np.empty(len(items), dtype=np.int32)
    starts = np.empty(-(-public.region // BATCH_BINS) + 1, dtype=np.int64)
    for h in range(HASHES):
        where, order = bins.of(items, h), permutation(coins, len(items))
        by_batch(where, BATCH_BINS, starts, chosen)
        for batch, (start, stop) in enumerate(batches(public.region, BATCH_BINS)):
            q = extension.rows(stop - start)
            for low, high in batches(int(starts[batch + 1] - starts[batch]), _CHUNK_ITEMS):
                part = chosen[starts[batch] + low : starts[batch] + high]
                codes = public.code(items, part, h)
                sender_values(
                    q,
                    start,
                    codes,
                    extension.secret,
                    part,
                    where,
                    h * public.region,
                    public.hash.state,
                    order,
                    lists[h],
                )
    for told in lists:
        values.tell(channel, told)


class _Public:
    """The functions of one run that both parties know, under keys from their session."""

    def __init__(self, session: Session, peer: str, operation: int, region: int) -> None:
        self.region = region
        self.code = Code(session.key(peer, operation, "kkrt code", KEY_BYTES))
        self.hash = RobustHash(session.key(peer, operation, "kkrt hash"))
        keys = (session.key(peer, operation, f"kkrt bins {k}", KEY_BYTES) for k in range(ATTEMPTS))
        self._bins = [Bins(key, region) for key in keys]

    def place(self, channel: Channel, items: Items, walk: Prg) -> NDArray[np.int32]:
        """The receiver's table; tells the peer which key did."""
        for attempt, bins in enumerate(self._bins):
            table = place(items, bins, walk.words(1)[0])
            if table is not None:
                channel.send(bytes([attempt]))
                return table
        raise InputInvalid(f"none of {ATTEMPTS} keys places {len(items)} items")

    def hear_bins(self, channel: Channel) -> Bins:
        """The bins of the key that the receiver chose."""
        (attempt,) = channel.recv(1) or b"\xff"
        if attempt >= ATTEMPTS:
            raise FrameInvalid(channel.peer, f"the bins' key {attempt} is none of {ATTEMPTS}")
        return self._bins[attempt]


def _name(both: bool) -> str:
    return "kkrt 1 both" if both else "kkrt 1"
