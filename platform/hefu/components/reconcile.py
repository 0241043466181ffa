"""T+1 reconciliation of business records with fund flows, on shares (white paper A, 4.4).

Owners (institutions, banks) hold rows; N0, N1, N2 compute; G, the regulator, alone opens the result.
Semi-honest, at most one compute node corrupted; N0 and N2 are never an owner nor the receiver, N1 may be an owner.

Program
    G      keys = make_keys(institutions), fresh per attempt; an institution gets its K_p, a bank those it serves
    owner  seed, masked = share_rows(rows, keys): seed to N0, masked to N1, each sealed
    N0     half0 = run_n0(...)      N1     run_n1(...)      N2     half2 = run_n2(...)
    G      open_result(half0, half2, owners)

Who learns what
    N0, N1, N2  the number of rows of each owner (rows in transit included)
    N0, N2      how many tokens met exactly once, twice, more often; which of the shuffled rows met; nothing of keys, amounts, owners
    N1          nothing of the outcome; as an owner it holds its own rows and keys
    G           for each row (owner, row number): its status, and the row that it met, rows in transit included; with
                `reveal_difference` the difference of the amounts of each pair, else only whether it is zero.
                The order of the halves is that of the secret shuffle: it says nothing of tokens, so G, who made the keys,
                cannot test guesses of match keys against it.
    owners      nothing
    N0 or N2 together with an institution can test that institution's own keys; with a bank, run a dictionary over that
    bank's institutions. Malicious behaviour is detected only where it breaks the form (sizes, references, the join digest).

Limits: a token met more than twice is a `token_conflict`; so two banks that hold the same key of the same institution
(possible where keys have no serial) conflict instead of pairing. Dummy rows (a noisy number of matches) are not built.
Sources: Laur, Willemson, Zhang, ISC 2011 (oblivious shuffle); Feige, Kilian, Naor, STOC 1994 (private simultaneous messages).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from hefu.engine import ENGINE_VERSION, refs
from hefu.engine.channel import ChannelSet
from hefu.engine.errors import InputInvalid, ResultInvalid
from hefu.engine.frames import Payload, as_view
from hefu.engine.halves import MAX_HALF_ROWS, Half, open_halves
from hefu.engine.prg import KEY_BYTES, Prg
from hefu.engine.session import Session, derive_key, encode

Progress = Callable[[str, int, int], None]
"""progress(stage, done, total)"""

Side = Literal["institution", "bank"]
MatchKey = Literal["serial", "type", "party", "date"]
CanonicalName = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,31}$")]
Name = Annotated[str, Field(min_length=1, max_length=256)]

Share = NDArray[np.uint64]
"""(n, 4) uint64: token, token, amount, reference, masked"""

WORDS: Final = 4
SEED_BYTES: Final = 32
MAX_AMOUNT: Final = 1 << 62
_CHUNK_ROWS: Final = 1 << 14

ROLES = ("owner", "n0", "n1", "n2", "receiver")


class ReconcileParameters(BaseModel):
    """The clauses of a contract that name this component.

    match_keys         which fields make two rows meet; equal keys of one owner pair by increasing amount
    compare            `each` row by row; `sum` the owner adds up the rows of a key first (one-to-many payments)
    window_days        rows of this many days before and after take part (在途), each reported on its own day only
    type_codes         per owner: its own type code -> the common one
    columns            per owner: canonical name -> that owner's column
    max_rejected_ppm   rows that cannot be read, per million, that the job may go on with
    reveal_difference  the receiver learns by how much amounts differ, not only whether
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    match_keys: Annotated[tuple[MatchKey, ...], Field(min_length=1, max_length=4, strict=False)]
    compare: Literal["each", "sum"] = "each"
    window_days: Annotated[int, Field(ge=0, le=7)] = 0
    type_codes: dict[Name, dict[Name, Name]] = Field(default_factory=dict)
    columns: dict[Name, dict[CanonicalName, Name]] = Field(default_factory=dict)
    max_rejected_ppm: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    reveal_difference: bool = False

    @model_validator(mode="after")
    def _clauses_fit(self) -> ReconcileParameters:
        if len(set(self.match_keys)) != len(self.match_keys):
            raise ValueError("match_keys: a key is named twice")
        if self.window_days and "date" in self.match_keys:
            raise ValueError("window_days: rows in transit can't meet while the date is a match key")
        if self.window_days and self.compare == "sum":
            raise ValueError("window_days: a sum has no single day of its own; use compare 'each'")
        return self


