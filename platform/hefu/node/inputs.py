"""An owner's input for one job: its standing files of the day (and of the days around it) as rows ready to be shared.

Row numbers are those of the day's own file; rows of other files, which only take part in transit, carry the file's
number in bits 32 and up, so that a reference stays unique.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from hefu.components.reconcile import OwnerRows, ReconcileParameters, Side
from hefu.domain.dataset import DataSet
from hefu.domain.rowfilter import RowFilter
from hefu.node.sources.canonical import PreparedRows, prepare_rows
from hefu.node.sources.quality import Measure
from hefu.node.sources.readers import Source
from hefu.node.sources.subjects import Exclusions


@dataclass(frozen=True)
class Part:
    """One file, and the business date whose rows it stands for."""

    source: Source
    day: date


def prepare_input(
    parts: Sequence[Part],
    data_set: DataSet,
    parameters: ReconcileParameters,
    *,
    owner: str,
    side: Side,
    batch: int,
    institutions: Sequence[str],
    business_date: date,
    work_dir: Path,
    exclusions: Exclusions | None = None,
    measure: Measure | None = None,
    row_filter: RowFilter | None = None,
) -> PreparedRows:
    """Rows of the business date, and those of the days around it in transit.

    parts       the day's own file first
    exclusions  subjects left out of every file
    measure     figures of data quality, of the day's own file
    row_filter  the contract's
    raises      SourceError (see prepare_rows)
    """
    alone = parameters.model_copy(update={"window_days": 0})
    prepared = [
        prepare_rows(
            part.source,
            data_set,
            alone,
            owner=owner,
            side=side,
            batch=batch,
            institutions=institutions,
            business_date=part.day,
            work_dir=work_dir,
            exclusions=exclusions,
            measure=measure if number == 0 else None,
            row_filter=row_filter,
        )
        for number, part in enumerate(parts)
    ]
    own = prepared[0]
    if len(prepared) == 1:
        return own
    rows = _join([p.rows for p in prepared], [part.day != business_date for part in parts])
    return replace(
        own,
        rows=rows,
        filtered_rows=sum(p.filtered_rows for p in prepared),
        excluded_rows=sum(p.excluded_rows for p in prepared),
        excluded=frozenset().union(*(p.excluded for p in prepared)),
    )


def _join(parts: Sequence[OwnerRows], transit: Sequence[bool]) -> OwnerRows:
    """One owner's rows out of several files, numbered anew among equal keys by increasing amount."""
    sizes = np.cumsum([0, *(int(p.key_offsets[-1]) for p in parts)])
    joined = OwnerRows(
        owner=parts[0].owner,
        side=parts[0].side,
        batch=parts[0].batch,
        institution=np.concatenate([p.institution for p in parts]),
        key_offsets=np.concatenate(
            [
                np.zeros(1, dtype=np.int64),
                *(p.key_offsets[1:] + s for p, s in zip(parts, sizes, strict=False)),
            ]
        ),
        key_data=np.concatenate([p.key_data for p in parts]),
        occurrence=np.zeros(sum(len(p) for p in parts), dtype=np.uint32),
        amount_cents=np.concatenate([p.amount_cents for p in parts]),
        row=np.concatenate([p.row + np.uint64(number << 32) for number, p in enumerate(parts)]),
        transit=np.concatenate(
            [np.full(len(p), flag, dtype=np.bool_) for p, flag in zip(parts, transit, strict=True)]
        ),
    )
    return replace(joined, occurrence=_occurrences(joined))


def _occurrences(rows: OwnerRows) -> np.ndarray:
    """0, 1, … among rows of equal institution and key, by increasing amount, then by row."""
    from hefu.engine.tokens import tokens  # numba: only where several files meet

    plain = {int(i): bytes(32) for i in np.unique(rows.institution)}
    ids = np.empty((len(rows), 2), dtype=np.uint64)
    tokens(
        rows.key_offsets,
        rows.key_data,
        np.zeros(len(rows), dtype=np.uint32),
        rows.institution,
        plain,
        out=ids,
    )
    order = np.lexsort((rows.row, rows.amount_cents, rows.institution, ids[:, 1], ids[:, 0]))
    group = np.stack((ids[order, 0], ids[order, 1], rows.institution[order].astype(np.uint64)), axis=1)
    starts = np.ones(len(rows), dtype=np.bool_)
    starts[1:] = np.any(group[1:] != group[:-1], axis=1)
    position = np.arange(len(rows))
    first = np.maximum.accumulate(np.where(starts, position, 0))
    occurrence = np.empty(len(rows), dtype=np.uint32)
    occurrence[order] = (position - first).astype(np.uint32)
    return occurrence
