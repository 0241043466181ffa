"""One owner's rows of one business day, from its file to the arrays that are shared.

Reads, checks and brings into canonical form (docs/canonical-form.md), numbers equal keys by increasing amount. Rows of the
day and, with a window clause, of the days around it take part; what cannot be read is rejected with its row. All of it
happens on the owner's node, inside DuckDB; nothing is logged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hefu.components.reconcile import OwnerRows, ReconcileParameters, Side
from hefu.domain.dataset import DataSet
from hefu.domain.rowfilter import RowFilter
from hefu.node.sources.arrow import numbers, text_buffers
from hefu.node.sources.columns import map_columns
from hefu.node.sources.engine import Workbench, open_workbench
from hefu.node.sources.errors import AmountOverflow, FileUnreadable, MappingMissing
from hefu.node.sources.parsing import PROBLEM_FIELDS, create_parsed, party_flags, read_rejects
from hefu.node.sources.quality import Measure, QualityCounts, measure_quality
from hefu.node.sources.readers import Source, open_source
from hefu.node.sources.rejects import Rejects
from hefu.node.sources.selection import select_rows
from hefu.node.sources.subjects import Exclusions, leave_out

MAX_AMOUNT = 1 << 62
MAX_ROW = 1 << 40
_KEY_COLUMNS = {"serial": "serial", "type": "type", "party": "party_id", "date": "day"}
_KEY_ORDER = ("serial", "type", "party", "date")


@dataclass(frozen=True, slots=True)
class ControlTotals:
    """What an owner may tell of a delivery: rows of the day and their sum, rejected rows, rows in transit, flags."""

    rows: int
    amount_cents: int
    rejected: int
    transit: int
    flagged: int = 0


@dataclass(frozen=True, slots=True)
class SumGroups:
    """With compare = "sum": which rows stand behind each row sent. Kept by the owner.

    row    (m,) uint64, every row of the file that took part, ascending
    first  (m,) uint64, the row number under which its group was sent
    """

    row: NDArray[np.uint64]
    first: NDArray[np.uint64]

    def members(self, first: int) -> NDArray[np.uint64]:
        """The rows behind the row number `first`."""
        return np.asarray(self.row[self.first == first])


@dataclass(frozen=True, slots=True)
class PreparedRows:
    """Rows ready to be shared, their totals, and what was left out.

    excluded_rows, excluded  rows of subjects on the owner's list, and the tokens of those subjects: kept by the owner
    filtered_rows            rows outside the contract's row filter
    """

    rows: OwnerRows
    totals: ControlTotals
    rejects: Rejects
    groups: SumGroups | None = field(default=None)
    excluded_rows: int = 0
    excluded: frozenset[str] = frozenset()
    quality: QualityCounts | None = None
    filtered_rows: int = 0


def prepare_rows(
    source: Source,
    data_set: DataSet,
    parameters: ReconcileParameters,
    *,
    owner: str,
    side: Side,
    batch: int,
    institutions: Sequence[str],
    business_date: date,
    institution_names: Mapping[str, str] | None = None,
    strict_party: bool = False,
    work_dir: Path | None = None,
    exclusions: Exclusions | None = None,
    measure: Measure | None = None,
    row_filter: RowFilter | None = None,
) -> PreparedRows:
    """Prepare an owner's rows of a business day.

    institutions       the job's institutions; an institution is one of them, a bank's rows name one each when there are several
    institution_names  a bank's own names of institutions -> their names in the job; the names in the job always count
    strict_party       reject a wrong check character or an unknown form instead of flagging it
    work_dir           the node's folder for temporary files
    exclusions         subjects whose rows are left out before anything else is done with them
    measure            the figures of data quality that the contract asks for, over all rows of the file
    row_filter         the contract's: rows that do not pass are left out before anything else is done with them
    raises             SourceError: unreadable file, missing column, unclear mapping, a sum beyond 2^62 cents

    Rows whose date cannot be read count as rejected on every day, because nobody knows which day is theirs.
    """
    needs_institution = side == "bank" and len(institutions) > 1
    if side == "institution" and owner not in institutions:
        raise MappingMissing(f"{owner} 不在本作业的机构之列", f"{owner} is not one of the job's institutions")
    with open_workbench(work_dir) as bench:
        opened = open_source(bench, source)
        required = [
            "amount",
            "occurred_at",
            *(_canonical_name(key) for key in parameters.match_keys if key != "date"),
        ]
        if needs_institution:
            required.append("institution")
        columns = map_columns(opened, data_set, parameters.columns.get(owner, {}), required)
        selected, filtered = select_rows(bench, opened, data_set, row_filter or RowFilter())
        create_parsed(
            bench,
            selected,
            columns,
            mandatory=frozenset(required),
            type_codes=parameters.type_codes.get(owner, {}),
            institutions=_institution_table(institutions, institution_names or {})
            if needs_institution
            else None,
            strict_party=strict_party,
            days=(
                business_date - timedelta(parameters.window_days),
                business_date + timedelta(parameters.window_days),
            ),
            subject=opened.column(exclusions.field) if exclusions else None,
        )
        left_out, subjects = leave_out(bench, exclusions) if exclusions else (0, frozenset())
        counts = measure_quality(bench, selected, data_set, measure) if measure else None
        prepared = _collect(
            bench, opened.name, columns, parameters, owner, side, batch, institutions, business_date
        )
        return replace(
            prepared, excluded_rows=left_out, excluded=subjects, quality=counts, filtered_rows=filtered
        )


def _canonical_name(key: str) -> str:
    return "party_id" if key == "party" else key


def _institution_table(institutions: Sequence[str], names: Mapping[str, str]) -> dict[str, int]:
    index = {name: i for i, name in enumerate(institutions)}
    try:
        return {**{own: index[name] for own, name in names.items()}, **index}
    except KeyError as error:
        raise MappingMissing(
            f"机构对照表指向本作业之外的机构 {error.args[0]}",
            f"the table of institutions names {error.args[0]}, not in this job",
        ) from error


def _collect(
    bench: Workbench,
    name: str,
    columns: Mapping[str, tuple[str, str]],
    parameters: ReconcileParameters,
    owner: str,
    side: Side,
    batch: int,
    institutions: Sequence[str],
    day: date,
) -> PreparedRows:
    implied = institutions.index(owner) if side == "institution" else 0
    parts = [_KEY_COLUMNS[key] for key in _KEY_ORDER if key in parameters.match_keys]
    key = (
        "concat("
        + ", ".join("'10:', day" if part == "day" else f"strlen({part}), ':', {part}" for part in parts)
        + ")"
    )
    institution = (
        "institution"
        if "institution" in columns and side == "bank" and len(institutions) > 1
        else str(implied)
    )
    good = (
        f"SELECT row_number, cents, CAST({institution} AS INTEGER) AS institution, {key} AS key, "  # noqa: S608
        f"CAST(day <> DATE '{day}' AS UTINYINT) AS transit "
        "FROM parsed WHERE ok"
    )
    groups: SumGroups | None = None
    if parameters.compare == "sum":
        table, groups = _sum_groups(bench, good, name)
    else:
        table = bench.connection.sql(
            "SELECT row_number, cents, institution, key, transit, "  # noqa: S608
            "CAST(row_number() OVER (PARTITION BY institution, key ORDER BY cents, row_number) - 1 AS UINTEGER) AS occurrence "
            f"FROM ({good}) ORDER BY row_number"
        ).to_arrow_table()
    rows = _owner_rows(table, owner, side, batch)
    own = ~rows.transit
    rejected = bench.connection.execute(
        f"SELECT count(*) FROM parsed WHERE bad AND (day IS NULL OR day = DATE '{day}')"  # noqa: S608
    ).fetchall()[0][0]
    fields = [columns[f][1] if f in columns else "" for f in PROBLEM_FIELDS]
    totals = ControlTotals(
        rows=int(own.sum()) if groups is None else len(groups.row),
        amount_cents=_exact_sum(rows.amount_cents[own]),
        rejected=int(rejected),
        transit=int(rows.transit.sum()),
        flagged=party_flags(bench).get(day, 0),
    )
    return PreparedRows(rows, totals, read_rejects(bench, name, fields, day), groups)


def _sum_groups(bench: Workbench, good: str, name: str) -> tuple[pa.Table, SumGroups]:
    """Add up the cents of each key; the row of a group is its first row."""
    connection = bench.connection
    connection.execute(f"CREATE OR REPLACE TEMP TABLE good AS {good}")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE sums AS SELECT min(row_number) AS row_number, sum(cents) AS total, institution, key "
        "FROM good GROUP BY institution, key"
    )
    too_much = f"SELECT min(row_number) FROM sums WHERE abs(total) >= {MAX_AMOUNT}"  # noqa: S608
    beyond = connection.execute(too_much).fetchall()[0][0]
    if beyond is not None:
        raise AmountOverflow(
            f"文件 {name} 第 {beyond} 行所属键的金额合计超出范围",
            f"file {name}: the amounts of the key of row {beyond} add up beyond 2^62 cents",
        )
    members = connection.sql(
        "SELECT good.row_number AS row, sums.row_number AS first FROM good JOIN sums USING (institution, key) ORDER BY 1"
    ).to_arrow_table()
    table = connection.sql(
        "SELECT row_number, CAST(total AS BIGINT) AS cents, institution, key, CAST(0 AS UTINYINT) AS transit, CAST(0 AS UINTEGER) AS occurrence "
        "FROM sums ORDER BY row_number"
    ).to_arrow_table()
    return table, SumGroups(
        numbers(members.column("row"), np.uint64), numbers(members.column("first"), np.uint64)
    )


def _owner_rows(table: pa.Table, owner: str, side: Side, batch: int) -> OwnerRows:
    offsets, data = text_buffers(table.column("key"))
    rows = OwnerRows(
        owner=owner,
        side=side,
        batch=batch,
        institution=numbers(table.column("institution"), np.int32),
        key_offsets=offsets,
        key_data=data,
        occurrence=numbers(table.column("occurrence"), np.uint32),
        amount_cents=numbers(table.column("cents"), np.int64),
        row=numbers(table.column("row_number"), np.uint64),
        transit=numbers(table.column("transit"), np.uint8).astype(np.bool_),
    )
    if len(rows) and int(rows.row.max()) >= MAX_ROW:
        raise FileUnreadable("文件超过 2^40 行", "the file has more than 2^40 rows")
    return rows


def _exact_sum(cents: NDArray[np.int64]) -> int:
    """The sum as a Python integer: high and low halves apart, so that nothing wraps."""
    return (int((cents >> 32).sum()) << 32) + int((cents & 0xFFFFFFFF).sum())