@dataclass(frozen=True, slots=True)
class OwnerRows:
    """One owner's rows of one business day, ready to be shared. n rows.

    institution   (n,) int32: the institution that the row belongs to, an index into the job's list of institutions
    key_offsets   (n+1,) int64; key_data uint8: row i's canonical match keys are key_data[key_offsets[i]:key_offsets[i+1]]
    occurrence    (n,) uint32: 0, 1, ... among the owner's rows of equal institution and key, by increasing amount
    amount_cents  (n,) int64, |amount| < 2^62
    row           (n,) uint64, 1-based data row in the owner's file, < 2^40 (with `sum`: the first row of the key)
    transit       (n,) bool: belongs to a neighbouring day; takes part, is not reported
    batch         this owner's number in the job, 0..65535, the same at every party
    """

    owner: str
    side: Side
    batch: int
    institution: NDArray[np.int32]
    key_offsets: NDArray[np.int64]
    key_data: NDArray[np.uint8]
    occurrence: NDArray[np.uint32]
    amount_cents: NDArray[np.int64]
    row: NDArray[np.uint64]
    transit: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.amount_cents)


class Batch(NamedTuple):
    """What everybody knows of one owner's rows: `rows` counts those in transit too."""

    owner: str
    side: Side
    batch: int
    rows: int


class Nodes(NamedTuple):
    """The names, in session and channels, of the three compute nodes."""

    n0: str
    n1: str
    n2: str


def _silent(stage: str, done: int, total: int) -> None:
    """No progress report."""


# Regulator: keys.


def make_keys(institutions: Sequence[str]) -> dict[str, bytes]:
    """K_p of every institution under a key K drawn now and forgotten; call it anew for each attempt."""
    master = secrets.token_bytes(32)
    return {
        name: hashlib.blake2b(name.encode(), digest_size=32, key=master, person=b"hefu K_p v1").digest()
        for name in institutions
    }


# Owners: input.


def share_rows(rows: OwnerRows, keys: Mapping[int, bytes]) -> tuple[bytes, Share]:
    """Split the rows into a seed (32 bytes, for N0) and masked rows ((n, 4) uint64, for N1); fresh at every call.

    keys    index of an institution -> its K_p, at least for the institutions that occur in `rows`
    raises  InputInvalid when arrays don't fit each other or a value is out of range
    """
    from hefu.engine.tokens import (
        tokens,
    )  # numba takes a second and 100 MB: whoever only reads parameters is spared

    n = len(rows)
    if any(len(a) != n for a in (rows.institution, rows.occurrence, rows.row, rows.transit)):
        raise InputInvalid(f"{rows.owner}: the columns differ in length")
    if n and (int(rows.amount_cents.max()) >= MAX_AMOUNT or int(rows.amount_cents.min()) <= -MAX_AMOUNT):
        raise InputInvalid(f"{rows.owner}: an amount is out of range")
    masked = np.empty((n, WORDS), dtype=np.uint64)
    tokens(rows.key_offsets, rows.key_data, rows.occurrence, rows.institution, keys, out=masked[:, :2])
    masked[:, 2] = rows.amount_cents.view(np.uint64)
    masked[:, 3] = refs.pack(rows.side == "bank", rows.transit, rows.batch, rows.row)
    seed = secrets.token_bytes(SEED_BYTES)
    prg = _input_stream(seed)
    for start in range(0, n, _CHUNK_ROWS):
        part = masked[start : start + _CHUNK_ROWS]
        part -= prg.words(part.size).reshape(part.shape)
    return seed, masked


@dataclass(frozen=True, slots=True)
class InputCommitment:
    """Salted SHA-256 digests (hex) of the two parts of an owner's input; opened to N0, N1, and later the auditor."""

    seed_digest: str
    masked_digest: str


def input_commitment(seed: bytes, masked: Share, salt: bytes) -> InputCommitment:
    """Commit to what goes to N0 and to N1. salt: 32 fresh bytes, handed over with each part."""
    return InputCommitment(_digest(b"seed", salt, seed), _digest(b"masked", salt, masked))


def verify_seed(commitment: InputCommitment, seed: bytes, salt: bytes) -> None:
    """What N0 received is what the owner committed to, or InputInvalid."""
    if not hmac.compare_digest(commitment.seed_digest, _digest(b"seed", salt, seed)):
        raise InputInvalid("the seed differs from the owner's commitment")


def verify_masked(commitment: InputCommitment, masked: Share, salt: bytes) -> None:
    """What N1 received is what the owner committed to, or InputInvalid."""
    if not hmac.compare_digest(commitment.masked_digest, _digest(b"masked", salt, masked)):
        raise InputInvalid("the masked rows differ from the owner's commitment")


def rows_digest(rows: OwnerRows, salt: bytes) -> str:
    """Salted SHA-256 (hex) of the rows themselves: equal for a retry with the same data and salt, whatever the shares."""
    header = encode(rows.owner.encode(), rows.side.encode(), str(rows.batch).encode())
    columns = (
        rows.institution.astype("<i4"),
        rows.key_offsets.astype("<i8"),
        np.ascontiguousarray(rows.key_data, dtype=np.uint8),
        rows.occurrence.astype("<u4"),
        rows.amount_cents.astype("<i8"),
        rows.row.astype("<u8"),
        rows.transit.astype(np.uint8),
    )
    return _digest(b"rows", salt, header, *columns)


# Compute nodes.


