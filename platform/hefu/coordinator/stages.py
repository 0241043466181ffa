"""The seven stages of a job as the coordinator carries them out (white paper A, fig. 2 and 6).

Each stage answers a verdict; what a node said comes with its signed evidence, which goes to the ledger in the same
transaction as the stage's outcome. The coordinator orders and compares; it sees counts, digests and verdicts only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hefu_ledger.dsse import verify_envelope
from hefu_ledger.errors import LedgerError
from hefu_ledger.evidence import Evidence, parse_evidence
from hefu_ledger.store import inclusion_receipt, latest_checkpoint
from sqlmodel import Session, col, select

from hefu.components.registry import code_digest
from hefu.coordinator import contracts
from hefu.coordinator.context import CoordinatorContext
from hefu.coordinator.ledger import connection_of
from hefu.coordinator.orders import send_order
from hefu.domain.contract import Contract, ContractState
from hefu.domain.errors import DocumentInvalid
from hefu.domain.job import JobState, Stage
from hefu.domain.positions import check_positions
from hefu.domain.transcripts import compare_ends
from hefu.domain.verdict import Finding, Severity, Verdict, judge
from hefu.keys.certificates import load_certificate
from hefu.keys.public import load_public_ed25519
from hefu.store.base import now
from hefu.store.coordinator_tables import ContractRow, DecisionRow, JobRow, JournalRow, UseRow
from hefu.store.signed import decode_envelope, encode_envelope
from hefu.wire.errors import AcknowledgementInvalid, PeerRefused, PeerUnreachable, WireError

_TRANSIENT = {"busy", "work_failed", "peer_aborted", "checkpoint_stale", "disk_full", "not_prepared"}


@dataclass
class Outcome:
    """What a stage found. `parties` is who acted; `evidence` the nodes' envelopes; `inputs` what the owners committed to."""

    findings: list[Finding] = field(default_factory=list)
    parties: list[str] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    inputs: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)

    def verdict(self, stage: Stage) -> Verdict:
        """Passed where every finding is a note."""
        return judge(stage.value, self.findings)


def block(rule: str, zh: str, en: str, **rest: Any) -> Finding:
    """A finding that stops the job."""
    return Finding(rule=rule, severity=Severity.BLOCK, message_zh=zh, message_en=en, **rest)


def wait(rule: str, zh: str, en: str, **rest: Any) -> Finding:
    """A finding that delays the job."""
    return Finding(rule=rule, severity=Severity.WAIT, message_zh=zh, message_en=en, **rest)


def cast(contract: Contract) -> list[str]:
    """Everybody who takes part in the computation: owners, compute nodes, receivers; each once."""
    return list(
        dict.fromkeys([*contract.owners(), *contract.computation.compute_parties, *contract.recipients()])
    )


def fault(org: str, error: WireError) -> Finding:
    """What went wrong at a node, as a finding that names it."""
    if isinstance(error, PeerUnreachable):
        return wait(
            "node_unreachable",
            f"{org} 的节点无法连接",
            f"the node of {org} cannot be reached",
            party=org,
            seen=error.reason[:200],
            mend_zh=f"请 {org} 启动节点或检查网络，任务将自动重试",
            mend_en=f"let {org} start its node or check the network; the job tries again by itself",
        )
    if isinstance(error, PeerRefused):
        body = error.body
        return Finding(
            rule=error.code,
            severity=Severity.WAIT if error.code in _TRANSIENT or error.status >= 500 else Severity.BLOCK,
            party=org,
            message_zh=str(body.get("message_zh", error.message)),
            message_en=str(body.get("message_en", error.message)),
            expected=str(body.get("limit") or ""),
            mend_zh=str(body.get("mend_zh", "")),
            mend_en=str(body.get("mend_en", "")),
        )
    return block(
        "acknowledgement_invalid",
        f"{org} 的应答签名无效",
        f"the answer of {org} is not validly signed",
        party=org,
    )


