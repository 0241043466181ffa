"""What the owners of a joint statistic put in: rows as five words, their keyed subject tokens, shares and the commitment.

A row is (group, token high, token low, value, 1): the group's number 1..G in the contract's domain, 88 bits of the keyed
hash of the data subject, the value. The third of an owner's promises is the bound of its values: on shares nobody can
check that a sum does not wrap, so the owner refuses before anything leaves.
"""

from __future__ import annotations

import hashlib
import itertools
import secrets
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hefu.components.reconcile_input import SEED_BYTES
from hefu.engine.errors import InputInvalid
from hefu.engine.prg import KEY_BYTES, Prg
from hefu.engine.session import derive_key, encode

Words = NDArray[np.uint64]
WORDS: Final = 5
HIGH_BITS: Final = 47
LOW_BITS: Final = 39
MAX_TOTAL: Final = 1 << 62
_CHUNK_ROWS: Final = 1 << 14


@dataclass(frozen=True, slots=True, eq=False)
class GroupRows:
    """One owner's rows of one business day. n rows.

    group    (n,) int32, 1..G: the number of the row's combination of categories in the contract's domain
    subject  (n,) int32: an index into `names`
    names    the distinct data subjects in canonical form; they never leave the node
    value    (n,) int64, cents or integers; zeros where only rows are counted
    batch    this owner's number in the job
    """

    owner: str
    batch: int
    group: NDArray[np.int32]
    subject: NDArray[np.int32]
    names: tuple[str, ...]
    value: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.group)


def largest_total(share: tuple[int, int] | None, owners: int) -> int:
    """Below this the absolute values of one owner must stay, so that no comparison of the gate wraps.

    share  the dominance limit as a reduced fraction; None where there is none
    """
    return MAX_TOTAL // ((share[1] if share else 1) * max(owners, 1))


def share_groups(rows: GroupRows, key: bytes, groups: int, limit: int) -> tuple[bytes, Words]:
    """Split the rows into a seed (32 bytes, for N0) and masked words ((n, 5) uint64, for N1); fresh at every call.

    key     the job's common token key (32 bytes), the same at every owner
    raises  InputInvalid when columns differ in length, a group is outside the domain, or the values reach `limit`
    """
    n = len(rows)
    if len(rows.subject) != n or len(rows.value) != n:
        raise InputInvalid(f"{rows.owner}: the columns differ in length")
    if n and (int(rows.group.min()) < 1 or int(rows.group.max()) > groups):
        raise InputInvalid(f"{rows.owner}: a group is outside the contract's domain")
    if absolute_total(rows.value) >= limit:
        raise InputInvalid(f"{rows.owner}: the absolute values add up to {limit} or more")
    if n and not 0 <= int(rows.subject.min()) <= int(rows.subject.max()) < len(rows.names):
        raise InputInvalid(f"{rows.owner}: a row names no subject")
    high, low = subject_tokens(rows.names, key)
    masked = np.empty((n, WORDS), dtype=np.uint64)
    masked[:, 0] = rows.group.astype(np.uint64)
    masked[:, 1], masked[:, 2] = high[rows.subject], low[rows.subject]
    masked[:, 3] = rows.value.view(np.uint64)
    masked[:, 4] = 1
    seed = secrets.token_bytes(SEED_BYTES)
    stream = group_stream(seed)
    for start in range(0, n, _CHUNK_ROWS):
        part = masked[start : start + _CHUNK_ROWS]
        part -= stream.words(part.size).reshape(part.shape)
    return seed, masked


def subject_tokens(names: tuple[str, ...], key: bytes) -> tuple[Words, Words]:
    """High and low words of each subject's keyed hash; equal names of different owners meet, others do but for 2^-86 n^2."""
    digests = b"".join(
        hashlib.blake2b(name.encode(), digest_size=16, key=key, person=b"hefu subject v1").digest()
        for name in names
    )
    words = np.frombuffer(digests, dtype="<u8").reshape(-1, 2)
    return words[:, 0] >> np.uint64(64 - HIGH_BITS), words[:, 1] >> np.uint64(64 - LOW_BITS)


def absolute_total(value: NDArray[np.int64]) -> int:
    """The sum of absolute values as a Python integer: high and low halves apart, so that nothing wraps."""
    size = np.where(value < 0, np.uint64(0) - value.view(np.uint64), value.view(np.uint64))
    return (int((size >> np.uint64(32)).sum()) << 32) + int((size & np.uint64(0xFFFFFFFF)).sum())


def group_stream(seed: bytes) -> Prg:
    """The keystream that masks an owner's words; raises InputInvalid for another length of seed."""
    if len(seed) != SEED_BYTES:
        raise InputInvalid(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
    return Prg(derive_key(seed, b"hefu aggregate input v1", KEY_BYTES))


def groups_digest(rows: GroupRows, salt: bytes) -> str:
    """Salted SHA-256 (hex) of the rows: equal for a retry with the same data and salt, whatever the shares."""
    if len(salt) < 16:
        raise InputInvalid("a salt has at least 16 bytes")
    digest = hashlib.sha256(
        encode(b"hefu aggregate rows v1", salt, rows.owner.encode(), str(rows.batch).encode())
    )
    digest.update(encode(*(name.encode() for name in rows.names)))
    for column, kind in ((rows.group, "<i4"), (rows.subject, "<i4"), (rows.value, "<i8")):
        digest.update(len(column).to_bytes(8, "big"))
        digest.update(column.astype(kind).tobytes())
    return digest.hexdigest()


def save_groups(file: Any, rows: GroupRows) -> None:
    """Write rows to a binary file."""
    text = [name.encode() for name in rows.names]
    np.savez(
        file,
        head=np.array([rows.owner, str(rows.batch)]),
        group=rows.group,
        subject=rows.subject,
        value=rows.value,
        offsets=np.cumsum([0, *map(len, text)], dtype=np.int64),
        data=np.frombuffer(b"".join(text), dtype=np.uint8),
    )


def load_groups(file: Any) -> GroupRows:
    """Rows kept by `save_groups`."""
    with np.load(file, allow_pickle=False) as kept:
        owner, batch = (str(v) for v in kept["head"])
        offsets, data = kept["offsets"].tolist(), kept["data"].tobytes()
        names = tuple(data[a:b].decode() for a, b in itertools.pairwise(offsets))
        return GroupRows(owner, int(batch), kept["group"], kept["subject"], names, kept["value"])
