"""The checks before the computation: participants, contract, data sources (white paper A, fig. 2 and 6).

What a node said comes with its signed evidence; the coordinator orders and compares, and sees counts, digests and
verdicts only.
"""

from __future__ import annotations

from hefu.components.registry import code_digest
from hefu.coordinator import contracts, filings
from hefu.coordinator.context import CoordinatorContext
from hefu.coordinator.orders import send_order
from hefu.coordinator.outcomes import Outcome, ask_all, block
from hefu.coordinator.uses import check_use
from hefu.domain.cast import cast
from hefu.domain.contract import Contract
from hefu.domain.job import Stage
from hefu.domain.positions import check_positions
from hefu.domain.rules.gates import as_evidence, check_gates
from hefu.domain.verdict import Severity, Verdict
from hefu.engine import ENGINE_VERSION
from hefu.keys.certificates import load_certificate
from hefu.store.base import now
from hefu.store.coordinator_tables import JobRow


def check_participants(ctx: CoordinatorContext, job: JobRow, contract: Contract) -> Outcome:
    """Admitted, certificate valid, in good standing, reachable; the protocol's assumption holds (准入校验)."""
    out = Outcome(parties=[p.org_id for p in contract.parties])
    known = ctx.directory.all()
    for party in contract.parties:
        found = known.get(party.org_id)
        if found is None or found.state != "admitted" or found.digest != party.application:
            out.findings.append(
                block(
                    "not_admitted",
                    f"{party.org_id} 未准入",
                    f"{party.org_id} is not admitted",
                    party=party.org_id,
                )
            )
            continue
        if found.standing != "active":
            out.findings.append(
                block(
                    "participant_suspended",
                    f"{party.org_id} 已被暂停或撤销",
                    f"{party.org_id} is {found.standing}",
                    party=party.org_id,
                    seen=found.standing,
                    expected="active",
                    mend_zh="恢复该机构状态后重新发起",
                    mend_en="resume the organisation, then start the job again",
                )
            )
        elif found.certificate is None or load_certificate(found.certificate).not_valid_after_utc < now():
            out.findings.append(
                block(
                    "certificate_expired",
                    f"{party.org_id} 的证书已过期",
                    f"the certificate of {party.org_id} has expired",
                    party=party.org_id,
                )
            )
    out.findings += check_positions(contract, {org: r.application for org, r in known.items()})
    if not out.findings:
        out.findings += ask_all(
            cast(contract), lambda org: dict(ctx.client.get(org, "/orders/ping", timeout_seconds=10))
        )[1]
    return out


def check_contract(ctx: CoordinatorContext, job: JobRow, contract: Contract) -> Outcome:
    """In force, uses left, this use authorised where each one has to be, code digests equal those that were signed (合约校验)."""
    out = Outcome(parties=["coordinator"])
    with ctx.session() as session:
        row = contracts.load(session, contract.digest)[0]
        found = check_use(session, job, contract, {})
        running = contracts.runs_on(session, row)
    if not running:
        out.findings.append(
            block(
                "contract_not_active",
                f"合约状态为 {row.state}",
                f"the contract is {row.state}",
                seen=row.state,
                expected="active",
                mend_zh="恢复或续签合约",
                mend_en="resume or renew the contract",
            )
        )
    out.findings += found
    for step in contract.computation.steps:
        installed = code_digest(step.component)
        if installed != step.code_digest or step.engine_version != ENGINE_VERSION:
            out.findings.append(
                block(
                    "code_differs",
                    f"组件 {step.component} 的代码与合约不符",
                    f"the code of component {step.component} is not the one that was signed",
                    party=ctx.settings.operator,
                    seen=f"{installed} (engine {ENGINE_VERSION})",
                    expected=f"{step.code_digest} (engine {step.engine_version})",
                    mend_zh="安装合约指定的版本，或签署新版本",
                    mend_en="install the version that the contract names, or sign a new version",
                )
            )
    _check_gates(ctx, job, contract, out)
    return out


def _check_gates(
    ctx: CoordinatorContext, job: JobRow, contract: Contract, out: Outcome, rows: int | None = None
) -> None:
    """The compliance gates as the coordinator sees them; every node closes them again for itself."""
    verdicts = check_gates(filings.matter(ctx, contract, rows=rows, job=job.job_id))
    out.findings += [finding for verdict in verdicts for finding in verdict.findings]
    out.body["gates"] = as_evidence(verdicts)


def check_data_sources(ctx: CoordinatorContext, job: JobRow, contract: Contract) -> Outcome:
    """At each owner, on its own data: present, readable, within the volume; the owner commits to its input (数据源校验)."""
    out = Outcome(parties=list(contract.owners()))
    replies, faults = ask_all(
        contract.owners(),
        lambda org: send_order(ctx, "check_data", Stage.CHECK_DATA_SOURCES, job, contract, org),
    )
    out.findings += faults
    for org, reply in replies.items():
        out.evidence += reply.get("evidence", [])
        out.findings += Verdict.model_validate(reply["verdict"]).findings
        if reply.get("commitment"):
            out.inputs[org] = {
                "commitment": reply["commitment"],
                "rows": reply["rows"],
                "batches": reply["batches"],
            }
    rows = sum(found["rows"] for found in out.inputs.values())
    if not _stopping(out):
        _check_gates(ctx, job, contract, out, rows)
    with ctx.session() as session:
        out.findings += check_use(session, job, contract, out.inputs)
    return out


def _stopping(out: Outcome) -> bool:
    """Whether anything found so far blocks, or has to be waited for."""
    return any(f.severity in (Severity.BLOCK, Severity.WAIT) for f in out.findings)