def run_n0(
    session: Session,
    channels: ChannelSet,
    nodes: Nodes,
    seeds: Sequence[tuple[Batch, bytes]],
    *,
    reveal_difference: bool = False,
    progress: Progress = _silent,
) -> Half:
    """N0's part: expand the owners' seeds, shuffle, join, compare. Returns the half to seal to the receiver.

    Any failure is sent to the peers before it is raised (EngineError)."""
    from hefu.engine.matching import match_as_n0  # numba, see share_rows

    with channels.abort_on_error():
        batches = _in_order([batch for batch, _ in seeds])
        by_number = {batch.batch: seed for batch, seed in seeds}
        share = np.empty((sum(b.rows for b in batches), WORDS), dtype=np.uint64)
        start = 0
        for batch in batches:
            _input_stream(by_number[batch.batch]).fill(share[start : start + batch.rows])
            start += batch.rows
        plan = _plan(session, batches, reveal_difference)
        return match_as_n0(session, channels, nodes, share, plan, reveal_difference, progress)


def run_n1(
    session: Session,
    channels: ChannelSet,
    nodes: Nodes,
    masked: Sequence[tuple[Batch, Share]],
    *,
    reveal_difference: bool = False,
    progress: Progress = _silent,
) -> None:
    """N1's part: shuffle what the owners masked. Learns nothing of the outcome."""
    from hefu.engine.matching import match_as_n1  # numba, see share_rows

    with channels.abort_on_error():
        batches = _in_order([batch for batch, _ in masked])
        by_number = {batch.batch: part for batch, part in masked}
        for batch in batches:
            if by_number[batch.batch].shape != (batch.rows, WORDS):
                raise InputInvalid(
                    f"{batch.owner}: the masked rows are not {batch.rows} rows of {WORDS} words"
                )
        parts = [by_number[batch.batch] for batch in batches]
        share = np.concatenate(parts, dtype=np.uint64) if parts else np.empty((0, WORDS), dtype=np.uint64)
        match_as_n1(session, channels, nodes, share, _plan(session, batches, reveal_difference), progress)


def run_n2(
    session: Session,
    channels: ChannelSet,
    nodes: Nodes,
    batches: Sequence[Batch],
    *,
    reveal_difference: bool = False,
    progress: Progress = _silent,
) -> Half:
    """N2's part: shuffle, join, compare. Returns the half to seal to the receiver."""
    from hefu.engine.matching import match_as_n2  # numba, see share_rows

    with channels.abort_on_error():
        ordered = _in_order(batches)
        plan = _plan(session, ordered, reveal_difference)
        rows = sum(b.rows for b in ordered)
        return match_as_n2(session, channels, nodes, rows, plan, reveal_difference, progress)


# Regulator: result.


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


def open_result(half0: Half, half2: Half, batches: Sequence[Batch]) -> ReconcileResult:
    """Put the halves together and say of each row what became of it.

    raises  ResultInvalid when the halves don't belong together, or a reference names an unknown owner, the wrong side,
            a row twice, or not as many rows as the owner announced. Nothing of such a result is to be used: one of N0,
            N2 or an owner broke the protocol; the opened input commitments tell which.
    """
    opened = open_halves(half0, half2)
    ordered = _in_order(batches)
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


# Shared by all.


def _in_order(batches: Sequence[Batch]) -> list[Batch]:
    ordered = sorted(batches, key=lambda b: b.batch)
    if len({b.batch for b in ordered}) != len(ordered) or len({b.owner for b in ordered}) != len(ordered):
        raise InputInvalid("two batches share a number or an owner")
    if any(not 0 <= b.batch <= refs.MAX_BATCH or b.rows < 0 for b in ordered):
        raise InputInvalid("a batch's number or size is out of range")
    if sum(b.rows for b in ordered) > MAX_HALF_ROWS:
        raise InputInvalid(f"more than {MAX_HALF_ROWS} rows in one job")
    return ordered


def _plan(session: Session, ordered: Sequence[Batch], reveal_difference: bool) -> bytes:
    parts = [
        b"hefu reconcile plan v1",
        ENGINE_VERSION.encode(),
        session.session_id,
        bytes([reveal_difference]),
    ]
    for b in ordered:
        parts += [b.owner.encode(), b.side.encode(), str(b.batch).encode(), str(b.rows).encode()]
    return hashlib.sha256(encode(*parts)).digest()


def _input_stream(seed: bytes) -> Prg:
    if len(seed) != SEED_BYTES:
        raise InputInvalid(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
    return Prg(derive_key(seed, b"hefu reconcile input v1", KEY_BYTES))


def _digest(label: bytes, salt: bytes, *parts: Payload) -> str:
    """SHA-256 over label, salt and parts, each with its length."""
    if len(salt) < 16:
        raise InputInvalid("a salt has at least 16 bytes")
    digest = hashlib.sha256(encode(b"hefu reconcile commitment v1", label, salt))
    for part in parts:
        view = as_view(part)
        digest.update(len(view).to_bytes(8, "big"))
        digest.update(view)
    return digest.hexdigest()
