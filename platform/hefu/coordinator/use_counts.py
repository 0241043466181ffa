"""Before a use is consumed: the coordinator's count of a contract's uses beside that of every data holder.

A holder states its count with its signed answer to `prepare`. Equal digests are equal counts; else the holder is asked
for its jobs, and `domain/counts.py` says whether the difference has a reason. A holder that lost uses (its database
came back from a backup) gets its own signed evidence of them from the ledger and counts again. What is left blocks the job.
"""

from __future__ import annotations

from typing import Any

from hefu_ledger import store
from pydantic import TypeAdapter, ValidationError

from hefu.coordinator import uses
from hefu.coordinator.context import CoordinatorContext
from hefu.coordinator.ledger import connection_of
from hefu.coordinator.outcomes import block, fault
from hefu.domain.contract import Contract
from hefu.domain.counts import compare_counts, digest_of
from hefu.domain.job import Stage
from hefu.domain.verdict import Finding
from hefu.store.coordinator_tables import JobRow
from hefu.store.signed import encode_envelope
from hefu.wire.errors import AcknowledgementInvalid, PeerRefused, PeerUnreachable

_MOST = 200
"""So many lost uses are handed back at once."""


def check_counts(
    ctx: CoordinatorContext, job: JobRow, contract: Contract, prepared: dict[str, dict[str, Any]]
) -> list[Finding]:
    """Findings of every holder whose count differs; what has no reason is evidence, with both counts.

    prepared  the holders' answers to `prepare`, by organisation
    """
    found: list[Finding] = []
    for holder in contract.owners():
        try:
            found += _check(ctx, contract, holder, prepared[holder].get("uses"))
        except (PeerUnreachable, PeerRefused, AcknowledgementInvalid) as error:
            found.append(fault(holder, error))
    for finding in found:
        if finding.rule == "use_count_differs":
            _record(ctx, job, contract, finding)
    return found


def _check(ctx: CoordinatorContext, contract: Contract, holder: str, said: Any) -> list[Finding]:
    digest = said.get("digest") if isinstance(said, dict) else None
    if digest is None:
        return [
            block(
                "use_count_missing",
                f"{holder} 未报告其使用次数",
                f"{holder} does not state its count of uses",
                party=holder,
                expected="uses.digest",
                mend_zh=f"请 {holder} 升级节点后重新发起任务",
                mend_en=f"let {holder} upgrade its node, then start the job again",
            )
        ]
    with ctx.session() as session:
        mine = uses.uses_by_job(session, contract.contract_id)
    if digest == digest_of(mine):
        return []
    found = _compare(ctx, contract, holder)
    if any(f.rule == "use_count_differs" and f.party == holder for f in found):
        _hand_back(ctx, contract, holder)
        found = _compare(ctx, contract, holder)
    return found


def _compare(ctx: CoordinatorContext, contract: Contract, holder: str) -> list[Finding]:
    own = _jobs_of(ctx, contract, holder)
    with (
        ctx.session() as session
    ):  # after the holder: what it counted in the meantime was counted here before
        mine = uses.uses_by_job(session, contract.contract_id)
        joined = uses.joined_by(session, contract.contract_id, holder)
    return compare_counts(holder, mine, own, joined)


def _jobs_of(ctx: CoordinatorContext, contract: Contract, holder: str) -> dict[str, int]:
    answer = ctx.client.get(holder, "/orders/uses", {"contract_id": contract.contract_id})
    try:
        return TypeAdapter(dict[str, int]).validate_python(answer["uses"])
    except (ValidationError, KeyError, TypeError) as error:
        raise AcknowledgementInvalid(holder, "the count of uses cannot be read") from error


def _hand_back(ctx: CoordinatorContext, contract: Contract, holder: str) -> None:
    """Send a holder its own evidence of the uses that it lost."""
    own = _jobs_of(ctx, contract, holder)
    envelopes: list[str] = []
    with ctx.session() as session:
        lost = [job for job in uses.joined_by(session, contract.contract_id, holder) if not own.get(job)]
        for job_id in lost[:_MOST]:
            entries = store.read_entries(
                connection_of(session), actor=holder, kind="use_consumed", job=job_id
            )
            envelopes += [encode_envelope(e.entry.envelope) for e in entries]
    if envelopes:
        ctx.client.post(
            holder, "/orders/recount", {"contract_id": contract.contract_id, "envelopes": envelopes}
        )


def _record(ctx: CoordinatorContext, job: JobRow, contract: Contract, finding: Finding) -> None:
    with ctx.session() as session:
        ctx.record(
            session,
            "use_count_differs",
            {"party": finding.party, "counts": finding.seen, "said": finding.message_en},
            contract=contract.digest,
            job=job.job_id,
            attempt=job.attempt,
            stage=Stage.COMPUTE.value,
        )
        session.commit()
