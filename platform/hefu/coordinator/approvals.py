"""Approval objects at the coordinator: opened with a proposal, moved by signatures, refusals, withdrawal and time.

Each change is made in the caller's transaction, together with its evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlmodel import Session, col, select

from hefu.coordinator.context import CoordinatorContext
from hefu.domain.approval import Approval, ApprovalKind, ApprovalState
from hefu.domain.contract import Contract
from hefu.domain.errors import TransitionRefused
from hefu.store.base import now
from hefu.store.coordinator_tables import ApprovalRow
from hefu.wire.refusal import Refusal


def open_for_contract(
    ctx: CoordinatorContext, session: Session, contract: Contract, proposer: str
) -> Approval:
    """The decision on a proposal; the proposer's own signature, which comes with it, is its first answer."""
    moment = now()
    kind = ApprovalKind.CONTRACT_SIGNATURE if contract.version == 1 else ApprovalKind.AMENDMENT
    approval = Approval(
        kind=kind,
        subject=contract.digest,
        requested_by=proposer,
        asked=tuple(p.org_id for p in contract.parties),
        opened_at=moment,
        deadline=contract.signing_deadline,
    )
    if moment <= approval.deadline:
        approval = approval.answer(proposer, approved=True, at=moment)
    session.add(
        ApprovalRow(
            kind=kind.value,
            subject=contract.digest,
            contract_id=contract.contract_id,
            state=approval.state.value,
            deadline=approval.deadline,
            value=approval.model_dump(mode="json"),
        )
    )
    ctx.record(
        session,
        "approval_opened",
        {"kind": kind.value, "by": proposer, "asked": len(approval.asked)},
        contract=contract.digest,
    )
    return approval


def move(
    ctx: CoordinatorContext, session: Session, subject: str, step: Callable[[Approval], Approval]
) -> Approval | None:
    """Take a step on the open decision about a document, locked; with evidence where its state changes.

    returns  the decision, or None where none was opened (a version proposed before there were approvals)
    raises   Refusal (approval_closed, 409)
    """
    row = session.exec(select(ApprovalRow).where(ApprovalRow.subject == subject).with_for_update()).first()
    if row is None:
        return None
    before = Approval.model_validate(row.value)
    try:
        after = step(before)
    except TransitionRefused as error:
        raise Refusal(
            409,
            "approval_closed",
            f"审批不允许该操作（{before.state.value}）：{error}",
            f"the approval does not allow this: {error}",
            limit=before.state.value,
            mend_zh="刷新后查看审批状态",
            mend_en="refresh and look at the approval",
        ) from error
    row.value, row.state = after.model_dump(mode="json"), after.state.value
    session.add(row)
    if after.state is not before.state:
        ctx.record(
            session,
            "approval_closed",
            {"kind": row.kind, "state": after.state.value, "answers": len(after.answers)},
            contract=subject,
        )
    return after


def tick(ctx: CoordinatorContext) -> None:
    """Close what is overdue, note the reminders that are due. Called with the schedules, every minute."""
    with ctx.session() as session:
        subjects = session.exec(
            select(ApprovalRow.subject).where(ApprovalRow.state == ApprovalState.OPEN.value)
        ).all()
        for subject in subjects:
            move(ctx, session, subject, lambda approval: approval.expire(now()).remind(now()))
        session.commit()


def listed(ctx: CoordinatorContext, party: str) -> list[dict[str, Any]]:
    """The decisions that this party was asked for or asked for itself, the most urgent first."""
    with ctx.session() as session:
        rows = session.exec(select(ApprovalRow).order_by(col(ApprovalRow.deadline))).all()
    found = [(row, Approval.model_validate(row.value)) for row in rows]
    return [
        {"contract_id": row.contract_id, "approval": approval.model_dump(mode="json")}
        for row, approval in found
        if party in approval.asked or party == approval.requested_by
    ]
