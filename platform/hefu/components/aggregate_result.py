"""The two halves of a joint statistic, and the table that they make at its recipient."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import HalfInvalid, ResultInvalid

Words = NDArray[np.uint64]
MAGIC: Final = b"HEFUAGG1"
COLUMNS: Final = 4
MAX_GROUPS: Final = 4095
_HEADER: Final = struct.Struct(">8s32sBxxxI")


@dataclass(frozen=True, slots=True, eq=False)
class GroupHalf:
    """What N0 (node 0) or N2 (node 2) gives to the recipient: (G, 4) additive words (sum, rows, subjects, keep)."""

    session_id: bytes
    node: int
    words: Words

    def to_bytes(self) -> bytes:
        """Header and little-endian words; `from_bytes` reverses it exactly."""
        header = _HEADER.pack(MAGIC, self.session_id, self.node, len(self.words))
        return header + np.ascontiguousarray(self.words, dtype="<u8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> GroupHalf:
        """Read a half; raises HalfInvalid for anything but exactly one."""
        if len(data) < _HEADER.size:
            raise HalfInvalid("shorter than a header")
        magic, session_id, node, groups = _HEADER.unpack_from(data)
        if magic != MAGIC or node not in (0, 2) or any(data[41:44]) or groups > MAX_GROUPS:
            raise HalfInvalid("not a half of a joint statistic")
        if len(data) != _HEADER.size + 8 * COLUMNS * groups:
            raise HalfInvalid("the length contradicts the number of groups")
        words = np.frombuffer(data, dtype="<u8", offset=_HEADER.size).reshape(groups, COLUMNS)
        return cls(session_id, node, words)


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group: its categories; figures are null where it is suppressed or the contract does not release the column."""

    labels: tuple[str, ...]
    suppressed: bool
    sum: int | None
    count: int | None
    subjects: int | None


@dataclass(frozen=True, slots=True)
class GroupTable:
    """The released table: one row per group of the contract's domain, in its order; then the total, where asked for.

    sizes  (rows, distinct subjects) of each group, 0 where it is suppressed: for the recipient's output gate, never shown
    """

    fields: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[GroupRow, ...]
    total: GroupRow | None
    sizes: tuple[tuple[int, int], ...]


def open_groups(
    half0: GroupHalf,
    half2: GroupHalf,
    fields: tuple[str, ...],
    labels: list[tuple[str, ...]],
    columns: tuple[str, ...],
    *,
    totals: bool,
) -> GroupTable:
    """Put the halves together.

    The total stands only where no group is suppressed: else total less shown groups would be the suppressed ones.
    raises  ResultInvalid unless they are N0's and N2's of one session, fit the domain, and suppressed groups are empty
    """
    if (half0.node, half2.node) != (0, 2) or half0.session_id != half2.session_id:
        raise ResultInvalid("one half of N0 and one of N2, of one session, are needed")
    if half0.words.shape != half2.words.shape or len(half0.words) != len(labels):
        raise ResultInvalid(f"the halves do not hold the {len(labels)} groups of the contract")
    values = half0.words + half2.words
    keep = values[:, 3]
    if bool((keep > 1).any()) or bool(values[keep == 0, :3].any()):
        raise ResultInvalid("a suppressed group holds a figure, or a flag is neither 0 nor 1")
    signed = values.view(np.int64)
    if bool((signed[:, 1:3] < 0).any()) or bool((signed[:, 2] > signed[:, 1]).any()):
        raise ResultInvalid("a group has more subjects than rows")

    def row(label: tuple[str, ...], figures: list[int], kept: bool) -> GroupRow:
        shown = [
            v if kept and name in columns else None
            for v, name in zip(figures, ("sum", "count", "subjects"), strict=True)
        ]
        return GroupRow(label, not kept, *shown)

    rows = tuple(
        row(label, line[:3], bool(line[3])) for label, line in zip(labels, signed.tolist(), strict=True)
    )
    total = None
    if totals:
        whole = bool(keep.all())
        figures = [int(signed[:, 0].astype(object).sum()), int(signed[:, 1].sum())] if whole else [0, 0]
        shown = row(("",) * len(fields), [*figures, 0], whole)
        total = GroupRow(
            shown.labels, shown.suppressed, shown.sum, shown.count, None
        )  # people can be in several groups
    sizes = tuple((line[1], line[2]) for line in signed.tolist())
    return GroupTable(fields, columns, rows, total, sizes)
