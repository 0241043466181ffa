"""The two halves of a matching by sorting (design S), and how they are put together.

Either half alone is random words of a size that everybody knows. Together they give, for the rows in the secret order of
their tokens: each row's reference, whether the next row has the same token, and for those whether the values are equal,
or the difference where the parties agreed to reveal it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import HalfInvalid, ResultInvalid
from hefu.engine.halves import MAX_HALF_ROWS, Opened

Word = NDArray[np.uint64]

MAGIC: Final = b"HEFUHLF2"
_HEADER: Final = struct.Struct(">8s32sBB6xQ")


@dataclass(frozen=True, slots=True)
class SortedHalf:
    """What N0 (node 0) or N2 (node 2) gives to the receiver. n rows, m = max(n - 1, 0) neighbours.

    session_id  32 bytes, equal in both halves
    reveal      `differences` are given
    refs        (n,) uint64, additive
    same        (ceil(m / 64),) uint64, xor: bit i says that rows i and i + 1 have the same token
    equal       likewise: the same token and the same value
    differences (m,) uint64, additive: value i minus value i + 1 where the tokens are the same, else 0; empty unless `reveal`
    """

    session_id: bytes
    node: int
    reveal: bool
    refs: Word
    same: Word
    equal: Word
    differences: Word

    def to_bytes(self) -> bytes:
        """Header and little-endian words; `from_bytes` reverses it exactly."""
        header = _HEADER.pack(MAGIC, self.session_id, self.node, self.reveal, len(self.refs))
        arrays = (self.refs, self.same, self.equal, self.differences)
        return b"".join((header, *(np.ascontiguousarray(a, dtype="<u8").tobytes() for a in arrays)))

    @classmethod
    def from_bytes(cls, data: bytes, max_rows: int = MAX_HALF_ROWS) -> SortedHalf:
        """Read a half of at most `max_rows` references; raises HalfInvalid for anything but exactly one half."""
        if len(data) < _HEADER.size:
            raise HalfInvalid("shorter than a header")
        magic, session_id, node, reveal, rows = _HEADER.unpack_from(data)
        if magic != MAGIC or node not in (0, 2) or reveal not in (0, 1) or any(data[42:48]):
            raise HalfInvalid("not a half")
        if rows > max_rows:
            raise HalfInvalid(f"more than {max_rows} references")
        neighbours = max(rows - 1, 0)
        words = -(-neighbours // 64)
        sizes = (rows, words, words, neighbours if reveal else 0)
        if len(data) != _HEADER.size + 8 * sum(sizes):
            raise HalfInvalid("the length contradicts the counts")
        refs, same, equal, differences, _ = np.split(
            np.frombuffer(data, dtype="<u8", offset=_HEADER.size), np.cumsum(sizes)
        )
        return cls(session_id, node, bool(reveal), refs, same, equal, differences)


def open_sorted_halves(half0: SortedHalf, half2: SortedHalf) -> Opened:
    """Put the halves together: runs of equal tokens are singles, pairs or conflicts.

    raises  ResultInvalid unless they are N0's and N2's of one session and size
    """
    if (half0.node, half2.node) != (0, 2):
        raise ResultInvalid("one half of N0 and one of N2 are needed")
    if half0.session_id != half2.session_id:
        raise ResultInvalid("the halves are of different sessions")
    if (half0.reveal, half0.refs.shape, half0.same.shape) != (
        half2.reveal,
        half2.refs.shape,
        half2.same.shape,
    ):
        raise ResultInvalid("the halves are of different sizes")
    refs = half0.refs + half2.refs
    n = len(refs)
    neighbours = max(n - 1, 0)
    same, equal = (
        np.unpackbits((a ^ b).view(np.uint8), count=neighbours, bitorder="little").view(np.bool_)
        for a, b in ((half0.same, half2.same), (half0.equal, half2.equal))
    )
    if np.any(equal & ~same):
        raise ResultInvalid("values are called equal that belong to different tokens")
    starts = np.flatnonzero(np.concatenate((np.ones(min(n, 1), dtype=bool), ~same)))
    lengths = np.diff(np.append(starts, n))
    pairs, singles = starts[lengths == 2], starts[lengths == 1]
    conflicts = np.flatnonzero(np.repeat(lengths > 2, lengths))
    difference = np.zeros(len(pairs), dtype=np.int64)
    if half0.reveal:
        differences = half0.differences + half2.differences
        difference = differences[pairs].view(np.int64)
        if np.any(differences[~same]):
            raise ResultInvalid("a difference is given for different tokens")
    return Opened(
        np.stack((refs[pairs], refs[pairs + 1]), axis=1),
        equal[pairs],
        difference,
        refs[singles],
        refs[conflicts],
    )
