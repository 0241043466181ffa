"""An owner's file of one business day, made into the rows of a joint statistic, in a worker.

A row counts when its day, data subject, categories and value can be read; what cannot is rejected with its row and reason. A
category outside the contract's list is rejected too. Beside the rows the node keeps a keyed hash of each subject, for the
repeated-query control.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from hefu.components.aggregate import AggregateParameters
from hefu.components.aggregate_input import GroupRows, absolute_total, groups_digest
from hefu.domain.dataset import DataSet, FieldType
from hefu.domain.rowfilter import RowFilter, parse_row_filter
from hefu.node.kept_groups import SUBJECTS_FILE, save_kept, save_subjects
from hefu.node.prepare_task import counts_of, exclusions_of, measure_of, source_of
from hefu.node.sources import expressions as sql
from hefu.node.sources.arrow import numbers, text_buffers
from hefu.node.sources.engine import Workbench, open_workbench
from hefu.node.sources.errors import AmountOverflow, MappingMissing
from hefu.node.sources.party import party_text
from hefu.node.sources.quality import Measure, QualityCounts, measure_quality
from hefu.node.sources.readers import Opened, Source, open_source, reading
from hefu.node.sources.rejects import REASON_NUMBER, Rejects, write_rejects
from hefu.node.sources.selection import select_rows
from hefu.node.sources.subjects import Exclusions, leave_out

_INTEGER = "[+-]?[0-9]{1,18}"


def prepare_aggregate(task: dict[str, Any]) -> dict[str, Any]:
    """Prepare, keep, and answer counts and the salted digest. Raises SourceError."""
    clauses = AggregateParameters.model_validate(task["parameters"])
    folder, (part,) = Path(task["folder"]), task["parts"]
    key = base64.b64decode(task["storage_key"])
    prepared = prepare_groups(
        source_of(part),
        DataSet.model_validate(task["data_set"]),
        clauses,
        allowed=task["fields"],
        owner=task["owner"],
        batch=task["batch"],
        business_date=date.fromisoformat(task["business_date"]),
        work_dir=folder,
        exclusions=exclusions_of(task.get("exclusions")),
        measure=measure_of(task.get("measure")),
        row_filter=parse_row_filter(task["row_filter"]),
    )
    rows = prepared.rows
    if absolute_total(rows.value) >= clauses.limit(task["owners"]):
        raise AmountOverflow(
            f"文件 {Path(part['path']).name} 的金额绝对值合计超出范围",
            f"file {Path(part['path']).name}: the absolute values add up beyond what the statistic can hold",
        )
    save_kept(folder / "input.npz", rows, key)
    hashes = subject_set(rows, base64.b64decode(task["history_key"]))
    save_subjects(folder / SUBJECTS_FILE, hashes, key)
    if prepared.rejected:
        write_rejects(folder / "rejects.csv", prepared.rejects)
    return {
        "rows": len(rows),
        "own_rows": len(rows),
        "rejected": prepared.rejected,
        "filtered": prepared.filtered_rows,
        "amount_cents": 0,
        "commitment": groups_digest(rows, base64.b64decode(task["salt"])),
        "excluded_rows": prepared.excluded_rows,
        "excluded_subjects": len(prepared.excluded),
        "quality": counts_of(prepared.quality),
    }


@dataclass(frozen=True, slots=True)
class PreparedGroups:
    """Rows ready to be shared; what is wrong with others, and how many these are; whose rows were left out."""

    rows: GroupRows
    rejects: Rejects
    rejected: int
    excluded_rows: int
    excluded: frozenset[str]
    quality: QualityCounts | None
    filtered_rows: int = 0


def subject_set(rows: GroupRows, key: bytes) -> np.ndarray:
    """(m,) uint64, ascending: keyed hashes of the distinct subjects that have a row."""
    present = [rows.names[i] for i in np.unique(rows.subject)]
    found = b"".join(
        hashlib.blake2b(n.encode(), digest_size=8, key=key, person=b"hefu history").digest() for n in present
    )
    return np.unique(np.frombuffer(found, dtype="<u8"))


def prepare_groups(
    source: Source,
    data_set: DataSet,
    clauses: AggregateParameters,
    *,
    allowed: list[str],
    owner: str,
    batch: int,
    business_date: date,
    work_dir: Path | None = None,
    exclusions: Exclusions | None = None,
    measure: Measure | None = None,
    row_filter: RowFilter | None = None,
) -> PreparedGroups:
    """The rows of a business day, and what became of the others.

    allowed     the fields that the contract lets the computation read
    exclusions  subjects who withdrew or objected: their rows are left out before anything else is done with them
    row_filter  the contract's: rows that do not pass are left out, and counted
    raises   SourceError: unreadable file, a column that is missing, undeclared or not in the contract
    """
    with open_workbench(work_dir) as bench:
        opened, filtered = select_rows(bench, open_source(bench, source), data_set, row_filter or RowFilter())
        columns = _columns(opened, data_set, clauses, allowed, owner)
        fields = _create_rows(bench, opened, data_set, clauses, columns)
        within = f"day = DATE '{business_date}'"
        bench.connection.execute("ALTER TABLE parsed ADD COLUMN ok BOOLEAN DEFAULT false")
        bench.connection.execute(f"UPDATE parsed SET ok = NOT bad AND {within}")  # noqa: S608
        left_out, excluded = leave_out(bench, exclusions) if exclusions else (0, frozenset())
        quality = measure_quality(bench, opened, data_set, measure) if measure else None
        table = bench.connection.sql(
            "SELECT CAST(number AS INTEGER) AS number, subject, value FROM parsed WHERE ok ORDER BY row_number"
        ).to_arrow_table()
        bad = f"bad AND (day IS NULL OR {within})"
        counted = bench.connection.execute(f"SELECT count(*) FROM parsed WHERE {bad}").fetchall()[0][0]  # noqa: S608
        union = " UNION ALL ".join(
            f"SELECT CAST(row_number AS UBIGINT) AS line, CAST({i} AS UTINYINT) AS field, CAST(p{i} AS UTINYINT) AS reason "  # noqa: S608
            f"FROM parsed WHERE {bad} AND p{i} <> 0"
            for i in range(len(fields))
        )
        found = bench.connection.sql(f"SELECT * FROM ({union}) ORDER BY line, field").to_arrow_table()  # noqa: S608
    rejects = Rejects(
        opened.name,
        fields,
        numbers(found.column("line"), np.uint64),
        numbers(found.column("field"), np.uint8),
        numbers(found.column("reason"), np.uint8),
    )
    offsets, data = text_buffers(table.column("subject"))
    text = data.tobytes()
    names = [text[a:b].decode() for a, b in itertools.pairwise(offsets.tolist())]
    distinct = {name: i for i, name in enumerate(dict.fromkeys(names))}
    rows = GroupRows(
        owner=owner,
        batch=batch,
        group=numbers(table.column("number"), np.int32),
        subject=np.array([distinct[name] for name in names], dtype=np.int32),
        names=tuple(distinct),
        value=numbers(table.column("value"), np.int64),
    )
    return PreparedGroups(rows, rejects, int(counted), left_out, excluded, quality, filtered)


def _columns(
    opened: Opened, data_set: DataSet, clauses: AggregateParameters, allowed: list[str], owner: str
) -> dict[str, str]:
    """The clause's field -> the file's header: declared by the data set and allowed by the contract."""
    for field in data_set.fields:
        opened.column(field.name)
    declared = {field.name for field in data_set.fields}
    given = clauses.columns.get(owner, {})
    found = {name: given.get(name, name) for name in clauses.used_fields()}
    for name, header in found.items():
        if header not in declared or header not in allowed:
            raise MappingMissing(
                f"字段“{name}”对应的列“{header}”未在数据集“{data_set.name}”登记或不在合约范围内",
                f"field {name!r}: column {header!r} is not declared by data set {data_set.name!r}, or not in the contract",
            )
    if data_set.date_field is None:
        raise MappingMissing(
            f"数据集“{data_set.name}”没有日期列", f"data set {data_set.name!r} has no date field"
        )
    if clauses.value and data_set.field(found[clauses.value]).type not in (
        FieldType.MONEY,
        FieldType.INTEGER,
    ):
        raise MappingMissing(
            f"列“{found[clauses.value]}”不是金额或整数",
            f"column {found[clauses.value]!r} is neither money nor an integer",
        )
    return found


def _create_rows(
    bench: Workbench,
    opened: Opened,
    data_set: DataSet,
    clauses: AggregateParameters,
    columns: dict[str, str],
) -> list[str]:
    """The temporary table `parsed`: row_number, day, subject, value, number, bad, p0…; answers the headers that p0… speak of."""
    moment = opened.column(str(data_set.date_field))
    subject = opened.column(columns[clauses.subject])
    texts = [f"{sql.moment_text(moment)} AS moment", f"{sql.canonical_text(subject)} AS own_subject"]
    headers = [str(data_set.date_field), columns[clauses.subject]]
    missing = REASON_NUMBER["missing_value"]
    problems = [
        f"CASE WHEN surplus THEN {REASON_NUMBER['too_many_columns']} WHEN day IS NOT NULL THEN 0 "
        f"WHEN moment = '' THEN {missing} ELSE {REASON_NUMBER['date_format']} END",
        f"CASE WHEN subject = '' THEN {missing} WHEN {sql.is_scientific('subject')} "
        f"THEN {REASON_NUMBER['scientific_notation']} ELSE 0 END",
    ]
    joins, number, stride = [], "1", clauses.groups()
    for i, key in enumerate(clauses.group_by):
        _create_domain(bench, f"domain{i}", key.categories)
        texts.append(f"{sql.canonical_text(opened.column(columns[key.field]))} AS key{i}")
        headers.append(columns[key.field])
        joins.append(f"LEFT JOIN domain{i} ON key{i} = domain{i}.name")
        stride //= len(key.categories)
        number += f" + domain{i}.place * {stride}"
        problems.append(
            f"CASE WHEN key{i} = '' THEN {missing} WHEN place{i} IS NULL THEN {REASON_NUMBER['category_unknown']} ELSE 0 END"
        )
    places = ", ".join(f"domain{i}.place AS place{i}" for i in range(len(clauses.group_by)))
    value = "CAST(0 AS BIGINT)"
    if clauses.value:
        column = columns[clauses.value]
        texts.append(f"{sql.amount_text(opened.column(column))} AS amount")
        headers.append(column)
        whole = data_set.field(column).type is FieldType.INTEGER
        exact = f"CASE WHEN regexp_full_match(amount, '{_INTEGER}') THEN TRY_CAST(amount AS BIGINT) END"
        value = exact if whole else sql.amount_cents("amount")
        problems.append(sql.amount_problem("amount", "value"))
    judged = ", ".join(f"{p} AS p{i}" for i, p in enumerate(problems))
    bad = " + ".join(f"p{i}" for i in range(len(problems)))
    query = (
        f"CREATE OR REPLACE TEMP TABLE parsed AS SELECT *, {bad} <> 0 AS bad FROM (SELECT *, {judged} FROM ("  # noqa: S608
        f"SELECT source.*, {party_text('own_subject')} AS subject, {sql.business_day('moment')} AS day, {value} AS value, {places}, {number} AS number FROM ("
        f"SELECT row_number, surplus, {', '.join(texts)} FROM {opened.view}) AS source {' '.join(joins)}))"
    )
    with reading(opened.name):
        bench.connection.execute(query)
    return headers


def _create_domain(bench: Workbench, name: str, categories: tuple[str, ...]) -> None:
    connection = bench.connection
    query = f"SELECT {sql.canonical_text('t')} FROM (SELECT ? AS t)"  # noqa: S608
    canonical = [str(connection.execute(query, [c]).fetchall()[0][0]) for c in categories]
    if len(set(canonical)) != len(canonical) or "" in canonical:
        raise MappingMissing(
            "合约的类别列表中有两个类别写法不同而实为同一类别",
            "two categories of the contract are the same in canonical form, or one is empty",
        )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} (name VARCHAR PRIMARY KEY, place INTEGER)")
    connection.executemany(f"INSERT INTO {name} VALUES (?, ?)", [[c, i] for i, c in enumerate(canonical)])  # noqa: S608
