"""The coordinator's rows in the shapes that consoles show (`hefu.node.console_models`)."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from sqlalchemy import func, text
from sqlmodel import Session, col, select

from hefu.coordinator import contracts
from hefu.coordinator.calendars import coming_runs
from hefu.coordinator.context import CoordinatorContext
from hefu.coordinator.jobs import seconds_of
from hefu.domain.contract import Contract, read_contract
from hefu.domain.identity import Review
from hefu.domain.job import FINAL_STATES, STAGES, JobState
from hefu.keys.certificates import load_certificate
from hefu.store.base import now
from hefu.store.coordinator_tables import (
    ApplicationRow,
    ContractNoticeRow,
    ContractRow,
    ContractSignatureRow,
    JobRow,
    JournalRow,
    StageRow,
    UseRow,
)
from hefu.store.signed import decode_envelope, read_application
from hefu.wire.refusal import not_found


def participants(ctx: CoordinatorContext) -> list[dict[str, Any]]:
    """The registry as people read it."""
    with ctx.session() as session:
        rows = session.exec(select(ApplicationRow).order_by(col(ApplicationRow.created_at))).all()
    return [_participant(row) for row in rows]


def _participant(row: ApplicationRow) -> dict[str, Any]:
    application = read_application(row.envelope)
    reasons = Review.from_bytes(decode_envelope(row.review).payload).reasons if row.review else ""
    until = (
        load_certificate(row.certificate).not_valid_after_utc
        if row.certificate and row.state == "admitted"
        else None
    )
    return {
        "org_id": row.org_id,
        "legal_name": application.legal_name,
        "legal_name_en": application.legal_name_en,
        "uscc": application.uscc,
        "contact": application.contact,
        "roles": [r.value for r in application.roles],
        "application": row.digest,
        "state": row.state,
        "standing": row.standing,
        "qualifications": [q.model_dump(mode="json") for q in application.qualifications],
        "controlling_shareholder": application.controlling_shareholder,
        "affiliates": list(application.affiliates),
        "self_assessment": application.self_assessment,
        "review_reasons": reasons,
        "identity_key": application.keys.identity,
        "certificate_until": _iso(until),
        "applied_at": application.applied_at.isoformat(),
        "online": None,
    }


def change_counter(ctx: CoordinatorContext) -> int:
    """Grows with every change of registry, contracts or filings: each commits together with evidence that belongs to no job.

    Nodes ask every second, and read the rest only when it has moved.
    """
    with ctx.session() as session:
        newest = select(func.max(JournalRow.signer_seq)).where(col(JournalRow.job).is_(None))
        return session.exec(newest).one() or 0


def contract_summaries(ctx: CoordinatorContext, party: str) -> list[dict[str, Any]]:
    """Contracts of which `party` is one, newest first."""
    with ctx.session() as session:
        rows = session.exec(select(ContractRow).order_by(col(ContractRow.proposed_at).desc())).all()
        signed = _signers(session)
        used = dict(session.exec(select(UseRow.contract_id, func.count()).group_by(UseRow.contract_id)).all())
        found = []
        for row in rows:
            contract = read_contract(row.document)
            if party in [p.org_id for p in contract.parties]:
                found.append(
                    _contract_summary(
                        row, contract, signed.get(row.digest, set()), used.get(row.contract_id, 0)
                    )
                )
        return found


def _signers(session: Session, digest: str | None = None) -> dict[str, set[str]]:
    """Who signed which contract, by digest; of one contract or of all. Every node asks every few seconds: one query."""
    query = select(ContractSignatureRow.digest, ContractSignatureRow.org_id)
    if digest is not None:
        query = query.where(ContractSignatureRow.digest == digest)
    found: dict[str, set[str]] = {}
    for signed, org_id in session.exec(query):
        found.setdefault(signed, set()).add(org_id)
    return found


def _contract_summary(row: ContractRow, contract: Contract, signed: set[str], used: int) -> dict[str, Any]:
    spent = contract.mandate is None and used >= contract.limits.max_uses
    state = "exhausted" if row.state == "active" and spent else row.state
    return {
        "digest": row.digest,
        "contract_id": row.contract_id,
        "version": row.version,
        "title": contract.title,
        "title_en": contract.title_en,
        "template": contract.template,
        "state": state,
        "proposed_by": row.proposed_by,
        "proposed_at": row.proposed_at.isoformat(),
        "signing_deadline": contract.signing_deadline.isoformat(),
        "waits_for": [p.org_id for p in contract.parties if p.org_id not in signed]
        if state == "signing"
        else [],
        "uses": used,
        "max_uses": contract.limits.max_uses,
        "valid_until": contract.limits.valid_until.isoformat(),
    }


def contract_bundle(ctx: CoordinatorContext, digest: str, party: str) -> dict[str, Any]:
    """A contract with every signature and notice, for a node to verify: `{summary, document, signatures, notices}`."""
    with ctx.session() as session:
        row, contract = contracts.load(session, digest)
        if party not in [p.org_id for p in contract.parties]:
            raise not_found("合约", "contract")
        signatures = session.exec(
            select(ContractSignatureRow).where(ContractSignatureRow.digest == digest)
        ).all()
        notices = session.exec(
            select(ContractNoticeRow)
            .where(ContractNoticeRow.digest == digest)
            .order_by(col(ContractNoticeRow.id))
        ).all()
        return {
            "summary": _contract_summary(
                row,
                contract,
                _signers(session, digest).get(digest, set()),
                contracts.uses(session, row.contract_id),
            ),
            "signatures": {s.org_id: _b64(s.envelope) for s in signatures},
            "signed_at": {s.org_id: s.at.isoformat() for s in signatures},
            "notices": [_b64(n.envelope) for n in notices],
        }


def job_summaries(
    ctx: CoordinatorContext, party: str, contract_id: str | None, limit: int
) -> list[dict[str, Any]]:
    """Jobs of contracts of which `party` is one, newest day first."""
    with ctx.session() as session:
        mine = _contracts_of(session, party)
        query = select(JobRow).where(col(JobRow.contract_digest).in_(mine))
        if contract_id is not None:
            query = query.where(JobRow.contract_id == contract_id)
        rows = session.exec(
            query.order_by(col(JobRow.business_date).desc(), col(JobRow.revision).desc()).limit(limit)
        ).all()
        return [job_summary(row) for row in rows]


def _contracts_of(session: Session, party: str) -> list[str]:
    return [
        row.digest
        for row in session.exec(select(ContractRow))
        if party in [p.org_id for p in read_contract(row.document).parties]
    ]


def job_summary(job: JobRow) -> dict[str, Any]:
    """One job in short."""
    passed = STAGES.index(job.stage) if job.stage in list(STAGES) else 0
    inner = int(job.progress.get("percent", 0))
    percent = (
        100
        if job.state in (JobState.SUCCEEDED, JobState.SUPERSEDED)
        else int((passed + inner / 100) * 100 / len(STAGES))
    )
    return {
        "job_id": job.job_id,
        "contract_id": job.contract_id,
        "contract_digest": job.contract_digest,
        "business_date": job.business_date.isoformat(),
        "revision": job.revision,
        "supersedes": job.supersedes,
        "superseded_by": job.superseded_by,
        "state": job.state,
        "stage": job.stage,
        "percent": min(percent, 100),
        "step": str(job.progress.get("step", "")) if job.state not in FINAL_STATES else "",
        "rows": sum(int(found.get("rows", 0)) for found in job.inputs.values()),
        "reason": job.failure or job.reason,
        "requested_by": job.requested_by,
        "created_at": job.created_at.isoformat(),
        "finished_at": _iso(job.finished_at),
        "seconds": seconds_of(job.started_at, job.finished_at),
    }


def job_view(ctx: CoordinatorContext, job_id: str, party: str) -> dict[str, Any]:
    """One job with its stages."""
    with ctx.session() as session:
        job = session.get(JobRow, job_id)
        if job is None or job.contract_digest not in _contracts_of(session, party):
            raise not_found(f"任务 {job_id}", f"job {job_id}")
        rows = session.exec(
            select(StageRow).where(StageRow.job_id == job_id).order_by(col(StageRow.attempt))
        ).all()
        contract = contracts.load(session, job.contract_digest)[1]
        count = (
            session.connection()
            .execute(text("select count(*) from ledger.entry where job = :j"), {"j": job_id})
            .scalar()
        )
    newest = {row.stage: row for row in rows}
    stages = []
    for stage in STAGES:
        row = newest.get(stage.value)
        stages.append(
            {
                "stage": stage.value,
                "state": row.state if row else "pending",
                "attempt": row.attempt if row else job.attempt,
                "started_at": _iso(row.started_at) if row else None,
                "finished_at": _iso(row.finished_at) if row else None,
                "seconds": seconds_of(row.started_at, row.finished_at) if row else None,
                "parties": row.parties.get("acted", []) if row else [],
                "verdict": row.verdict if row and row.verdict else None,
            }
        )
    n0, n1, n2 = contract.computation.compute_parties
    parties = dict.fromkeys(contract.owners(), "data_provider") | dict.fromkeys(
        contract.recipients(), "result_consumer"
    )
    for name, org in (("N0", n0), ("N1", n1), ("N2", n2)):
        parties[org] = f"{parties[org]}, {name}" if org in parties else name
    return {"summary": job_summary(job), "stages": stages, "parties": parties, "evidence": int(count or 0)}


def schedules(ctx: CoordinatorContext, party: str | None = None) -> list[dict[str, Any]]:
    """Schedules of active contracts, with the next ten runs."""
    found = []
    with ctx.session() as session:
        for row in session.exec(select(ContractRow).where(ContractRow.state == "active")):
            contract = read_contract(row.document)
            if contract.schedule is None or (
                party is not None and party not in [p.org_id for p in contract.parties]
            ):
                continue
            covered = session.exec(
                select(JobRow)
                .where(JobRow.contract_id == row.contract_id, JobRow.state == JobState.SUCCEEDED.value)
                .order_by(col(JobRow.business_date).desc())
            ).first()
            cron = row.moved_cron or contract.schedule.cron
            found.append(
                {
                    "contract_id": row.contract_id,
                    "title": contract.title,
                    "title_en": contract.title_en,
                    "cron": cron,
                    "signed_cron": contract.schedule.cron,
                    "run_days": contract.schedule.run_days,
                    "time_zone": contract.schedule.time_zone,
                    "window_minutes": contract.schedule.window_minutes,
                    "paused": row.paused,
                    "last_covered": covered.business_date.isoformat() if covered else None,
                    "next_times": [
                        moment.isoformat()
                        for moment in coming_runs(ctx.paths.root, contract.schedule, cron, now())
                    ],
                }
            )
    return found


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _b64(envelope: bytes) -> str:
    return base64.b64encode(envelope).decode()
