"""Uses of a contract as the coordinator counts them; each data holder counts for itself as well."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from sqlmodel import Session, col, select

from hefu.coordinator import filings
from hefu.coordinator.context import CoordinatorContext
from hefu.domain.businessdays import business_date
from hefu.domain.contract import Contract
from hefu.domain.job import Stage
from hefu.domain.limits import check_authorisation, check_limits, tally, trial_over
from hefu.domain.verdict import Finding, Severity
from hefu.store.base import now
from hefu.store.coordinator_tables import ContractRow, JobRow, UseRow


def consume_use(ctx: CoordinatorContext, session: Session, job: JobRow, contract: Contract) -> Finding | None:
    """Count this use in the session's transaction: use, job and evidence commit together. Retries are free.

    Answers what speaks against it; then nothing was counted.
    """
    versions = select(ContractRow).where(
        ContractRow.contract_id == contract.contract_id
    )  # they share the count
    session.exec(versions.order_by(col(ContractRow.version)).with_for_update()).all()
    commitment = _commitment(job.inputs)
    counted = session.get(UseRow, (contract.contract_id, job.job_id, commitment)) is not None
    found = check_use(session, job, contract, job.inputs, counted=counted)
    against = [f for f in found if f.severity in (Severity.BLOCK, Severity.WAIT)]
    if against or counted:
        return against[0] if against else None
    session.add(
        UseRow(
            contract_id=contract.contract_id,
            job_id=job.job_id,
            commitment=commitment,
            rows=_rows(job.inputs),
            at=now(),
        )
    )
    session.flush()
    ctx.record(
        session,
        "use_consumed",
        {
            "use": number_of_uses(session, contract),
            "of": contract.limits.max_uses,
            "rows": _rows(job.inputs),
            "inputs": {o: f["commitment"] for o, f in job.inputs.items()},
            "notes": [f.rule for f in found],
        },
        contract=contract.digest,
        job=job.job_id,
        attempt=job.attempt,
        stage=Stage.COMPUTE.value,
    )
    return None


def check_use(
    session: Session,
    job: JobRow,
    contract: Contract,
    inputs: Mapping[str, Any],
    *,
    counted: bool | None = None,
) -> list[Finding]:
    """What the contract's limits say about this job's use, by the coordinator's own count; notes among it.

    inputs   what the owners committed to, with its rows; empty while nobody has
    counted  the use was counted already; None: any use of the job counts as that
    """
    uses = session.exec(select(UseRow).where(UseRow.contract_id == contract.contract_id)).all()
    if counted is None:
        counted = any(use.job_id == job.job_id for use in uses)
    others = [use for use in uses if (use.job_id, use.commitment) != (job.job_id, _commitment(inputs))]
    moment = now()
    filed = filings.of_contract(session, contract)
    found = check_limits(
        contract,
        tally(((use.at, use.rows) for use in others), contract, moment),
        moment,
        rows=_rows(inputs) if inputs else None,
        accepted=trial_over(contract, filed, business_date(moment)),
        counted=counted,
    )
    return found + check_authorisation(
        contract,
        filed,
        job=job.job_id,
        business_date=job.business_date.isoformat(),
        rows={o: int(inputs[o]["rows"]) if o in inputs else None for o in contract.owners()},
        today=business_date(moment),
    )


def number_of_uses(session: Session, contract: Contract) -> int:
    """Uses so far, over all versions."""
    return sum(uses_by_job(session, contract.contract_id).values())


def uses_by_job(session: Session, contract_id: str) -> dict[str, int]:
    """Job → its uses, one for each input that was committed to."""
    return dict(Counter(session.exec(select(UseRow.job_id).where(UseRow.contract_id == contract_id))))


def joined_by(session: Session, contract_id: str, holder: str) -> list[str]:
    """Jobs whose use a holder confirmed, under its signature, to have counted too."""
    rows = session.exec(select(UseRow).where(UseRow.contract_id == contract_id))
    return sorted({row.job_id for row in rows if holder in row.joined})


def mark_joined(ctx: CoordinatorContext, job: JobRow, contract: Contract, holders: Iterable[str]) -> None:
    """Remember who has answered the order to compute: it has counted the use before it answered."""
    with ctx.session() as session:
        use = session.exec(
            select(UseRow)
            .where(
                UseRow.contract_id == contract.contract_id,
                UseRow.job_id == job.job_id,
                UseRow.commitment == _commitment(job.inputs),
            )
            .with_for_update()
        ).one()
        use.joined = sorted({*use.joined, *holders} & set(contract.owners()))
        session.add(use)
        session.commit()


def _commitment(of: Mapping[str, Any]) -> str:
    """One digest for the inputs of all owners: of many, they would not fit into the key's index."""
    inputs = ":".join(f"{o}={f['commitment']}" for o, f in sorted(of.items()))
    return hashlib.sha256(inputs.encode()).hexdigest()


def _rows(inputs: Mapping[str, Any]) -> int:
    return sum(int(found["rows"]) for found in inputs.values())
