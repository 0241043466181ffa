"""Uses of a contract, counted by a data holder itself: one for each (contract, job, own input commitment)."""

from __future__ import annotations

import secrets

from sqlmodel import Session, col, select

from hefu.domain.contract import Contract
from hefu.domain.job import MAX_ATTEMPTS, Order
from hefu.domain.periods import period_start
from hefu.node.context import NodeContext
from hefu.node.order_evidence import where
from hefu.store.base import now
from hefu.store.node_tables import JobRow, UseRow
from hefu.wire.refusal import Refusal


def consume(ctx: NodeContext, session: Session, order: Order, contract: Contract) -> None:
    """Count a use at this holder: (contract, job, own input commitment); a retry with the same commitment is free.

    raises  Refusal when no use is left, or the coordinator speaks of another input than this node committed to
    """
    row = committed(session, order.job)
    commitment = str(row.input["commitment"]) if row is not None else ""
    if not commitment or not secrets.compare_digest(commitment, order.commitments.get(ctx.org_id, "")):
        raise Refusal(
            403,
            "commitment_differs",
            "输入承诺与本节点不符",
            "the order speaks of another input than this node's",
            party=ctx.org_id,
            stage="compute",
        )
    session.exec(select(JobRow).where(JobRow.job == order.job).with_for_update()).all()
    session.connection().exec_driver_sql("lock table contract_use in exclusive mode")
    use = session.get(UseRow, (contract.contract_id, order.job, commitment))
    if use is None:
        used = _check_uses_left(ctx, session, contract)
        rows = int(row.input["rows"]) if row is not None else 0
        use = UseRow(
            contract_id=contract.contract_id,
            job=order.job,
            commitment=commitment,
            attempts=0,
            rows=rows,
            at=now(),
        )
        ctx.record(
            session,
            "use_consumed",
            {"use": used + 1, "of": contract.limits.max_uses, "commitment": commitment},
            **where(order),
        )
    if use.attempts >= MAX_ATTEMPTS:
        raise Refusal(
            403,
            "attempts_exhausted",
            "重试次数已用尽",
            "no attempts left",
            party=ctx.org_id,
            stage="compute",
            limit=str(MAX_ATTEMPTS),
        )
    use.attempts += 1
    session.add(use)


def committed(session: Session, job: str) -> JobRow | None:
    """The row that holds what this owner committed to for a job."""
    return session.exec(
        select(JobRow)
        .where(JobRow.job == job, col(JobRow.input).op("?")("commitment"))
        .order_by(col(JobRow.attempt))
    ).first()


def _check_uses_left(ctx: NodeContext, session: Session, contract: Contract) -> int:
    """Uses so far at this holder, over all versions of the contract. Raises Refusal when there is none left, in all or today."""
    limits = contract.limits
    uses = session.exec(select(UseRow).where(UseRow.contract_id == contract.contract_id)).all()
    counts = [(len(uses), limits.max_uses)]
    for period in limits.per_period:
        start = period_start(period.period, now())
        counts.append((sum(use.at >= start for use in uses), period.max_uses))
    for used, limit in counts:
        if used >= limit:
            raise Refusal(
                403,
                "uses_exhausted",
                f"本机构使用次数已用尽（{used}/{limit}）",
                f"no uses left at {ctx.org_id} ({used}/{limit})",
                party=ctx.org_id,
                stage="compute",
                limit=str(limit),
                mend_zh="续签提高使用次数的新版本",
                mend_en="sign a new version with more uses",
            )
    return len(uses)
