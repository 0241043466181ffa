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
    With design S no node learns which rows meet, nor how many: the row numbers only.
    Design F: N0 or N2 together with an institution can test that institution's own keys; with a bank, run a dictionary over that
    bank's institutions. Malicious behaviour is detected only where it breaks the form (sizes, references, the join digest).

Limits: a token met more than twice is a `token_conflict`; so two banks that hold the same key of the same institution
(possible where keys have no serial) conflict instead of pairing. Dummy rows (a noisy number of matches) are not built.
Sources: Laur, Willemson, Zhang, ISC 2011 (oblivious shuffle); Feige, Kilian, Naor, STOC 1994 (private simultaneous messages).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from hefu.components.reconcile_input import (
    SEED_BYTES,
    WORDS,
    Batch,
    InputCommitment,
    OwnerRows,
    Share,
    Side,
    in_order,
    input_commitment,
    input_stream,
    make_keys,
    rows_digest,
    share_rows,
    verify_masked,
    verify_seed,
)
from hefu.components.reconcile_result import ReconcileResult, Status, open_result, read_half
from hefu.engine import ENGINE_VERSION
from hefu.engine.channel import ChannelSet
from hefu.engine.errors import InputInvalid
from hefu.engine.halves import Half
from hefu.engine.session import Session, encode
from hefu.engine.sorted_halves import SortedHalf

__all__ = [
    "ROLES",
    "SEED_BYTES",
    "WORDS",
    "Batch",
    "Design",
    "Half",
    "InputCommitment",
    "Nodes",
    "OwnerRows",
    "Progress",
    "ReconcileParameters",
    "ReconcileResult",
    "Share",
    "Side",
    "Status",
    "input_commitment",
    "make_keys",
    "open_result",
    "read_half",
    "rows_digest",
    "run_n0",
    "run_n1",
    "run_n2",
    "share_rows",
    "verify_masked",
    "verify_seed",
]

Progress = Callable[[str, int, int], None]
"""progress(stage, done, total)"""
Design = Literal["F", "S"]
MatchKey = Literal["serial", "type", "party", "date"]
CanonicalName = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,31}$")]
Name = Annotated[str, Field(min_length=1, max_length=256)]
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
    design             F: N0 and N2 see which shuffled rows meet. S: the nodes learn nothing but the number of rows, at about
                       five times the work and twelve times the traffic (see `engine.sorted_matching`)
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    match_keys: Annotated[tuple[MatchKey, ...], Field(min_length=1, max_length=4, strict=False)]
    compare: Literal["each", "sum"] = "each"
    window_days: Annotated[int, Field(ge=0, le=7)] = 0
    type_codes: dict[Name, dict[Name, Name]] = Field(default_factory=dict)
    columns: dict[Name, dict[CanonicalName, Name]] = Field(default_factory=dict)
    max_rejected_ppm: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    reveal_difference: bool = False
    design: Design = "F"

    @model_validator(mode="after")
    def _clauses_fit(self) -> ReconcileParameters:
        if len(set(self.match_keys)) != len(self.match_keys):
            raise ValueError("match_keys: a key is named twice")
        if self.window_days and "date" in self.match_keys:
            raise ValueError("window_days: rows in transit can't meet while the date is a match key")
        if self.window_days and self.compare == "sum":
            raise ValueError("window_days: a sum has no single day of its own; use compare 'each'")
        return self


class Nodes(NamedTuple):
    """The names, in session and channels, of the three compute nodes."""

    n0: str
    n1: str
    n2: str


def _silent(stage: str, done: int, total: int) -> None:
    """No progress report."""