def ask_all(
    orgs: Iterable[str], ask: Callable[[str], dict[str, Any]]
) -> tuple[dict[str, dict[str, Any]], list[Finding]]:
    """Ask several nodes at once: replies by organisation, and a finding for each that failed."""
    names = list(orgs)

    def one(org: str) -> dict[str, Any] | WireError:
        try:
            return ask(org)
        except (PeerUnreachable, PeerRefused, AcknowledgementInvalid) as error:
            return error

    with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
        answers = dict(zip(names, pool.map(one, names), strict=True))
    replies = {org: answer for org, answer in answers.items() if isinstance(answer, dict)}
    return replies, [fault(org, answer) for org, answer in answers.items() if isinstance(answer, WireError)]


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
    if row.state != ContractState.ACTIVE:
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
    return out


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


def consume_use(ctx: CoordinatorContext, session: Session, job: JobRow, contract: Contract) -> Finding | None:
    """Count this use in the session's transaction: use, job and evidence commit together. Retries are free."""
    versions = select(ContractRow).where(
        ContractRow.contract_id == contract.contract_id
    )  # they share the count
    session.exec(versions.order_by(col(ContractRow.version)).with_for_update()).all()
    commitment = ":".join(f"{o}={f['commitment']}" for o, f in sorted(job.inputs.items()))
    if session.get(UseRow, (contract.contract_id, job.job_id, commitment)) is not None:
        return None
    used = contracts.uses(session, contract.contract_id)
    today = contracts.uses(session, contract.contract_id, since=now() - timedelta(days=1))
    per_day = contract.limits.max_uses_per_day
    if used >= contract.limits.max_uses or (per_day is not None and today >= per_day):
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


def compute(
    ctx: CoordinatorContext, job: JobRow, contract: Contract, report: Callable[[int, str], None]
) -> Outcome:
    """The nodes run the component among themselves; both ends of every channel must agree (隐私计算)."""
    everybody = cast(contract)
    out = Outcome(parties=everybody)
    report(1, "prepare")
    prepared, faults = ask_all(
        everybody,
        lambda org: send_order(ctx, "prepare", Stage.COMPUTE, job, contract, org),
    )
    if faults:
        out.findings += faults
        if all(f.severity is Severity.WAIT for f in faults):
            out.findings.append(_not_begun())
        return out
    with ctx.session() as session:
        refused = consume_use(ctx, session, job, contract)
        if refused is not None:
            out.findings.append(refused)
            return out
        session.commit()
    hellos = {org: reply["hello"] for org, reply in prepared.items()}
    envelopes: dict[str, list[str]] = {}
    for reply in prepared.values():
        for owner, sealed in reply.get("key_envelopes", {}).items():
            envelopes.setdefault(owner, []).append(sealed)
        out.evidence += reply.get("evidence", [])
    batches = [b for found in job.inputs.values() for b in found["batches"]]
    replies, faults = ask_all(
        everybody,
        lambda org: send_order(
            ctx,
            "compute",
            Stage.COMPUTE,
            job,
            contract,
            org,
            hellos=hellos,
            key_envelopes=envelopes.get(org, []),
            batches=batches,
        ),
    )
    for reply in replies.values():
        out.evidence += reply.get("evidence", [])
    if not faults:
        faults = _await_workers(ctx, job, everybody, out, report)
    if faults:
        _abort(ctx, job, contract, everybody)
        out.findings += faults
        return out
    out.findings += transcripts_agree(out.evidence, job, contract)
    return out


def interrupted(ctx: CoordinatorContext, job: JobRow, contract: Contract) -> Outcome:
    """This service stopped in the middle of a computation: end it everywhere; the next attempt has a session of its own."""
    everybody = cast(contract)
    _abort(ctx, job, contract, everybody)
    return Outcome(
        parties=everybody,
        findings=[
            wait(
                "coordinator_restarted",
                "计算期间调度方重启，任务将以新的会话自动重试",
                "the coordinator was restarted during the computation; the job tries again by itself, in a new session",
                party="coordinator",
            )
        ],
    )


