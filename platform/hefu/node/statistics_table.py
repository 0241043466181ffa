"""A joint statistic at its recipient: both halves put together, kept sealed, shown as a table.

Beside `result_table`, which is for results by row. The file is an envelope of `hefu.keys.sealing` from this organisation to
itself; inside is the canonical JSON (RFC 8785) of the table, which is also what the evidence's digest is of.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rfc8785
from pydantic import ValidationError
from sqlmodel import Session

from hefu.components.aggregate import AggregateParameters
from hefu.components.aggregate_result import GroupHalf, GroupRow, GroupTable, open_groups
from hefu.components.steps import value_unit
from hefu.domain.contract import Contract, read_contract
from hefu.domain.rules.output.table import ResultTable
from hefu.keys.sealing import open_sealed, seal
from hefu.node import storage_keys
from hefu.node.console_models import StatisticsLine, StatisticsTable
from hefu.node.context import NodeContext
from hefu.node.refusals import not_found
from hefu.node.result_halves import half_payloads
from hefu.node.result_table import TableDamaged, table_header
from hefu.store.node_tables import ContractRow, ResultRow


def result_contract(session: Session, row: ResultRow) -> Contract:
    """The contract version that a result is of. Raises Refusal (not_found)."""
    stored = session.get(ContractRow, row.contract)
    if stored is None:
        raise not_found("合约", "contract", row.contract)
    return read_contract(stored.document)


def put_together(
    ctx: NodeContext, session: Session, row: ResultRow, contract: Contract
) -> tuple[StatisticsTable, GroupTable]:
    """Open both halves: the table as it is kept, and as the output gate sees it. Raises Refusal, SealInvalid, EngineError, OSError."""
    clauses = AggregateParameters.model_validate(contract.computation.steps[0].parameters)
    half0, half2 = (GroupHalf.from_bytes(payload) for payload in half_payloads(ctx, session, row))
    fields = tuple(key.field for key in clauses.group_by)
    table = open_groups(half0, half2, fields, clauses.labels(), clauses.release, totals=clauses.totals)
    return shown(table, clauses.value, value_unit(contract, clauses)), table


def shown(table: GroupTable, value: str | None, unit: str | None) -> StatisticsTable:
    """The table as it is stored and sent."""

    def line(row: GroupRow) -> StatisticsLine:
        total = None if row.sum is None else str(row.sum)
        return StatisticsLine(
            labels=list(row.labels),
            suppressed=row.suppressed,
            sum=total,
            count=row.count,
            subjects=row.subjects,
        )

    return StatisticsTable.model_validate(
        {
            "fields": table.fields,
            "columns": table.columns,
            "value": value,
            "unit": unit,
            "rows": [line(row) for row in table.rows],
            "total": line(table.total) if table.total else None,
        }
    )


def as_released(table: StatisticsTable, recipient: str) -> ResultTable:
    """A kept table as the output gate sees it; distinct subjects are not kept with it."""

    def figures_of(line: StatisticsLine) -> dict[str, Any]:
        total = None if line.sum is None else int(line.sum)
        return {"sum": total, "count": line.count, "subjects": line.subjects}

    lines = [*table.rows, *([table.total] if table.total else [])]
    return ResultTable.of(
        [*table.fields, *table.columns],
        [[*line.labels, *(figures_of(line)[name] for name in table.columns)] for line in lines],
        recipients=[recipient],
        digest="",
    )


def table_bytes(table: StatisticsTable) -> bytes:
    """Canonical JSON."""
    return rfc8785.dumps(table.model_dump(mode="json"))


def figures(table: StatisticsTable) -> dict[str, Any]:
    """What the list of results tells."""
    return {
        "form": "group_statistics",
        "groups": len(table.rows),
        "suppressed": sum(row.suppressed for row in table.rows),
        "sides": [],
    }


def write_statistics(ctx: NodeContext, session: Session, row: ResultRow, table: StatisticsTable) -> Path:
    """Seal and write a table (0600); answers its path."""
    path = ctx.paths.results / f"{row.job}-{row.attempt}.table"
    own = ctx.keys.sealing.public_key()
    sealed = seal(table_header(ctx, row), table_bytes(table), sender_key=ctx.keys.identity, recipient_key=own)
    storage_keys.write_stored(path, sealed, storage_keys.result_key(ctx, session, row.job, row.contract_id))
    return path


def read_statistics(ctx: NodeContext, session: Session, row: ResultRow) -> StatisticsTable:
    """The table of an opened result. Raises SealInvalid, FileSealInvalid, TableDamaged, OSError."""
    keyed = storage_keys.result_place(ctx, row.job)
    data = open_sealed(
        storage_keys.read_stored(ctx, session, Path(row.table_path or ""), keyed=keyed),
        expected=table_header(ctx, row),
        recipient_key=ctx.keys.sealing,
        sender_key=ctx.keys.identity.public_key(),
    )
    try:
        return StatisticsTable.model_validate_json(data)
    except ValidationError as error:
        raise TableDamaged("not a table of statistics") from error


def csv_of(table: StatisticsTable, safe: Any) -> Iterator[bytes]:
    """Header and one line per group; `safe` makes a text harmless to spreadsheets."""
    for number, row in enumerate([None, *table.rows, *([table.total] if table.total else [])]):
        out = io.StringIO(newline="")
        if row is None:
            cells: list[Any] = [*map(safe, table.fields), *table.columns, "suppressed"]
        else:
            figures_of = {"sum": row.sum, "count": row.count, "subjects": row.subjects}
            cells = [*map(safe, row.labels), *(figures_of[c] for c in table.columns), int(row.suppressed)]
        csv.writer(out).writerow(cells)
        yield out.getvalue().encode("utf-8-sig" if number == 0 else "utf-8")