def run_n0(
    session: Session,
    channels: ChannelSet,
    nodes: Nodes,
    seeds: Sequence[tuple[Batch, bytes]],
    *,
    design: Design = "F",
    reveal_difference: bool = False,
    progress: Progress = _silent,
) -> Half | SortedHalf:
    """N0's part: expand the owners' seeds, match, compare. Returns the half to seal to the receiver.

    Any failure is sent to the peers before it is raised (EngineError)."""
    with channels.abort_on_error():
        batches = in_order([batch for batch, _ in seeds])
        by_number = {batch.batch: seed for batch, seed in seeds}
        share = np.empty((sum(b.rows for b in batches), WORDS), dtype=np.uint64)
        start = 0
        for batch in batches:
            input_stream(by_number[batch.batch]).fill(share[start : start + batch.rows])
            start += batch.rows
        plan = _plan(session, batches, reveal_difference, design)
        if design == "S":
            return _sorted_half(
                session, channels, nodes, share, len(share), plan, reveal_difference, progress
            )
        from hefu.engine.matching import match_as_n0  # numba, see share_rows

        return match_as_n0(session, channels, nodes, share, plan, reveal_difference, progress)


def run_n1(
    session: Session,
    channels: ChannelSet,
    nodes: Nodes,
    masked: Sequence[tuple[Batch, Share]],
    *,
    design: Design = "F",
    reveal_difference: bool = False,
    progress: Progress = _silent,
) -> None:
    """N1's part: shuffle what the owners masked. Learns nothing of the outcome."""
    with channels.abort_on_error():
        batches = in_order([batch for batch, _ in masked])
        by_number = {batch.batch: part for batch, part in masked}
        for batch in batches:
            if by_number[batch.batch].shape != (batch.rows, WORDS):
                raise InputInvalid(
                    f"{batch.owner}: the masked rows are not {batch.rows} rows of {WORDS} words"
                )
        parts = [by_number[batch.batch] for batch in batches]
        share = np.concatenate(parts, dtype=np.uint64) if parts else np.empty((0, WORDS), dtype=np.uint64)
        plan = _plan(session, batches, reveal_difference, design)
        if design == "S":
            from hefu.engine.sorted_matching import match_sorted

            match_sorted(session, channels, nodes, share, len(share), plan, reveal_difference, progress)
            return
        from hefu.engine.matching import match_as_n1  # numba, see share_rows

        match_as_n1(session, channels, nodes, share, plan, progress)


def run_n2(
    session: Session,
    channels: ChannelSet,
    nodes: Nodes,
    batches: Sequence[Batch],
    *,
    design: Design = "F",
    reveal_difference: bool = False,
    progress: Progress = _silent,
) -> Half | SortedHalf:
    """N2's part: match, compare. Returns the half to seal to the receiver."""
    with channels.abort_on_error():
        ordered = in_order(batches)
        plan = _plan(session, ordered, reveal_difference, design)
        rows = sum(b.rows for b in ordered)
        if design == "S":
            return _sorted_half(session, channels, nodes, None, rows, plan, reveal_difference, progress)
        from hefu.engine.matching import match_as_n2  # numba, see share_rows

        return match_as_n2(session, channels, nodes, rows, plan, reveal_difference, progress)


def _sorted_half(
    session: Session,
    channels: ChannelSet,
    nodes: Nodes,
    share: Share | None,
    rows: int,
    plan: bytes,
    reveal: bool,
    progress: Progress,
) -> SortedHalf:
    from hefu.engine.sorted_matching import match_sorted  # numba, see share_rows

    half = match_sorted(session, channels, nodes, share, rows, plan, reveal, progress)
    if half is None:
        raise InputInvalid(f"{session.party} is N1 and has no half")
    return half


def _plan(session: Session, ordered: Sequence[Batch], reveal_difference: bool, design: Design) -> bytes:
    parts = [
        b"hefu reconcile plan v1",
        ENGINE_VERSION.encode(),
        session.session_id,
        bytes([reveal_difference]),
        design.encode(),
    ]
    for b in ordered:
        parts += [b.owner.encode(), b.side.encode(), str(b.batch).encode(), str(b.rows).encode()]
    return hashlib.sha256(encode(*parts)).digest()
