"""An owner's files of one business day, made into the rows of a reconciliation, in a worker."""

from __future__ import annotations

import base64
from datetime import date
from pathlib import Path
from typing import Any

from hefu.components.reconcile import ReconcileParameters, rows_digest
from hefu.domain.dataset import DataSet
from hefu.domain.rowfilter import parse_row_filter
from hefu.node.inputs import Part, prepare_input
from hefu.node.kept_rows import save_rows
from hefu.node.prepare_task import counts_of, exclusions_of, measure_of, source_of
from hefu.node.sources.rejects import write_rejects
from hefu.node.sources.selection import project


def prepare_reconcile(task: dict[str, Any]) -> dict[str, Any]:
    """Prepare, keep, and answer counts and the salted digest. Raises SourceError."""
    prepared = prepare_input(
        [Part(source_of(p), date.fromisoformat(p["day"])) for p in task["parts"]],
        project(DataSet.model_validate(task["data_set"]), task["fields"]),
        ReconcileParameters.model_validate(task["parameters"]),
        owner=task["owner"],
        side=task["side"],
        batch=task["batch"],
        institutions=task["institutions"],
        business_date=date.fromisoformat(task["business_date"]),
        work_dir=Path(task["folder"]),
        exclusions=exclusions_of(task.get("exclusions")),
        measure=measure_of(task.get("measure")),
        row_filter=parse_row_filter(task["row_filter"]),
    )
    save_rows(Path(task["folder"]) / "input.npz", prepared.rows, base64.b64decode(task["storage_key"]))
    if prepared.totals.rejected:
        write_rejects(Path(task["folder"]) / "rejects.csv", prepared.rejects)
    return {
        "rows": len(prepared.rows),
        "own_rows": prepared.totals.rows,
        "rejected": prepared.totals.rejected,
        "filtered": prepared.filtered_rows,
        "amount_cents": prepared.totals.amount_cents,
        "commitment": rows_digest(prepared.rows, base64.b64decode(task["salt"])),
        "excluded_rows": prepared.excluded_rows,
        "excluded_subjects": len(prepared.excluded),
        "quality": counts_of(prepared.quality),
    }
