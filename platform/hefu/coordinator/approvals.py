"""Approval objects at the coordinator: opened with a proposal or a result, moved by answers, withdrawal and time.

Each change is made in the caller's transaction, together with its evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from hefu.coordinator.context import ACTOR, CoordinatorContext
from hefu.coordinator.reviews import Review
from hefu.domain.approval import Approval, ApprovalKind, ApprovalState, ReleaseSubject
from hefu.domain.contract import Contract, read_contract
from hefu.domain.errors import TransitionRefused
from hefu.domain.job import ReleaseDecision
from hefu.domain.rules.output.review import tally
from hefu.store.base import now
from hefu.store.coordinator_tables import ApprovalRow, ContractRow, JobRow
from hefu.wire.refusal import Refusal

LONGEST_REVIEW = timedelta(hours=8760)  # what a contract may give at most


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


def open_for_release(ctx: CoordinatorContext, session: Session, job: JobRow, review: Review) -> None:
    """One decision for each output that has reviewers, on the halves that the output check found; once an attempt.

    Its deadline is the contract's; where that gives no hours, the approval stands for the longest that a contract may give.
    """
    for number, output in enumerate(review.contract.outputs):
        if not output.reviewers:
            continue
        release = ReleaseSubject(
            contract=review.contract.digest,
            job=job.job_id,
            attempt=job.attempt,
            output=number,
            checked=review.checked,
            halves=review.halves,
        )
        if session.get(ApprovalRow, release.digest) is not None:
            continue
        count = tally(output, (), review.requested_at, now())
        approval = Approval(
            kind=ApprovalKind.RELEASE,
            subject=release.digest,
            requested_by=ACTOR,
            asked=tuple(dict.fromkeys(output.reviewers)),
            opened_at=now(),
            deadline=count.deadline or review.requested_at + LONGEST_REVIEW,
            quorum=count.quorum,
            release=release,
        )
        session.add(
            ApprovalRow(
                kind=approval.kind.value,
                subject=approval.subject,
                contract_id=review.contract.contract_id,
                state=approval.state.value,
                deadline=approval.deadline,
                value=approval.model_dump(mode="json"),
            )
        )
        body = {
            "kind": approval.kind.value,
            "by": ACTOR,
            "asked": len(approval.asked),
            "quorum": count.quorum,
            "output": number,
            "checked": review.checked,
            "deadline": count.deadline.isoformat() if count.deadline else None,
        }
        ctx.record(session, "approval_opened", body, **_where(approval))


def answer_release(
    ctx: CoordinatorContext, session: Session, decision: ReleaseDecision, at: datetime
) -> None:
    """A reviewer's decision, on every output that waits for it."""

    def step(approval: Approval) -> Approval:
        if decision.org_id not in approval.waits_for():
            return approval
        return approval.answer(decision.org_id, approved=decision.approved, at=at, reason=decision.reason)

    move_releases(ctx, session, decision.job, step)


def move_releases(
    ctx: CoordinatorContext, session: Session, job_id: str, step: Callable[[Approval], Approval]
) -> None:
    """Take a step on the open release decisions of a job, all locked before the first is taken."""
    rows = session.exec(
        select(ApprovalRow)
        .where(
            ApprovalRow.kind == ApprovalKind.RELEASE.value,
            ApprovalRow.state == ApprovalState.OPEN.value,
            col(ApprovalRow.value)["release"]["job"].astext == job_id,
        )
        .order_by(col(ApprovalRow.subject))
        .with_for_update()
    ).all()
    for row in rows:
        _step(ctx, session, row, step)


def withdraw_releases(ctx: CoordinatorContext, session: Session, job_id: str, reason: str) -> None:
    """Nobody is asked any longer: the attempt, or the job, is over."""

    def step(approval: Approval) -> Approval:
        expired = approval.expire(now())
        return (
            expired.withdraw(ACTOR, at=now(), reason=reason)
            if expired.state is ApprovalState.OPEN
            else expired
        )

    move_releases(ctx, session, job_id, step)


def move(
    ctx: CoordinatorContext, session: Session, subject: str, step: Callable[[Approval], Approval]
) -> Approval | None:
    """Take a step on the open decision about a document, locked; with evidence where its state changes.

    returns  the decision, or None where none was opened (a version proposed before there were approvals)
    raises   Refusal (approval_closed, 409)
    """
    row = session.exec(select(ApprovalRow).where(ApprovalRow.subject == subject).with_for_update()).first()
    return None if row is None else _step(ctx, session, row, step)


def _step(
    ctx: CoordinatorContext, session: Session, row: ApprovalRow, step: Callable[[Approval], Approval]
) -> Approval:
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
            **_where(after),
        )
    return after


def _where(approval: Approval) -> dict[str, Any]:
    """What the evidence of an approval belongs to: its contract, or the job whose result it is about."""
    if approval.release is None:
        return {"contract": approval.subject}
    release = approval.release
    return {"contract": release.contract, "job": release.job, "attempt": release.attempt}


def tick(ctx: CoordinatorContext) -> None:
    """Close what is overdue, note the reminders that are due. Called with the schedules, every minute."""
    with ctx.session() as session:
        subjects = session.exec(
            select(ApprovalRow.subject).where(ApprovalRow.state == ApprovalState.OPEN.value)
        ).all()
        for subject in subjects:
            move(ctx, session, subject, lambda approval: approval.expire(now()).remind(now()))
            session.commit()  # one at a time: whoever holds the journal may wait for the next


def listed(ctx: CoordinatorContext, party: str) -> list[dict[str, Any]]:
    """The decisions that this party was asked for or asked for itself, the most urgent first; releases to every party."""
    with ctx.session() as session:
        rows = session.exec(select(ApprovalRow).order_by(col(ApprovalRow.deadline))).all()
        found = [(row, Approval.model_validate(row.value)) for row in rows]
        return [
            {"contract_id": row.contract_id, "approval": approval.model_dump(mode="json")}
            for row, approval in found
            if party in approval.asked or party == approval.requested_by or _ours(session, approval, party)
        ]


def _ours(session: Session, approval: Approval, party: str) -> bool:
    """Is it the release of a result under a contract of this party's?"""
    if approval.release is None:
        return False
    contract = read_contract(session.get_one(ContractRow, approval.release.contract).document)
    return any(p.org_id == party for p in contract.parties)
