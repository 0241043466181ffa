"""The record behind a row number: one data row of the file that was a job's input, the contract's fields alone."""

from __future__ import annotations

from sqlmodel import Session, col, select

from hefu.domain.contract import Contract
from hefu.domain.dataset import DataSet
from hefu.node.arrivals import stored_file
from hefu.node.context import NodeContext
from hefu.node.refusals import not_found
from hefu.node.sources.engine import open_workbench
from hefu.node.sources.readers import open_source
from hefu.store.node_tables import ArrivalRow, DataSetRow, JobRow


def read_record(
    ctx: NodeContext, session: Session, part: JobRow, contract: Contract, number: int
) -> dict[str, str]:
    """One data row of the file that was the job's input: the contract's fields as they stand in the file.

    raises  Refusal (not_found) · SourceError
    """
    clause = next(d for d in contract.data_sets if d.owner == ctx.org_id)
    arrival = _input_file(session, part, clause.data_set_id)
    stored = session.get(DataSetRow, clause.data_set_id)
    if arrival is None or stored is None:
        raise not_found("该任务的原始文件", "input file of this job", part.job)
    definition = DataSet.model_validate(stored.definition)
    wanted = [field.name for field in clause.fields if any(f.name == field.name for f in definition.fields)]
    with open_workbench(ctx.paths.work) as bench:
        opened = open_source(bench, stored_file(ctx, session, arrival))
        columns = ", ".join(opened.column(name) for name in wanted)
        found = bench.connection.execute(
            f"SELECT {columns} FROM {opened.view} WHERE row_number = ?",  # noqa: S608  both are the reader's own names
            [number],
        ).fetchone()
    if found is None:
        raise not_found("该行", "row", str(number))
    return {name: "" if value is None else str(value) for name, value in zip(wanted, found, strict=True)}


def _input_file(session: Session, part: JobRow, data_set_id: str) -> ArrivalRow | None:
    """The day's own file that the job read."""
    rows = session.exec(
        select(ArrivalRow)
        .where(
            ArrivalRow.data_set_id == data_set_id,
            ArrivalRow.business_date == part.business_date,
            col(ArrivalRow.state).in_(["arrived", "late", "replaced"]),
        )
        .order_by(col(ArrivalRow.id).desc())
    ).all()
    return next((row for row in rows if row.fingerprint == part.input.get("own_file")), None)
