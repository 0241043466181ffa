"""Joint statistics 联合统计: sum, rows and distinct data subjects by group over the rows of several owners, on shares (K7).

Each owner holds rows of the same columns (data subject, group keys, value); groups run over all owners' rows. Group labels
are a closed list in the contract, so the labels of a result say nothing. The output gate works on shares: a small group, or
one that few contributors dominate, is suppressed before anything is opened, and with it a further one where it would follow
from what the recipient knows of all groups together (how many rows each owner brought).
Semi-honest, at most one compute node corrupted; N0 and N2 are never an owner nor the recipient, N1 may be an owner.

Program
    recipient  token key, fresh per attempt, sealed to every owner
    owner      seed, masked = share_groups(rows, key, …): seed to N0, masked to N1, each sealed
    N0, N1, N2 run(...): `aggregate_protocol`; N0 and N2 seal their halves to the recipient
    recipient  open_groups(half0, half2, …)

Who learns what
    N0, N1, N2  the number of rows of each owner; the size of the domain; how many groups are suppressed, not which. Nothing of
                keys, subjects, values, group sizes
    recipient   each group's flag; of those kept: the columns that the contract releases. Of a suppressed group: that it is
                empty, small, dominated or the smallest of the others, not which of these; of all of these together: their rows. As it draws the token key it learns nothing more: tokens are not opened
    owners      the token key, nothing else; an owner that is the recipient too learns the others' share of a group by subtraction:
                the dominance rule is what bounds this
    The counts of a kept group are exact: what several results say together is guarded by the repeated-query control at each
    owner, not here. A group's kept sum and the knowledge of its other contributors give the last one's value: choose min_group.

Limits: sums below 2^62 / (denominator of the dominance share) in all, else the owner refuses; distinct subjects are those of
equal canonical text (NFKC, no outer blanks, upper case): two spellings are two subjects. The total is shown only where no group
is suppressed. Rows whose category is not in the domain are rejected. Not differentially private.
Sources: white paper A, 3.7 and 4.3; Hundepool et al., Statistical Disclosure Control, Wiley 2012.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import product
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from hefu.components.aggregate_input import WORDS, Words, group_stream, largest_total
from hefu.components.aggregate_result import MAX_GROUPS, GroupHalf
from hefu.components.reconcile import Nodes, Progress
from hefu.components.reconcile_input import Batch, in_order
from hefu.engine import ENGINE_VERSION
from hefu.engine.channel import ChannelSet
from hefu.engine.errors import InputInvalid
from hefu.engine.session import Session, encode

ROLES = ("owner", "n0", "n1", "n2", "receiver")
Name = Annotated[str, Field(min_length=1, max_length=256)]
MIN_GROUP = 20


class GroupKey(BaseModel):
    """One field that makes groups, and the closed list of its categories, in the order of the result."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    field: Name
    categories: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MAX_GROUPS, strict=False)]

    @model_validator(mode="after")
    def _once(self) -> GroupKey:
        if len(set(self.categories)) != len(self.categories):
            raise ValueError("categories: a category stands twice")
        return self


