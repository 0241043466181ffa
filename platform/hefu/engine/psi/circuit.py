"""Circuit intersection: both parties end with shares of "common or not", and of the sender's values, and of nothing else.

    R puts its items into bins (cuckoo hashing, one item each), S each of its items into all three of its bins
    for each bin S draws a target s and a mask r; an oblivious programmed PRF hands R, for the item in the bin,
        (s, value + r) when S has it, something random when not       (`rr22`'s PRF, and an OKVS of corrections)
    a comparison on shared bits of what R got with s: shares of the flag        (`circuit_bits`)
    flag times value, by transfers in both directions: shares mod 2^64 of the value, of zero where not common

Who learns what: R how many distinct items S has, S how many R has and which of up to eight bin keys placed R's items.
Which items are common, how many, and their values stay shared; `sum` opens totals only. Semi-honest parties;
assumptions as for `rr22_two_party`. Wrong with probability below 2^-40 in a run of up to 10^7 items.
Cost per item of R (1.27 bins): 590 B for the comparison, 26 B of OKVS; per item of S 62 B of corrections.
Sources: Pinkas, Schneider, Tkachenko, Yanai, "Efficient circuit-based PSI with linear communication", EUROCRYPT 2019;
Rindal, Schoppmann, EUROCRYPT 2021, section 5 (programmed PRF from an OKVS).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hefu.engine.channel import Channel
from hefu.engine.errors import FrameInvalid, InputInvalid
from hefu.engine.prg import KEY_BYTES
from hefu.engine.psi import rr22
from hefu.engine.psi.circuit_bits import Bits, Numbers, equal
from hefu.engine.psi.circuit_supply import Supply, supply_of
from hefu.engine.psi.cuckoo import HASHES, Bins, place, region_bins
from hefu.engine.psi.items import Items, distinct
from hefu.engine.psi.okvs_hash import BlockHash
from hefu.engine.psi.okvs_hint import hear_corrections, tell_corrections
from hefu.engine.psi.okvs_shared import SharedHashes
from hefu.engine.psi.outcome import agree
from hefu.engine.session import Session

ATTEMPTS = 8
MAX_ITEMS = 12_000_000
"""A side: with more, 64 bits of a target are too few, and a peer's claim would cost too much memory."""
BATCH_BINS = 1 << 13


@dataclass(frozen=True, slots=True)
class Shares:
    """One party's end. Entries are bins; the two parties' shares add up.

    flags       (bins,) 0 or 1: xor with the peer's: whether the bin's item is common
    values      (bins,) uint64: plus the peer's, mod 2^64: the sender's value of a common item, 0 else; None without values
    common      uint64: plus the peer's, mod 2^64: how many items are common
    rows        (n,) for each row of the receiver's input its bin; None at the sender
    peer_items  distinct items of the peer's
    """

    flags: Bits
    values: Numbers | None
    common: np.uint64
    rows: NDArray[np.int64] | None
    peer_items: int


def receive(
    session: Session,
    channel: Channel,
    items: Items,
    *,
    operation: int,
    values: bool = False,
    dealer: Channel | None = None,
) -> Shares:
    """R's side.

    items   (n, 2) uint64, hashed under a key shared with the sender; repeated rows share a bin
    values  whether the sender brings a value per item; both must say the same
    dealer  the channel to a node that deals (`circuit_dealt.deal`); both must have one, or neither
    raises  PlanMismatch, ChannelError; InputInvalid when none of eight keys places the items
    """
    mine = distinct(items)
    peer_items = _agree(channel, len(mine.items), _name(values, dealer))
    public = _Public(session, channel.peer, operation, len(mine.items))
    supply = supply_of(session, channel, dealer, operation)
    supply.announce(len(mine.items))
    table = public.place(channel, mine.items, session, operation)
    keys = session.private_prg(operation, "circuit empty bins").words(2 * len(table)).reshape(-1, 2)
    for h in range(HASHES):
        bins = np.arange(h * public.region, (h + 1) * public.region)
        bins = bins[table[bins] >= 0]
        keys[bins] = public.tweaked(mine.items[table[bins]], h)
    vole = supply.vole_receiver(len(keys))
    got = rr22.evaluate_receiver(session, channel, public.oprf, keys, vole, operation=operation)
    hear_corrections(channel, public.hint, keys, HASHES * peer_items, got)
    flags, shares, common = _compare_as_receiver(channel, supply, got, values)
    bin_of = np.empty(len(mine.items), dtype=np.int64)
    bin_of[table[table >= 0]] = np.flatnonzero(table >= 0)
    return Shares(flags, shares, common, bin_of if mine.rows is None else bin_of[mine.rows], peer_items)


def send(
    session: Session,
    channel: Channel,
    items: Items,
    values: Numbers | None = None,
    *,
    operation: int,
    dealer: Channel | None = None,
) -> Shares:
    """S's side.

    items, dealer  as for `receive`
    values  (n,) uint64, one per row; those of repeated rows are added up
    raises  PlanMismatch, ChannelError, InputInvalid
    """
    if values is not None and (values.shape != (len(items),) or values.dtype != np.uint64):
        raise InputInvalid("one uint64 value per row is needed")
    mine = distinct(items)
    n = len(mine.items)
    peer_items = _agree(channel, n, _name(values is not None, dealer))
    public = _Public(session, channel.peer, operation, peer_items)
    supply = supply_of(session, channel, dealer, operation)
    bins = public.hear_bins(channel)
    totals = np.zeros(n, dtype=np.uint64)
    if values is not None:
        np.add.at(totals, np.arange(n, dtype=np.int32) if mine.rows is None else mine.rows, values)
    targets = (
        session.private_prg(operation, "circuit targets").words(2 * HASHES * public.region).reshape(-1, 2)
    )
    keys, wanted = np.empty((HASHES * n, 2), dtype=np.uint64), np.empty((HASHES * n, 2), dtype=np.uint64)
    for h in range(HASHES):
        part = slice(h * n, (h + 1) * n)
        keys[part] = public.tweaked(mine.items, h)
        wanted[part] = targets[h * public.region + bins.of(mine.items, h).astype(np.int64)]
        wanted[part, 1] += totals
    vole = supply.vole_sender(len(targets))
    wanted ^= rr22.evaluate_sender(channel, public.oprf, keys, len(targets), vole)
    tell_corrections(session, channel, public.hint, keys, wanted, operation=operation)
    flags, shares, common = _compare_as_sender(channel, supply, targets, values is not None)
    return Shares(flags, shares, common, None, peer_items)


