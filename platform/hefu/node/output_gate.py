"""The output gate at the recipient: before anybody sees a value, and again at every look and every export (K7, K12; white paper A, 3.7).

What can be judged before opening is judged on shares by the compute nodes. What needs the clear result is judged here, as the
halves are put together: a table that does not pass is not kept, not shown, not exported. Closed by default.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from sqlmodel import Session

from hefu.components.aggregate_result import GroupTable
from hefu.components.reconcile import ReconcileResult, Status
from hefu.components.registry import component
from hefu.components.steps import check_outputs
from hefu.domain.contract import Contract, Output
from hefu.domain.job import Stage
from hefu.domain.rules.output import gate
from hefu.domain.rules.output.identifiers import check_identifiers
from hefu.domain.rules.output.opened import Suppressed, check_suppressed, check_unchanged
from hefu.domain.rules.output.table import ResultTable
from hefu.domain.rules.say import block
from hefu.domain.verdict import Finding, Severity, Verdict, judge
from hefu.node.context import NodeContext
from hefu.node.refusals import Refusal, refuse
from hefu.store.node_tables import ResultRow

KIND = "output_gate_checked"
_ROW_NUMBERS = 2**32
"""Row numbers are below this: ten digits, fewer than any identifier that the scan looks for."""


def status_table(result: ReconcileResult, recipient: str, content: bytes) -> ResultTable:
    """A reconciliation as the gate sees it: one row of each kind (status, owners of a reference), and how many there are.

    raises  ValueError where a reference is no row number
    """
    if len(result.row) and not (int(result.row.min()) >= 1 and int(result.row.max()) < _ROW_NUMBERS):
        raise ValueError("reference: no row number")
    kinds = np.unique(np.stack([result.status, result.owner, result.partner_owner]).astype(np.int64), axis=1)
    names = (*result.owners, "")  # -1, no counterpart, is the last
    revealed = [0] if result.difference_revealed else []
    return ResultTable(
        columns=("status", "reference", *(["difference"] if result.difference_revealed else [])),
        rows=tuple(
            (Status(s).label, f"{names[o]} {names[p]}".strip(), *revealed) for s, o, p in kinds.T.tolist()
        ),
        subjects=None,
        recipients=(recipient,),
        digest=hashlib.sha256(content).hexdigest(),
        stands_for=len(result.row),
    )


def group_table(table: GroupTable, recipient: str, content: bytes) -> ResultTable:
    """The groups that a statistic shows, as the gate sees them; the suppressed ones are `left_open`."""
    shown = [(row, size) for row, size in zip(table.rows, table.sizes, strict=True) if not row.suppressed]
    return ResultTable(
        columns=(*table.fields, *table.columns),
        rows=tuple((*row.labels, *(getattr(row, name) for name in table.columns)) for row, _ in shown),
        subjects=tuple(subjects for _, (_, subjects) in shown),
        recipients=(recipient,),
        digest=hashlib.sha256(content).hexdigest(),
        stands_for=len(table.rows) + (table.total is not None),
        judged=True,
    )


def left_open(table: GroupTable, announced: int) -> Suppressed:
    """What follows of the suppressed groups. announced: rows that all owners brought."""
    hidden = sum(row.suppressed for row in table.rows)
    return Suppressed(
        shown=len(table.rows) - hidden,
        hidden=hidden,
        rows=announced - sum(rows for rows, _ in table.sizes),
        total=table.total is not None and not table.total.suppressed,
        labels=tuple(label for row in table.rows if row.suppressed for label in row.labels),
    )


def judge_opened(
    org_id: str, contract: Contract, see: Callable[[], ResultTable], left: Suppressed | None = None
) -> Verdict:
    """Whether a result that was just put together may be seen. What cannot be judged may not.

    see   gives the result as the gate sees it
    left  of a statistic: what its suppressed groups leave open
    """
    found: list[Finding] = []
    try:
        table = see()
        check_outputs(contract)
        output = _output(contract, org_id)
        if component(contract.computation.steps[0].component).form == "group_statistics" and left is None:
            raise ValueError("suppressed groups: unknown")
        if "difference" in table.columns and not reveals_difference(contract):
            raise ValueError("difference: not revealed by the component")
        verdict, after = gate.check_output(contract, output, table, totals=False)
        found += [*verdict.findings, *check_unchanged(output, table, after)]
        if left is not None:
            found += [*check_suppressed(output, left), *_scan(output, left.labels)]
        if after is None and not any(f.severity is Severity.BLOCK for f in found):
            raise ValueError("the gate gave nothing out")
    except Exception as error:  # whatever it stumbles over does not open the gate
        found.append(unjudged(org_id, type(error).__name__))
    return judge("check_output", found)


def require_allowed(
    row: ResultRow,
    org_id: str,
    contract: Contract,
    see: Callable[[], ResultTable],
    content: bytes,
    labels: Sequence[str],
) -> None:
    """At a look or an export: this very result passed the gate when it was opened, and still says nothing that may not leave.

    labels  texts beside the table's cells: of suppressed groups
    raises  Refusal (403) with the finding's rule
    """
    kept: dict[str, Any] = row.summary.get("gate") or {}
    try:
        same = hmac.compare_digest(str(kept.get("result")), salted(row.summary["salt"], content))
        found = [] if kept.get("passed") is True and same else [unjudged(org_id, "not this result")]
        table, output = see(), _output(contract, org_id)
        found += [f for check in gate.CHECKS for f in check(output, table)]
        found += _scan(output, labels)
    except Exception as error:
        found = [unjudged(org_id, type(error).__name__)]
    refused = next((f for f in found if f.severity is Severity.BLOCK), None)
    if refused is not None:
        raise refusal(refused)


def reveals_difference(contract: Contract) -> bool:
    """Whether the component was told to reveal by how much amounts differ."""
    return contract.computation.steps[0].parameters.get("reveal_difference") is True


def salted(salt: str, content: bytes) -> str:
    """The digest of a result that goes into evidence, hex."""
    return hashlib.sha256(bytes.fromhex(salt) + content).hexdigest()


def record(ctx: NodeContext, session: Session, row: ResultRow, contract: Contract, verdict: Verdict) -> None:
    """Sign what the gate found: rules by name, nothing of the result. The caller commits."""
    step = contract.computation.steps[0]
    ctx.record(
        session,
        KIND,
        {
            "component": step.component,
            "form": component(step.component).form,
            "passed": verdict.passed,
            "rules": sorted({f.rule for f in verdict.findings}),
            "halves": {node: half["digest"] for node, half in sorted(row.halves.items())},
        },
        contract=row.contract,
        job=row.job,
        attempt=row.attempt,
        stage=Stage.RELEASE.value,
    )


def refusal(finding: Finding) -> Refusal:
    """403: the result may not be seen."""
    return refuse(
        403,
        finding.rule,
        f"产出闸门未通过：{finding.message_zh}",
        f"the output gate is closed: {finding.message_en}",
        finding.mend_zh,
        finding.mend_en,
        party=finding.party,
        stage=Stage.RELEASE.value,
        limit=finding.expected or None,
    )


def unjudged(org_id: str, seen: str) -> Finding:
    """The finding of a gate that could not look."""
    return block(
        "output_not_judged",
        "K7",
        "无法核对该结果是否通过产出检查",
        "whether this result passed the output gate could not be established",
        party=org_id,
        seen=seen,
        mend_zh="请平台方重新执行该任务",
        mend_en="let the operator run the job again",
        source="WP-A 3.7",
        law=("pipl-51",),
    )


def _scan(output: Output, texts: Sequence[str]) -> Iterable[Finding]:
    """Direct identifiers in texts beside the table's cells."""
    table = ResultTable.of(["labels"], [[t] for t in texts], recipients=[output.recipient], digest="")
    return check_identifiers(output, table)


def _output(contract: Contract, org_id: str) -> Output:
    """The clause for this recipient. Raises ValueError unless there is exactly one."""
    (found,) = [output for output in contract.outputs if output.recipient == org_id]
    return found
