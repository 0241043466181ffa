"""The two halves of a matching's result, and how they are put together.

Either half alone is random words (references are additive shares) and counts. Together they give references, and for
each pair whether the values are equal, or the difference where the parties agreed to reveal it.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import HalfInvalid, ResultInvalid

Word = NDArray[np.uint64]

_HEADER: Final = struct.Struct(">8s32s32sBB6xQQQ")
_MAGIC: Final = b"HEFUHLF1"
MAX_HALF_ROWS: Final = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Half:
    """What N0 (node 0) or N2 (node 2) gives to the receiver. p pairs, s singles, c conflicts.

    session_id, join_digest  32 bytes each, equal in both halves; the digest is keyed and says nothing to the receiver
    reveal                   `pair_values` are shares of differences, not equality messages
    pair_refs (p, 2), pair_values (p,), single_refs (s,), conflict_refs (c,)   uint64
    """

    session_id: bytes
    join_digest: bytes
    node: int
    reveal: bool
    pair_refs: Word
    pair_values: Word
    single_refs: Word
    conflict_refs: Word

    def to_bytes(self) -> bytes:
        """Header and little-endian words; `from_bytes` reverses it exactly."""
        counts = (len(self.pair_refs), len(self.single_refs), len(self.conflict_refs))
        header = _HEADER.pack(_MAGIC, self.session_id, self.join_digest, self.node, self.reveal, *counts)
        arrays = (self.pair_refs, self.pair_values, self.single_refs, self.conflict_refs)
        return b"".join((header, *(np.ascontiguousarray(a, dtype="<u8").tobytes() for a in arrays)))

    @classmethod
    def from_bytes(cls, data: bytes, max_rows: int = MAX_HALF_ROWS) -> Half:
        """Read a half of at most `max_rows` references; raises HalfInvalid for anything but exactly one half."""
        if len(data) < _HEADER.size:
            raise HalfInvalid("shorter than a header")
        magic, session_id, join_digest, node, reveal, pairs, singles, conflicts = _HEADER.unpack_from(data)
        if magic != _MAGIC or node not in (0, 2) or reveal not in (0, 1) or any(data[74:80]):
            raise HalfInvalid("not a half")
        if 2 * pairs + singles + conflicts > max_rows:
            raise HalfInvalid(f"more than {max_rows} references")
        if len(data) != _HEADER.size + 8 * (3 * pairs + singles + conflicts):
            raise HalfInvalid("the length contradicts the counts")
        words = np.frombuffer(data, dtype="<u8", offset=_HEADER.size)
        ends = np.cumsum([2 * pairs, pairs, singles])
        pair_refs, pair_values, single_refs, conflict_refs = np.split(words, ends)
        return cls(
            session_id,
            join_digest,
            node,
            bool(reveal),
            pair_refs.reshape(pairs, 2),
            pair_values,
            single_refs,
            conflict_refs,
        )


class Opened(NamedTuple):
    """Both halves together; `equal` (p,), `difference` (p,) int64 of the first minus the second, zeros if not revealed."""

    pair_refs: Word
    equal: NDArray[np.bool_]
    difference: NDArray[np.int64]
    single_refs: Word
    conflict_refs: Word


def open_halves(half0: Half, half2: Half) -> Opened:
    """Put the halves together; raises ResultInvalid unless they are N0's and N2's of one join in one session."""
    if (half0.node, half2.node) != (0, 2):
        raise ResultInvalid("one half of N0 and one of N2 are needed")
    if half0.session_id != half2.session_id:
        raise ResultInvalid("the halves are of different sessions")
    shapes = [
        (h.reveal, h.pair_refs.shape, h.pair_values.shape, h.single_refs.shape, h.conflict_refs.shape)
        for h in (half0, half2)
    ]
    if shapes[0] != shapes[1] or not hmac.compare_digest(half0.join_digest, half2.join_digest):
        raise ResultInvalid("the halves describe different joins")
    pairs = half0.pair_refs.shape[0]
    if half0.pair_refs.shape != (pairs, 2) or half0.pair_values.shape != (pairs,):
        raise ResultInvalid("references and values differ in number")
    difference = np.zeros(pairs, dtype=np.int64)
    if half0.reveal:
        difference = (half0.pair_values - half2.pair_values).view(np.int64)
    return Opened(
        half0.pair_refs + half2.pair_refs,
        half0.pair_values == half2.pair_values,
        difference,
        half0.single_refs + half2.single_refs,
        half0.conflict_refs + half2.conflict_refs,
    )
