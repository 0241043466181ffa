"""What a node may say of a file that arrived: its fingerprint, and control totals by day (笔数/金额)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from hefu.domain.dataset import DataSet
from hefu.node.sources.canonical import ControlTotals
from hefu.node.sources.columns import map_columns
from hefu.node.sources.engine import open_workbench
from hefu.node.sources.parsing import PROBLEM_FIELDS, create_parsed, party_flags, read_rejects
from hefu.node.sources.readers import Source, open_source
from hefu.node.sources.rejects import Rejects


@dataclass(frozen=True, slots=True)
class FileSummary:
    """Control totals by day, rows whose day cannot be read, and everything wrong with the file."""

    days: dict[date, ControlTotals]
    undated: int
    rejects: Rejects


def fingerprint(path: Path) -> str:
    """SHA-256 of the file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def summarise(
    source: Source, data_set: DataSet, columns: Mapping[str, str] | None = None, work_dir: Path | None = None
) -> FileSummary:
    """Read a file once and count.

    columns  canonical name -> column, where they differ from the names of the data set's fields
    raises   SourceError
    """
    with open_workbench(work_dir) as bench:
        opened = open_source(bench, source)
        mapped = map_columns(opened, data_set, columns or {}, ("amount", "occurred_at"))
        create_parsed(
            bench,
            opened,
            mapped,
            mandatory=frozenset(("amount", "occurred_at")),
            type_codes={},
            institutions=None,
            strict_party=False,
            days=None,
        )
        found = bench.connection.execute(
            "SELECT day, count(*) FILTER (NOT bad), coalesce(sum(cents) FILTER (NOT bad), 0), count(*) FILTER (bad) "
            "FROM parsed GROUP BY day ORDER BY day"
        ).fetchall()
        flags = party_flags(bench)
        fields = [mapped[f][1] if f in mapped else "" for f in PROBLEM_FIELDS]
        rejects = read_rejects(bench, opened.name, fields, None)
    days = {
        day: ControlTotals(
            rows=rows, amount_cents=int(cents), rejected=rejected, transit=0, flagged=flags.get(day, 0)
        )
        for day, rows, cents, rejected in found
        if day is not None
    }
    return FileSummary(days, sum(row[3] for row in found if row[0] is None), rejects)


def day_summary(
    source: Source, data_set: DataSet, columns: Mapping[str, str] | None = None, work_dir: Path | None = None
) -> dict[date, ControlTotals]:
    """Control totals by business day, for the arrival board. Raises SourceError."""
    return summarise(source, data_set, columns, work_dir).days