def _compare_as_receiver(
    channel: Channel, supply: Supply, got: NDArray[np.uint64], values: bool
) -> tuple[Bits, Numbers | None, np.uint64]:
    chooser, offerer = supply.chooser(), supply.offerer(back=True) if values else None
    width = target_bits(len(got))
    flags = np.empty(len(got), dtype=np.uint8)
    shares = np.empty(len(got) if values else 0, dtype=np.uint64)
    common = np.zeros(1, dtype=np.uint64)
    for part in batches(len(got)):
        flag = flags[part] = equal(channel, chooser, np.ascontiguousarray(got[part, 0]), width)
        common += _sum(flag - np.uint64(2) * chooser.multiply(flag))
        if offerer is not None:
            number = np.ascontiguousarray(got[part, 1])
            theirs = chooser.multiply(flag)
            shares[part] = theirs + flag * number + offerer.multiply(_signed(flag, number))
    return flags, shares if values else None, common[0]


def _compare_as_sender(
    channel: Channel, supply: Supply, targets: NDArray[np.uint64], values: bool
) -> tuple[Bits, Numbers | None, np.uint64]:
    offerer, chooser = supply.offerer(), supply.chooser(back=True) if values else None
    width = target_bits(len(targets))
    flags = np.empty(len(targets), dtype=np.uint8)
    shares = np.empty(len(targets) if values else 0, dtype=np.uint64)
    common = np.zeros(1, dtype=np.uint64)
    for part in batches(len(targets)):
        flag = flags[part] = equal(channel, offerer, np.ascontiguousarray(targets[part, 0]), width)
        common += _sum(flag - np.uint64(2) * offerer.multiply(flag.astype(np.uint64)))
        if chooser is not None:
            number = np.uint64(0) - targets[part, 1]
            ours = offerer.multiply(_signed(flag, number))
            shares[part] = ours + flag * number + chooser.multiply(flag)
    return flags, shares if values else None, common[0]


def target_bits(bins: int) -> int:
    """How many bits of a target are compared: one is met by chance in the whole run with probability 2^-40."""
    return min(64, 40 + bins.bit_length())


def _signed(flag: Bits, number: Numbers) -> Numbers:
    """(1 - 2 flag) number: what our own flag's xor with the peer's 1 changes about flag * number."""
    return np.where(flag == 1, np.uint64(0) - number, number)


def _sum(numbers: Numbers) -> Numbers:
    """Mod 2^64, of shape (1,): arrays wrap without a warning."""
    return np.add.reduce(numbers, keepdims=True)


def batches(count: int) -> Iterator[slice]:
    """The bins, BATCH_BINS at a time."""
    return (slice(start, min(start + BATCH_BINS, count)) for start in range(0, count, BATCH_BINS))


class _Public:
    """The functions of one run that both know, under keys from their session."""

    def __init__(self, session: Session, peer: str, operation: int, receiver_items: int) -> None:
        self.region = region_bins(receiver_items)
        self.oprf = SharedHashes(session, peer, operation, "circuit prf")
        self.hint = SharedHashes(session, peer, operation, "circuit corrections")
        self._tweaks = [
            BlockHash(session.key(peer, operation, f"circuit hash {h}", KEY_BYTES)) for h in range(HASHES)
        ]
        keys = (session.key(peer, operation, f"circuit bins {k}", KEY_BYTES) for k in range(ATTEMPTS))
        self._bins = [Bins(key, self.region) for key in keys]

    def tweaked(self, items: Items, which: int) -> Items:
        """An item in its bin by hash `which` is a key of its own."""
        return self._tweaks[which](items)

    def place(self, channel: Channel, items: Items, session: Session, operation: int) -> NDArray[np.int32]:
        """The receiver's table; tells the peer which key did."""
        walk = session.private_prg(operation, "circuit walk")
        for attempt, bins in enumerate(self._bins):
            table = place(items, bins, walk.words(1)[0])
            if table is not None:
                channel.send(bytes([attempt]))
                return table
        raise InputInvalid(f"none of {ATTEMPTS} keys places {len(items)} items")

    def hear_bins(self, channel: Channel) -> Bins:
        """The bins of the key that the receiver chose; raises FrameInvalid."""
        (attempt,) = channel.recv(1) or b"\xff"
        if attempt >= ATTEMPTS:
            raise FrameInvalid(channel.peer, f"the bins' key {attempt} is none of {ATTEMPTS}")
        return self._bins[attempt]


def _agree(channel: Channel, items: int, name: str) -> int:
    if items > MAX_ITEMS:
        raise InputInvalid(f"{items} distinct items: at most {MAX_ITEMS} fit one circuit")
    peer_items = agree(channel, items, name)
    if peer_items > MAX_ITEMS:
        raise FrameInvalid(channel.peer, f"claims {peer_items} items: at most {MAX_ITEMS} fit one circuit")
    return peer_items


def _name(values: bool, dealer: Channel | None) -> str:
    return "circuit 1" + " values" * values + " dealt" * (dealer is not None)
