"""The checks before the computation: participants, contract, data sources (white paper A, fig. 2 and 6).

What a node said comes with its signed evidence; the coordinator orders and compares, and sees counts, digests and
verdicts only.
"""

from __future__ import annotations

from sqlmodel import select

from hefu.components.registry import code_digest
from hefu.coordinator import contracts, filings
from hefu.coordinator.context import CoordinatorContext
from hefu.coordinator.orders import send_order
from hefu.coordinator.outcomes import Outcome, ask_all, block
from hefu.domain.cast import cast
from hefu.domain.contract import Contract
from hefu.domain.job import Stage
from hefu.domain.positions import check_positions
from hefu.domain.rules.gates import as_evidence, check_gates
from hefu.domain.verdict import Verdict
from hefu.keys.certificates import load_certificate
from hefu.store.base import now
from hefu.store.coordinator_tables import JobRow, UseRow


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
    """In force, uses left, code digests equal those that were signed (合约校验)."""
    out = Outcome(parties=["coordinator"])
    limits, moment = contract.limits, now()
    with ctx.session() as session:
        row = contracts.load(session, contract.digest)[0]
        used = contracts.uses(session, contract.contract_id)
        own = session.exec(select(UseRow).where(UseRow.job_id == job.job_id)).first()
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
    if not limits.valid_from <= moment <= limits.valid_until:
        out.findings.append(
            block(
                "contract_expired",
                "合约不在有效期内",
                "the contract is outside its validity",
                seen=moment.isoformat(),
                expected=f"{limits.valid_from.isoformat()} – {limits.valid_until.isoformat()}",
                mend_zh="续签新版本",
                mend_en="sign a new version",
            )
        )
    if own is None and used >= limits.max_uses:
        out.findings.append(
            block(
                "uses_exhausted",
                f"使用次数已用尽（{used}/{limits.max_uses}）",
                f"no uses left ({used}/{limits.max_uses})",
                seen=str(used),
                expected=str(limits.max_uses),
                mend_zh="续签提高使用次数的新版本",
                mend_en="sign a new version with more uses",
            )
        )
    for step in contract.computation.steps:
        installed = code_digest(step.component)
        if installed != step.code_digest:
            out.findings.append(
                block(
                    "code_differs",
                    f"组件 {step.component} 的代码与合约不符",
                    f"the code of component {step.component} is not the one that was signed",
                    party=ctx.settings.operator,
                    seen=installed,
                    expected=step.code_digest,
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
    if not out.findings:
        _check_gates(ctx, job, contract, out, rows)
    if rows > contract.limits.max_rows:
        out.findings.append(
            block(
                "rows_exceeded",
                f"数据量 {rows} 行超过合约上限",
                f"{rows} rows exceed the contract's volume",
                seen=str(rows),
                expected=str(contract.limits.max_rows),
            )
        )
    return out
