"""What the receiver of a reconciliation learns from both halves: of each row what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from hefu.components.reconcile_input import Batch, in_order
from hefu.engine import refs
from hefu.engine.errors import ResultInvalid
from hefu.engine.halves import Half, open_halves
from hefu.engine.sorted_halves import MAGIC, SortedHalf, open_sorted_halves


class Status(IntEnum):
    """What became of a row."""

    MATCH = 0
    AMOUNT_MISMATCH = 1
    MISSING_AT_BANK = 2
    MISSING_AT_INSTITUTION = 3
    TOKEN_CONFLICT = 4

    @property
    def label(self) -> str:
        """As files and tables write it: match, amount_mismatch, ..."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class ReconcileResult:
    """What the receiver learns: one line per row that is not in transit, by owner and row. m lines.

    owners           the names that the indices mean
    owner            (m,) int32 index into `owners`; row (m,) int64, 1-based; status (m,) uint8, a Status
    partner_owner    (m,) int32, -1 for none; partner_row (m,) int64, 0 for none; partner_transit (m,) bool
    difference_cents (m,) int64: institution minus bank, for pairs and only where the contract reveals it, else 0
    """

    owners: tuple[str, ...]
    owner: NDArray[np.int32]
    row: NDArray[np.int64]
    status: NDArray[np.uint8]
    partner_owner: NDArray[np.int32]
    partner_row: NDArray[np.int64]
    partner_transit: NDArray[np.bool_]
    difference_cents: NDArray[np.int64]
    difference_revealed: bool

    def counts(self) -> dict[str, dict[str, int]]:
        """owner -> status label -> number of rows."""
        table = {name: dict.fromkeys((s.label for s in Status), 0) for name in self.owners}
        for index, name in enumerate(self.owners):
            numbers = np.bincount(self.status[self.owner == index], minlength=len(Status))
            table[name] = {status.label: int(numbers[status]) for status in Status}
        return table


def read_half(data: bytes) -> Half | SortedHalf:
    """The half in these bytes, of either design; raises HalfInvalid."""
    return SortedHalf.from_bytes(data) if data.startswith(MAGIC) else Half.from_bytes(data)


def open_result(
    half0: Half | SortedHalf, half2: Half | SortedHalf, batches: Sequence[Batch]
) -> ReconcileResult:
    """Put the halves together and say of each row what became of it.

    raises  ResultInvalid when the halves don't belong together, or a reference names an unknown owner, the wrong side,
            a row twice, or not as many rows as the owner announced. Nothing of such a result is to be used: one of N0,
            N2 or an owner broke the protocol; the opened input commitments tell which.
    """
    if isinstance(half0, Half) and isinstance(half2, Half):
        opened = open_halves(half0, half2)
    elif isinstance(half0, SortedHalf) and isinstance(half2, SortedHalf):
        opened = open_sorted_halves(half0, half2)
    else:
        raise ResultInvalid("the halves are of different designs")
    ordered = in_order(batches)
    pairs = opened.pair_refs
    words = np.concatenate((pairs[:, 0], pairs[:, 1], opened.single_refs, opened.conflict_refs))
    ref = refs.unpack(words)
    owner = _owner_of(ref, ordered)
    p, s = len(pairs), len(opened.single_refs)
    bank = ref.second_side
    status = np.full(len(words), Status.TOKEN_CONFLICT, dtype=np.uint8)
    status[2 * p : 2 * p + s] = np.where(
        bank[2 * p : 2 * p + s], Status.MISSING_AT_INSTITUTION, Status.MISSING_AT_BANK
    )
    met = np.where(opened.equal, Status.MATCH, Status.AMOUNT_MISMATCH).astype(np.uint8)
    crossing = bank[:p] != bank[p : 2 * p]  # two rows of one side that met are a conflict
    met[~crossing] = Status.TOKEN_CONFLICT
    status[:p], status[p : 2 * p] = met, met
    partner = np.full(len(words), -1, dtype=np.int64)
    one = np.flatnonzero(crossing)
    partner[one], partner[p + one] = p + one, one
    difference = np.zeros(len(words), dtype=np.int64)
    signed = np.where(bank[:p], -opened.difference, opened.difference)
    difference[one], difference[p + one] = signed[one], signed[one]

    reported = np.flatnonzero(~ref.transit)
    place = (owner[reported] << 40) | ref.row[reported]
    by_place = np.argsort(place)
    place = place[by_place]
    if np.any(place[1:] == place[:-1]):
        raise ResultInvalid("a row is reported twice")
    lines = reported[by_place]
    there = partner[lines]
    has_partner = there >= 0
    return ReconcileResult(
        tuple(b.owner for b in ordered),
        owner[lines].astype(np.int32),
        ref.row[lines],
        status[lines],
        np.where(has_partner, owner[there], -1).astype(np.int32),
        np.where(has_partner, ref.row[there], 0),
        has_partner & ref.transit[there],
        difference[lines],
        half0.reveal,
    )


def _owner_of(ref: refs.Refs, ordered: Sequence[Batch]) -> NDArray[np.int64]:
    numbers = np.array([b.batch for b in ordered], dtype=np.int64)
    if not len(numbers):
        if len(ref.batch):
            raise ResultInvalid("references without any owner")
        return np.zeros(0, dtype=np.int64)
    owner = np.minimum(np.searchsorted(numbers, ref.batch), len(numbers) - 1)
    if np.any(numbers[owner] != ref.batch):
        raise ResultInvalid("a reference names an unknown batch")
    if np.any(np.array([b.side == "bank" for b in ordered])[owner] != ref.second_side):
        raise ResultInvalid("a reference names the wrong side for its owner")
    if not np.array_equal(np.bincount(owner, minlength=len(ordered)), [b.rows for b in ordered]):
        raise ResultInvalid("an owner's references are not as many as its rows")
    return owner.astype(np.int64)
