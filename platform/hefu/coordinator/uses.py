"""Uses of a contract as the coordinator counts them; each data holder counts for itself as well."""

from __future__ import annotations

import hashlib

from sqlmodel import Session, col, select

from hefu.coordinator import contracts
from hefu.coordinator.context import CoordinatorContext
from hefu.coordinator.outcomes import block
from hefu.domain.contract import Contract
from hefu.domain.job import Stage
from hefu.domain.periods import period_start
from hefu.domain.verdict import Finding
from hefu.store.base import now
from hefu.store.coordinator_tables import ContractRow, JobRow, UseRow


def consume_use(ctx: CoordinatorContext, session: Session, job: JobRow, contract: Contract) -> Finding | None:
    """Count this use in the session's transaction: use, job and evidence commit together. Retries are free."""
    versions = select(ContractRow).where(
        ContractRow.contract_id == contract.contract_id
    )  # they share the count
    session.exec(versions.order_by(col(ContractRow.version)).with_for_update()).all()
    inputs = ":".join(f"{o}={f['commitment']}" for o, f in sorted(job.inputs.items()))
    commitment = hashlib.sha256(
        inputs.encode()
    ).hexdigest()  # of many owners' it would not fit into the key's index
    if session.get(UseRow, (contract.contract_id, job.job_id, commitment)) is not None:
        return None
    used = contracts.uses(session, contract.contract_id)
    spent = any(
        contracts.uses(session, contract.contract_id, since=period_start(limit.period, now()))
        >= limit.max_uses
        for limit in contract.limits.per_period
    )
    if used >= contract.limits.max_uses or spent:
        return block(
            "uses_exhausted",
            f"使用次数已用尽（{used}/{contract.limits.max_uses}）",
            f"no uses left ({used}/{contract.limits.max_uses})",
            seen=str(used),
            expected=str(contract.limits.max_uses),
            mend_zh="续签提高使用次数的新版本",
            mend_en="sign a new version with more uses",
        )
    rows = sum(found["rows"] for found in job.inputs.values())
    session.add(
        UseRow(
            contract_id=contract.contract_id, job_id=job.job_id, commitment=commitment, rows=rows, at=now()
        )
    )
    ctx.record(
        session,
        "use_consumed",
        {
            "use": used + 1,
            "of": contract.limits.max_uses,
            "inputs": {o: f["commitment"] for o, f in job.inputs.items()},
        },
        contract=contract.digest,
        job=job.job_id,
        attempt=job.attempt,
        stage=Stage.COMPUTE.value,
    )
    return None