def _not_begun() -> Finding:
    """No session was joined and no use consumed: the job waits under the same attempt."""
    return wait(
        "not_begun",
        "计算尚未开始，任务将自动重试",
        "the computation has not begun; the job tries again by itself",
    )


def _await_workers(
    ctx: CoordinatorContext,
    job: JobRow,
    everybody: list[str],
    out: Outcome,
    report: Callable[[int, str], None],
) -> list[Finding]:
    """Poll until every worker has finished, one has failed, or the deadline passed."""
    deadline = time.monotonic() + ctx.settings.compute_deadline_seconds
    params: dict[str, str | int] = {"job": job.job_id, "attempt": job.attempt}
    last_evidence: dict[str, list[str]] = {}
    while time.monotonic() < deadline:
        states, faults = ask_all(
            everybody, lambda org: dict(ctx.client.get(org, "/orders/status", params, timeout_seconds=20))
        )
        for org, state in states.items():
            last_evidence[org] = state.get("evidence", [])
            if state["state"] in ("failed", "aborted"):
                faults.append(
                    wait(
                        str(state.get("code") or "work_failed"),
                        f"{org} 的计算中止：{state.get('error', '')}",
                        f"the computation at {org} stopped: {state.get('error', '')}",
                        party=org,
                        mend_zh="任务将以新的会话自动重试",
                        mend_en="the job tries again by itself, in a new session",
                    )
                )
        if faults:
            return faults
        done = [s["percent"] for s in states.values()]
        busiest = min(states.values(), key=lambda s: s["percent"])
        report(int(sum(done) / len(done)), str(busiest["step"]))
        if all(s["state"] == "computed" for s in states.values()):
            for found in last_evidence.values():
                out.evidence += found
            return []
        time.sleep(0.2)
    return [
        wait(
            "compute_timeout",
            "计算超时",
            "the computation took too long",
            expected=f"{ctx.settings.compute_deadline_seconds:.0f} s",
        )
    ]


def _abort(ctx: CoordinatorContext, job: JobRow, contract: Contract, everybody: list[str]) -> None:
    ask_all(everybody, lambda org: send_order(ctx, "abort", Stage.COMPUTE, job, contract, org))


def transcripts_agree(evidence: Iterable[str], job: JobRow, contract: Contract) -> list[Finding]:
    """What A says it sent to B is what B says it received from A, for every channel of this attempt, each signed by its end."""
    found: list[Evidence] = []
    try:
        for encoded in evidence:
            envelope = decode_envelope(encoded)
            one = parse_evidence(envelope)
            if one.kind == "channel_transcript":
                verify_envelope(envelope, load_public_ed25519(contract.party(one.actor).identity_key))
                found.append(one)
    except (LedgerError, DocumentInvalid, KeyError) as error:
        return [block("evidence_invalid", "存证无效", f"evidence does not hold: {error}")]
    own = [one for one in found if (one.job, one.attempt) == (job.job_id, job.attempt)]
    working = {*contract.owners(), *contract.computation.compute_parties}
    silent = sorted(working - {one.actor for one in own})
    if silent:
        return [
            block(
                "transcripts_missing",
                f"缺少 {'、'.join(silent)} 的通道记录",
                f"no channel transcripts of {', '.join(silent)} were handed in",
                party=silent[0],
            )
        ]
    differences = compare_ends(own)[job.job_id, job.attempt]
    return [
        block(
            "transcript_mismatch",
            f"{one.sender} 与 {one.receiver} 的通道记录不一致",
            f"the transcripts of {one.sender} and {one.receiver} differ",
            party=one.sender,
            seen=str(one.received),
            expected=str(one.sent),
        )
        for one in differences
    ]


