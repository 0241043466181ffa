"""A result as the output gate sees it: columns, rows, and what the computing party knows about who stands behind each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

_NONE: Mapping[int, tuple[str, ...]] = MappingProxyType({})


@dataclass(frozen=True)
class ResultTable:
    """A table of results before or after the gate. In a table of groups every figure of a row is about all its subjects.

    columns     names of the columns, in order
    rows        one tuple per row, values in the order of `columns`; None stands for a suppressed cell
    subjects    distinct data subjects behind each row (natural persons, never rows or payments); None where unknown
    top_shares  share in ppm that the row's n largest contributors hold of its total; None where unknown
    recipients  whom the result is made for
    digest      SHA-256 of the result's bytes, "sha256:…" or bare hex; "" after the gate
    totals      rows that are totals: row number to the group keys over which it adds up; never guessed from labels
    stands_for  how many rows the result has, where `rows` holds one of each kind only; None: `rows` are all
    judged      dominance was judged by those who computed, before anything was opened: its shares are not known here
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    subjects: tuple[int, ...] | None
    recipients: tuple[str, ...]
    digest: str
    top_shares: tuple[int, ...] | None = None
    totals: Mapping[int, tuple[str, ...]] = field(default_factory=lambda: _NONE)
    stands_for: int | None = None
    judged: bool = False

    @classmethod
    def of(
        cls,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]] | np.ndarray[Any, Any],
        *,
        recipients: Sequence[str],
        digest: str,
        subjects: Sequence[int] | np.ndarray[Any, Any] | None = None,
        top_shares: Sequence[int] | np.ndarray[Any, Any] | None = None,
        totals: Mapping[int, Sequence[str]] | None = None,
    ) -> ResultTable:
        """From lists or arrays. Raises ValueError where lengths do not fit, or a total names no row or no column."""
        taken = tuple(tuple(row.tolist() if isinstance(row, np.ndarray) else row) for row in rows)
        if any(len(row) != len(columns) for row in taken):
            raise ValueError("rows: a row has another number of values than there are columns")
        if len(set(columns)) != len(columns):
            raise ValueError("columns: a name stands twice")
        counts = None if subjects is None else tuple(int(s) for s in subjects)
        shares = None if top_shares is None else tuple(int(s) for s in top_shares)
        for name, found in (("subjects", counts), ("top_shares", shares)):
            if found is not None and len(found) != len(taken):
                raise ValueError(f"{name}: one value per row is needed")
        over = {row: tuple(keys) for row, keys in (totals or {}).items()}
        for row, keys in over.items():
            if not 0 <= row < len(taken) or not keys or not set(keys) <= set(columns):
                raise ValueError(f"totals: row {row} over {', '.join(keys)}")
        return cls(tuple(columns), taken, counts, tuple(recipients), digest, shares, MappingProxyType(over))

    def column(self, name: str) -> list[Any]:
        """Values of one column. Raises ValueError when there is none of this name."""
        at = self.columns.index(name)
        return [row[at] for row in self.rows]

    def blank(self, row_numbers: Sequence[int], names: Sequence[str]) -> ResultTable:
        """The same table with these cells suppressed; what is known about the subjects stays with the gate."""
        chosen = set(row_numbers)
        at = {self.columns.index(name) for name in names}
        rows = tuple(
            tuple(None if i in chosen and j in at else v for j, v in enumerate(row))
            for i, row in enumerate(self.rows)
        )
        return replace(self, rows=rows)


def released(table: ResultTable) -> ResultTable:
    """What may leave of a table that passed: its columns and rows.

    Counts of subjects and shares of contributors stay behind, and so does the digest: it is of the bytes before suppression,
    so whoever held it could try guesses of a suppressed value against it. The released bytes get a digest of their own.
    """
    return replace(table, subjects=None, top_shares=None, digest="")
