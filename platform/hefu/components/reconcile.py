"""T+1 reconciliation of business records with fund flows, on shares (white paper A, 4.4).

Owners (institutions, banks) hold rows; N0, N1, N2 compute; G, the regulator, alone opens the result.
Semi-honest, at most one compute node corrupted; N0 and N2 are never an owner nor the receiver, N1 may be an owner.

Program
    G      keys = make_keys(institutions), fresh per attempt; an institution gets its K_p, a bank those it serves
    owner  seed, masked = share_rows(rows, keys): seed to N0, masked to N1, each sealed
    N0     half0 = run_n0(...)      N1     run_n1(...)      N2     half2 = run_n2(...)
    G      open_result(half0, half2, owners)

Who learns what
    N0, N1  the number of rows of each owner (rows in transit included)
    N2      the same (the plan that the three compare names them)
    N0, N2  how many tokens met exactly once, twice, more often; which of the shuffled rows met; nothing of keys, amounts, owners
    N1      nothing of the outcome; as an owner it holds its own rows and keys
    G       for each row (owner, row number): its status, and the row that it met, rows in transit included; with
            `reveal_difference` the difference of the amounts of each pair, else only whether it is zero.
            The order of the halves is that of the secret shuffle: it says nothing of tokens, so G, who made the keys,
            cannot test guesses of match keys against it.
    owners  nothing
    N0 or N2 together with an institution can test that institution's own keys; with a bank, run a dictionary over that
    bank's institutions. Malicious behaviour is detected only where it breaks the form (sizes, references, the join digest).

Limits: a token met more than twice is a `token_conflict`; so two banks that hold the same key of the same institution
(possible where keys have no serial) conflict instead of pairing. Dummy rows (a noisy number of matches) are not built.
Sources: Laur, Willemson, Zhang, ISC 2011 (oblivious shuffle); Feige, Kilian, Naor, STOC 1994 (private simultaneous messages).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

Progress = Callable[[str, int, int], None]
"""progress(stage, done, total)"""

Side = Literal["institution", "bank"]
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