def check_output(ctx: CoordinatorContext, job: JobRow, contract: Contract) -> Outcome:
    """N0 and N2 check what they hold: sizes, recipient, form (输出校验). Nobody sees a status."""
    n0, _, n2 = contract.computation.compute_parties
    out = Outcome(parties=[n0, n2])
    replies, out.findings = ask_all(
        [n0, n2], lambda org: send_order(ctx, "check_output", Stage.CHECK_OUTPUT, job, contract, org)
    )
    for reply in replies.values():
        out.evidence += reply.get("evidence", [])
        out.findings += Verdict.model_validate(reply["verdict"]).findings
    out.body = {"halves": {org: reply["half_digest"] for org, reply in replies.items()}}
    return out


def release(ctx: CoordinatorContext, job: JobRow, contract: Contract, checked: str) -> Outcome:
    """After the review that the contract names, N0 and N2 verify for themselves and send their halves (结果发布).

    checked  the id of the coordinator's `output_checked` evidence: its inclusion in the ledger goes with the order
    """
    n0, _, n2 = contract.computation.compute_parties
    out = Outcome(parties=[n0, n2])
    reviewers = {r for o in contract.outputs for r in o.reviewers}
    with ctx.session() as session:
        decisions = session.exec(
            select(DecisionRow).where(DecisionRow.job_id == job.job_id, DecisionRow.attempt == job.attempt)
        ).all()
    if any(not d.approved for d in decisions):
        refused = [d.org_id for d in decisions if not d.approved]
        out.findings.append(
            block(
                "release_refused",
                f"{'、'.join(refused)} 拒绝发布",
                f"{', '.join(refused)} refused the release",
                party=refused[0],
            )
        )
        return out
    missing = sorted(reviewers - {d.org_id for d in decisions})
    if missing:
        out.findings.append(
            wait(
                "awaiting_review",
                f"等待 {'、'.join(missing)} 审核",
                f"waits for the review by {', '.join(missing)}",
                party=missing[0],
            )
        )
        return out
    receipt = _await_receipt(ctx, checked)
    with ctx.session() as session:
        envelope = session.exec(select(JournalRow.envelope).where(JournalRow.envelope_id == checked)).first()
    if receipt is None or envelope is None:
        out.findings.append(
            wait(
                "ledger_late", "存证账本尚未收录输出校验", "the ledger has not included the output check yet"
            )
        )
        return out
    replies, out.findings = ask_all(
        [n0, n2],
        lambda org: send_order(
            ctx,
            "release",
            Stage.RELEASE,
            job,
            contract,
            org,
            decisions=[encode_envelope(decode_envelope(d.envelope)) for d in decisions],
            receipt=receipt,
            checked=encode_envelope(decode_envelope(envelope)),
        ),
    )
    for reply in replies.values():
        out.evidence += reply.get("evidence", [])
    return out


def _await_receipt(ctx: CoordinatorContext, envelope_id: str, timeout_seconds: float = 30) -> str | None:
    """The inclusion proof of an envelope once the sequencer has appended it."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        ctx.wake_sequencer.set()
        with ctx.session() as session:
            connection = connection_of(session)
            if latest_checkpoint(connection) is not None:
                receipt = inclusion_receipt(connection, envelope_id)
                if receipt is not None:
                    return receipt.to_bytes().decode()
        time.sleep(0.1)
    return None


def retain_and_delete(ctx: CoordinatorContext, job: JobRow, contract: Contract) -> Outcome:
    """Every party deletes what it held for the job, but what it must keep (留存与删除)."""
    out = Outcome(parties=cast(contract))
    replies, out.findings = ask_all(
        out.parties, lambda org: send_order(ctx, "finish", Stage.RETAIN_AND_DELETE, job, contract, org)
    )
    for reply in replies.values():
        out.evidence += reply.get("evidence", [])
    return out


def still_open(ctx: CoordinatorContext, job_id: str) -> bool:
    """False once the job was cancelled or closed."""
    with ctx.session() as session:
        return session.exec(select(JobRow.state).where(JobRow.job_id == job_id)).one() in (
            JobState.REQUESTED,
            JobState.RUNNING,
            JobState.WAITING,
            JobState.AWAITING_REVIEW,
        )
