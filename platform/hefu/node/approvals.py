"""Approvals as this node shows them: the coordinator's object beside the node's own verified signatures.

Where the two differ, the difference is said; the node goes by its own.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlmodel import Session, select

from hefu.domain.approval import Approval, ApprovalKind, ApprovalState
from hefu.domain.contract import ContractState, NoticeKind
from hefu.node.context import COORDINATOR, NodeContext
from hefu.node.contract_life_models import ApprovalView
from hefu.store.base import now
from hefu.store.node_tables import ContractNoticeRow, ContractRow, ContractSignatureRow

_BY_STATE = {
    ApprovalState.OPEN: {ContractState.SIGNING},
    ApprovalState.OVERDUE: {ContractState.SIGNING, ContractState.REFUSED, ContractState.WITHDRAWN},
    ApprovalState.REFUSED: {ContractState.REFUSED, ContractState.TERMINATED},
    ApprovalState.WITHDRAWN: {ContractState.WITHDRAWN, ContractState.SUPERSEDED, ContractState.SIGNING},
    ApprovalState.APPROVED: set(ContractState)
    - {ContractState.SIGNING, ContractState.REFUSED, ContractState.WITHDRAWN},
}
_CONTRACTS = (ApprovalKind.CONTRACT_SIGNATURE, ApprovalKind.AMENDMENT)


class _Told(BaseModel):
    model_config = ConfigDict(extra="ignore")

    contract_id: str | None
    approval: Approval


def list_views(ctx: NodeContext) -> list[ApprovalView]:
    """Open ones first, the most urgent on top. Raises WireError while the coordinator is silent."""
    told = [_Told.model_validate(item) for item in ctx.client.get(COORDINATOR, "/api/approvals")]
    with ctx.session() as session:
        views = [_view(ctx, session, one) for one in told]
    return sorted(views, key=lambda v: (v.urgency == "closed", v.approval.deadline))


def _view(ctx: NodeContext, session: Session, told: _Told) -> ApprovalView:
    approval, moment = told.approval, now()
    waits_for = list(approval.waits_for())
    urgency: Any = "closed"
    if approval.state is ApprovalState.OPEN:
        urgency = "due" if moment <= approval.deadline else "overdue"
    elif approval.state is ApprovalState.OVERDUE:
        urgency = "overdue"
    return ApprovalView(
        contract_id=told.contract_id,
        approval=approval,
        waits_for=waits_for,
        urgency=urgency,
        days_left=approval.days_left(moment),
        waits_for_us=ctx.org_id in waits_for,
        differences=_differences(session, approval) if approval.kind in _CONTRACTS else [],
    )


def _differences(session: Session, approval: Approval) -> list[str]:
    """What the coordinator says otherwise than this node's own verified copies."""
    row = session.get(ContractRow, approval.subject)
    if row is None:
        return ["本节点尚无该合约 / this node does not have the contract yet"]
    own = set(
        session.exec(
            select(ContractSignatureRow.org_id).where(ContractSignatureRow.digest == approval.subject)
        ).all()
    )
    declined = set(
        session.exec(
            select(ContractNoticeRow.org_id).where(
                ContractNoticeRow.digest == approval.subject,
                ContractNoticeRow.kind == NoticeKind.REFUSE.value,
            )
        ).all()
    )
    said = {answer.org_id for answer in approval.answers if answer.approved}
    refused = {answer.org_id for answer in approval.answers if not answer.approved}
    found = [
        f"{org}：调度方称已签，本节点没有其签名 / said to have signed, no signature here"
        for org in sorted(said - own)
    ]
    if approval.state is not ApprovalState.OVERDUE:
        found += [
            f"{org}：本节点有其签名，调度方未记录 / signed here, unknown to the coordinator"
            for org in sorted(own - said - refused)
        ]
    found += [
        f"{org}：调度方称已拒签，本节点没有其通知 / said to have refused, no notice here"
        for org in sorted(refused - declined)
        if row.state != ContractState.TERMINATED
    ]
    state = ContractState(row.state)
    if state not in _BY_STATE[approval.state]:
        found.append(
            f"状态：调度方 {approval.state.value}，本节点 {state.value} / state: coordinator {approval.state.value}, here {state.value}"
        )
    return found