class DominanceRule(BaseModel):
    """A group is suppressed when its `contributors` largest subjects make up more than this share of it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    contributors: Annotated[int, Field(ge=1, le=10)] = 2
    max_share_ppm: Annotated[int, Field(ge=1, le=1_000_000)] = 850_000


class AggregateParameters(BaseModel):
    """The clauses of a contract that name this component.

    subject           the field that names the data subject, under its name at every owner (see `columns`)
    group_by          fields and their categories; the groups are all combinations
    value             the money or integer field that is added up; null: rows are counted only
    min_group         distinct subjects that a group needs, 20 or more; the contract's output must say the same
    dominance         (n, k) on absolute sums per subject; null: no rule. Of rows per subject where nothing is added up
    release           the columns that leave
    totals            the recipient also sees the total, where no group is suppressed
    columns           per owner: name of a field above -> that owner's column
    max_rejected_ppm  rows that cannot be read, per million, that the job may go on with
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    subject: Name
    group_by: Annotated[tuple[GroupKey, ...], Field(min_length=1, max_length=4, strict=False)]
    value: Name | None = None
    min_group: Annotated[int, Field(ge=MIN_GROUP, le=1_000_000)] = MIN_GROUP
    dominance: DominanceRule | None = Field(default_factory=DominanceRule)
    release: Annotated[
        tuple[Annotated[str, Field(pattern="^(sum|count|subjects)$")], ...], Field(min_length=1, strict=False)
    ]
    totals: bool = False
    columns: dict[Name, dict[Name, Name]] = Field(default_factory=dict)
    max_rejected_ppm: Annotated[int, Field(ge=0, le=1_000_000)] = 0

    @model_validator(mode="after")
    def _clauses_fit(self) -> AggregateParameters:
        fields = [key.field for key in self.group_by]
        if len({*fields, self.subject}) != len(fields) + 1:
            raise ValueError("group_by: a field is named twice, or is the data subject")
        if self.value in (*fields, self.subject):
            raise ValueError("value: is a group key or the data subject")
        if self.value is None and "sum" in self.release:
            raise ValueError("release: nothing is added up without a value field")
        if len(set(self.release)) != len(self.release):
            raise ValueError("release: a column is named twice")
        if self.groups() > MAX_GROUPS:
            raise ValueError(f"group_by: more than {MAX_GROUPS} groups")
        return self

    def groups(self) -> int:
        """G: how many combinations of categories there are."""
        return int(np.prod([len(key.categories) for key in self.group_by], dtype=np.int64))

    def labels(self) -> list[tuple[str, ...]]:
        """The groups 1..G: their categories, in order."""
        return list(product(*(key.categories for key in self.group_by)))

    def share(self) -> tuple[int, int] | None:
        """The dominance limit in lowest terms."""
        from hefu.components.aggregate_protocol import reduced  # numba: see reconcile.share_rows

        return reduced(self.dominance.max_share_ppm) if self.dominance else None

    def limit(self, owners: int) -> int:
        """Below this the absolute values of one owner must add up."""
        return largest_total(self.share(), owners)

    def used_fields(self) -> tuple[str, ...]:
        """Names of all fields that the computation reads."""
        return (self.subject, *(key.field for key in self.group_by), *((self.value,) if self.value else ()))


def run(
    session: Session,
    channels: ChannelSet,
    nodes: Nodes,
    parts: Sequence[tuple[Batch, bytes | Words | None]],
    parameters: AggregateParameters,
    progress: Progress,
) -> tuple[GroupHalf | None, dict[str, Any]]:
    """One compute node's part: the half (None at N1), and what the output gate did, in counts only.

    parts   of every owner: the seed at N0, the masked words at N1, None at N2
    raises  EngineError; a failure is sent to the peers first
    """
    from hefu.components.aggregate_protocol import Gate, aggregate  # numba: see reconcile.share_rows
    from hefu.engine.matching import agree, verify_transcripts
    from hefu.engine.rss.party import Party
    from hefu.engine.rss.sharing import share_from_two

    with channels.abort_on_error():
        party = Party(session, channels, nodes)
        batches = in_order([batch for batch, _ in parts])
        by_number = {batch.batch: part for batch, part in parts}
        share = None if party.index == 2 else _joined(batches, by_number)
        first, second = (name for name in nodes if name != session.party)
        agree(channels, (first, second), _plan(session, batches, parameters))
        total = sum(batch.rows for batch in batches)
        rows = share_from_two(party, share, (total, WORDS))
        rule = parameters.dominance
        gate = Gate(parameters.min_group, rule.contributors if rule else 0, parameters.share())
        words, suppressed = aggregate(
            party, rows, parameters.groups(), gate, by_rows=parameters.value is None, progress=progress
        )
        verify_transcripts(channels, (first, second))
    checked = {
        "component": "aggregate",
        "groups": parameters.groups(),
        "suppressed": suppressed,
        "min_group": parameters.min_group,
        "dominance": [rule.contributors, rule.max_share_ppm] if rule else None,
        "columns": list(parameters.release),
        "complementary": True,
        "passed": True,
    }
    return (None if words is None else GroupHalf(session.session_id, party.index, words)), checked


def _joined(batches: Sequence[Batch], parts: dict[int, bytes | Words | None]) -> Words:
    found = []
    for batch in batches:
        part = parts[batch.batch]
        if isinstance(part, bytes):
            words = np.empty((batch.rows, WORDS), dtype=np.uint64)
            group_stream(part).fill(words)
            found.append(words)
        elif part is None or part.shape != (batch.rows, WORDS):
            raise InputInvalid(f"{batch.owner}: the masked rows are not {batch.rows} rows of {WORDS} words")
        else:
            found.append(part)
    return np.concatenate([np.empty((0, WORDS), dtype=np.uint64), *found])


def _plan(session: Session, ordered: Sequence[Batch], parameters: AggregateParameters) -> bytes:
    parts = [b"hefu aggregate plan v1", ENGINE_VERSION.encode(), session.session_id]
    parts.append(parameters.model_dump_json().encode())
    for b in ordered:
        parts += [b.owner.encode(), str(b.batch).encode(), str(b.rows).encode()]
    return hashlib.sha256(encode(*parts)).digest()
