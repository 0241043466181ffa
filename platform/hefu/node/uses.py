"""Uses of a contract, counted by a data holder itself: one for each (contract, job, own input commitment).

A use is consumed before a byte leaves, in one transaction with its evidence. The holder judges by its own count and by the
coordinator's, whichever leaves less; where the coordinator knows of fewer uses than this holder, it computes nothing.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from hefu_ledger.dsse import verify_envelope
from hefu_ledger.errors import LedgerError
from hefu_ledger.evidence import parse_evidence
from sqlmodel import Session, col, select

from hefu.domain.businessdays import business_date
from hefu.domain.contract import Contract
from hefu.domain.counts import digest_of
from hefu.domain.errors import DocumentInvalid
from hefu.domain.job import MAX_ATTEMPTS, Order
from hefu.domain.limits import check_authorisation, check_limits, tally, trial_over
from hefu.domain.verdict import Finding, Severity
from hefu.node import filings
from hefu.node.context import NodeContext
from hefu.node.order_evidence import where
from hefu.node.refusals import Refusal, refuse_for
from hefu.store.base import now
from hefu.store.node_tables import ContractRow, JobRow, UseRow
from hefu.store.signed import decode_envelope


def consume(ctx: NodeContext, session: Session, order: Order, contract: Contract) -> None:
    """Count a use at this holder: (contract, job, own input commitment); a retry with the same commitment is free.

    raises  Refusal when no use is left, this use is not authorised here, its rows are too many, or the coordinator speaks
            of another input than this node committed to
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
    rows = int(row.input["rows"]) if row is not None else 0
    notes = _require_limits(ctx, session, order, contract, rows, counted=use is not None)
    require_authorised(ctx, session, order, contract)
    if use is None:
        use = UseRow(
            contract_id=contract.contract_id,
            job=order.job,
            commitment=commitment,
            attempts=0,
            rows=rows,
            rows_all=max(rows, order.rows or 0),
            at=now(),
        )
        ctx.record(
            session,
            "use_consumed",
            {
                "use": sum(uses_by_job(session, contract.contract_id).values()) + 1,
                "of": contract.limits.max_uses,
                "commitment": commitment,
                "rows": rows,
                "rows_all": max(rows, order.rows or 0),
                "coordinator": order.use_number,
                "notes": notes,
            },
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


def check_rows(
    ctx: NodeContext, session: Session, order: Order, contract: Contract, rows: int
) -> list[Finding]:
    """What stands against so many own rows before anything is consumed: volume, trial, authorisation of this use."""
    found = _check(ctx, session, order, contract, rows, counted=True)
    return [f for f in found if f.severity is not Severity.NOTE] + authorised(
        ctx, session, contract, order, rows
    )


def authorised(
    ctx: NodeContext, session: Session, contract: Contract, order: Order, rows: int | None
) -> list[Finding]:
    """What our own signed authorisation lacks for this use; nothing where the contract's authorisation is a standing one."""
    return check_authorisation(
        contract,
        filings.of_contract(ctx, session, contract),
        job=order.job,
        business_date=order.business_date,
        rows={ctx.org_id: rows},
        today=business_date(now()),
    )


def require_authorised(ctx: NodeContext, session: Session, order: Order, contract: Contract) -> None:
    """Refuse while this organisation has not authorised this use. The decision is its own, whatever the coordinator holds.

    raises  Refusal use_not_authorised
    """
    row = committed(session, order.job)
    _refuse_first(authorised(ctx, session, contract, order, None if row is None else int(row.input["rows"])))


def state_count(ctx: NodeContext, order: Order, contract: Contract) -> tuple[dict[str, object], int]:
    """This holder's count as it answers `prepare`: `{count, digest}`, with evidence of both counts.

    Second: how many of its uses are other ones than what the order is about.
    """
    with ctx.session() as session:
        own = uses_by_job(session, contract.contract_id)
        row = committed(session, order.job)
        key = (contract.contract_id, order.job, "" if row is None else str(row.input["commitment"]))
        count, here = sum(own.values()), session.get(UseRow, key) is not None
        said = {"count": count, "digest": digest_of(own)}
        ctx.record(session, "uses_counted", {**said, "coordinator": order.use_number}, **where(order))
        session.commit()
    return dict(said), count - here


def require_agreement(ctx: NodeContext, order: Order, contract: Contract, others: int) -> None:
    """Compute nothing where the coordinator knows of fewer uses than this holder; both counts are evidence then.

    others  this holder's other uses when it answered `prepare`: the coordinator has counted them, and this one, since
    raises  Refusal use_count_differs, use_count_missing
    """
    told = order.use_number
    if told is not None and told > others:
        return
    with ctx.session() as session:
        ctx.record(session, "use_count_differs", {"own": others + 1, "coordinator": told}, **where(order))
        session.commit()
    raise Refusal(
        403,
        "use_count_missing" if told is None else "use_count_differs",
        f"使用次数不一致：本机构含本次计 {others + 1} 次，调度方计 {told} 次",
        f"the counts of uses differ: {others + 1} with this one at {ctx.org_id}, {told} at the coordinator",
        party=ctx.org_id,
        stage="compute",
        limit=str(others + 1),
        mend_zh="由调度方按账本中的存证重新计数后，重新发起任务",
        mend_en="let the coordinator recount from the evidence in the ledger, then start the job again",
    )


def uses_by_job(session: Session, contract_id: str) -> dict[str, int]:
    """Job → its uses at this holder, over all versions of the contract."""
    return dict(Counter(session.exec(select(UseRow.job).where(UseRow.contract_id == contract_id))))


def recount(ctx: NodeContext, contract_id: str, envelopes: Iterable[str]) -> int:
    """Count again what this holder itself signed, after its database came back from a backup. Answers how many were missing.

    Only its own evidence counts, so that nobody can use up a contract in its name.

    raises  Refusal evidence_invalid
    """
    found = 0
    with ctx.session() as session:
        session.connection().exec_driver_sql("lock table contract_use in exclusive mode")
        for encoded in envelopes:
            try:
                envelope = decode_envelope(encoded)
                verify_envelope(envelope, ctx.keys.identity.public_key())
                said = parse_evidence(envelope)
                commitment, rows = str(said.body["commitment"]), int(said.body["rows"])
                rows_all = int(said.body["rows_all"])
            except (DocumentInvalid, LedgerError, KeyError, TypeError, ValueError) as error:
                raise _evidence_invalid(ctx) from error
            version = session.get(ContractRow, said.contract)
            if (said.kind, said.actor) != ("use_consumed", ctx.org_id) or said.job is None:
                raise _evidence_invalid(ctx)
            if version is None or version.contract_id != contract_id:
                raise _evidence_invalid(ctx)
            if session.get(UseRow, (contract_id, said.job, commitment)) is not None:
                continue
            session.add(
                UseRow(
                    contract_id=contract_id,
                    job=said.job,
                    commitment=commitment,
                    attempts=MAX_ATTEMPTS,
                    rows=rows,
                    rows_all=rows_all,
                    at=datetime.fromisoformat(said.at),
                )
            )
            session.flush()
            found += 1
        if found:
            ctx.record(session, "uses_recounted", {"contract_id": contract_id, "found": found})
        session.commit()
    return found


def _require_limits(
    ctx: NodeContext, session: Session, order: Order, contract: Contract, rows: int, *, counted: bool
) -> list[str]:
    """Refuse what no limit leaves room for; answers the notes. Own rows, and everybody's as announced, both have to fit."""
    found = _check(ctx, session, order, contract, max(rows, order.rows or 0), counted=counted)
    _refuse_first([f for f in found if f.severity is Severity.BLOCK])
    return [f.rule for f in found]


def _check(
    ctx: NodeContext, session: Session, order: Order, contract: Contract, rows: int, *, counted: bool
) -> list[Finding]:
    """The contract's limits by this holder's own count, and by the coordinator's where that is higher."""
    uses = session.exec(select(UseRow).where(UseRow.contract_id == contract.contract_id)).all()
    row = committed(session, order.job)
    this = (order.job, None if row is None else row.input["commitment"])
    others = [use for use in uses if (use.job, use.commitment) != this]
    moment = now()
    spent = tally(((use.at, use.rows_all) for use in others), contract, moment)
    return check_limits(
        contract,
        replace(spent, uses=max(spent.uses, (order.use_number or 1) - 1)),
        moment,
        rows=rows,
        accepted=trial_over(contract, filings.of_contract(ctx, session, contract), business_date(moment)),
        party=ctx.org_id,
        counted=counted,
    )


def _refuse_first(found: Sequence[Finding]) -> None:
    if not found:
        return
    raise refuse_for(found[0], stage="compute")


def _evidence_invalid(ctx: NodeContext) -> Refusal:
    return Refusal(
        422,
        "evidence_invalid",
        "不是本机构签署的使用存证",
        "this is no evidence of a use that this organisation signed",
        party=ctx.org_id,
    )
