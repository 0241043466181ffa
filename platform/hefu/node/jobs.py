"""This node's part in the stages around the computation: its data, the halves it holds, release, deletion."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

from hefu_ledger.errors import LedgerError
from hefu_ledger.evidence import parse_evidence
from hefu_ledger.proof import Receipt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlmodel import Session, col, select

from hefu.components.reconcile import ReconcileParameters
from hefu.domain.contract import Contract
from hefu.domain.document import Digest
from hefu.domain.errors import DocumentInvalid
from hefu.domain.job import DECISION_TYPE, MAX_ATTEMPTS, JobId, Order, ReleaseDecision, Stage
from hefu.domain.verdict import Finding, Severity, judge
from hefu.keys.public import key_id, load_public_ed25519
from hefu.node import contracts, datasets
from hefu.node.arrivals import file_path
from hefu.node.context import COORDINATOR, NodeContext
from hefu.node.sessions import Attempts, evidence_of, institutions_of
from hefu.node.worker import NO_SPACE
from hefu.node.workers import WorkerFailed, WorkerProcess
from hefu.store.base import now
from hefu.store.node_tables import DataSetRow, JobRow, JournalRow, ResultRow
from hefu.store.signed import decode_envelope, read_signed
from hefu.wire.errors import PeerUnreachable
from hefu.wire.refusal import Refusal


def check_data(ctx: NodeContext, attempts: Attempts, order: Order, contract: Contract) -> dict[str, Any]:
    """Is the day's data here, readable, within the rejected share? Commit to it. (数据源校验)"""
    day = date.fromisoformat(order.business_date)
    allowed = next(d for d in contract.data_sets if d.owner == ctx.org_id)
    step = contract.computation.steps[0]
    parameters = ReconcileParameters.model_validate(step.parameters)
    parts, fingerprint = _parts(ctx, allowed.data_set_id, day, parameters.window_days)
    findings: list[Finding] = []
    kept: dict[str, Any] = {}
    if not parts:
        findings.append(
            Finding(
                rule="data_missing",
                severity=Severity.WAIT,
                party=ctx.org_id,
                seen="",
                expected=f"{allowed.data_set_id} {day}",
                message_zh=f"{ctx.org_id} 尚未提供 {day} 的数据",
                message_en=f"{ctx.org_id} has not provided the data of {day} yet",
                mend_zh=f"请 {ctx.org_id} 在数据集页上传 {day} 的文件",
                mend_en=f"let {ctx.org_id} upload the file of {day} on the data sets page",
            )
        )
    else:
        findings += _check_schema(ctx, contract)
    if not findings:
        kept, findings = _prepare(ctx, attempts, order, contract, parameters, parts, fingerprint)
    verdict = judge(Stage.CHECK_DATA_SOURCES.value, findings)
    with ctx.session() as session:
        ctx.record(
            session,
            "data_source_checked",
            {
                "data_set": allowed.data_set_id,
                "passed": verdict.passed,
                "rules": [f.rule for f in findings],
                "commitment": kept.get("commitment"),
                "rows": kept.get("rows", 0),
                "rejected": kept.get("rejected", 0),
            },
            **_where(order),
        )
        session.commit()
    owners = list(contract.owners())
    side = "institution" if ctx.org_id in institutions_of(contract) else "bank"
    return {
        "verdict": verdict.model_dump(mode="json"),
        "evidence": evidence_of(ctx, order.job, order.attempt),
        "rows": kept.get("rows", 0),
        "commitment": kept.get("commitment") if verdict.passed else None,
        "batches": [
            {
                "owner": ctx.org_id,
                "side": side,
                "batch": owners.index(ctx.org_id),
                "rows": kept.get("rows", 0),
            }
        ],
    }


def _parts(
    ctx: NodeContext, data_set_id: str, day: date, window_days: int
) -> tuple[list[dict[str, str]], str]:
    """The standing file of the day, and of each day around it; with a digest of them all."""
    parts: list[dict[str, str]] = []
    with ctx.session() as session:
        offsets = [0] + [o for n in range(1, window_days + 1) for o in (-n, n)]
        digest = hashlib.sha256()
        for offset in offsets:
            row = datasets.standing(session, data_set_id, day + timedelta(days=offset))
            if row is None:
                if offset == 0:
                    return [], ""
                continue
            day_of_file = row.business_date.isoformat()
            parts.append(
                {"path": str(file_path(ctx, row)), "day": day_of_file, "fingerprint": row.fingerprint}
            )
            digest.update(row.fingerprint.encode())
    return parts, digest.hexdigest()


def _check_schema(ctx: NodeContext, contract: Contract) -> list[Finding]:
    """The data set is still the one that was signed."""
    allowed = next(d for d in contract.data_sets if d.owner == ctx.org_id)
    with ctx.session() as session:
        row = session.get(DataSetRow, allowed.data_set_id)
    if row is not None and row.schema_digest == allowed.schema_digest:
        return []
    return [
        Finding(
            rule="schema_differs",
            severity=Severity.BLOCK,
            party=ctx.org_id,
            seen=row.schema_digest if row else "",
            expected=allowed.schema_digest,
            message_zh=f"{ctx.org_id} 的数据集 {allowed.data_set_id} 与合约登记的结构不符",
            message_en=f"data set {allowed.data_set_id} of {ctx.org_id} has not the schema that was signed",
            mend_zh="恢复数据集结构，或签署新版本",
            mend_en="restore the schema, or sign a new version",
        )
    ]


def _prepare(
    ctx: NodeContext,
    attempts: Attempts,
    order: Order,
    contract: Contract,
    parameters: ReconcileParameters,
    parts: list[dict[str, str]],
    fingerprint: str,
) -> tuple[dict[str, Any], list[Finding]]:
    """Read the files in a worker; the same files of the same job are read once."""
    folder = attempts.folder(order.job)
    with ctx.session() as session:
        row = _job_row(session, order, contract)
        if row.input.get("fingerprint") == fingerprint and (folder / "input.npz").exists():
            return row.input, _rejected_share(ctx, parameters, row.input)
        salt = row.input.get("salt") or base64.b64encode(secrets.token_bytes(32)).decode()
        allowed = next(d for d in contract.data_sets if d.owner == ctx.org_id)
        definition = session.get_one(DataSetRow, allowed.data_set_id).definition
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    institutions = institutions_of(contract)
    task = {
        "task": "prepare",
        "parts": parts,
        "data_set": definition,
        "parameters": parameters.model_dump(mode="json"),
        "owner": ctx.org_id,
        "side": "institution" if ctx.org_id in institutions else "bank",
        "batch": list(contract.owners()).index(ctx.org_id),
        "institutions": institutions,
        "business_date": order.business_date,
        "salt": salt,
        "folder": str(folder),
        "read_only": [str(Path(p["path"]).parent) for p in parts],
        "memory_mb": ctx.settings.worker_memory_mb,
    }
    try:
        report = WorkerProcess(task, ctx.paths.root / "worker.log").wait()
    except WorkerFailed as error:
        transient = error.code in ("work_failed", "worker_died", "disk_full", "aborted", "memory_limit")
        return {}, [
            Finding(
                rule=error.code,
                severity=Severity.WAIT if transient else Severity.BLOCK,
                party=ctx.org_id,
                message_zh=f"{ctx.org_id} 的数据无法读取：{error.zh}",
                message_en=f"the data of {ctx.org_id} can't be read: {error.en}",
                mend_zh="在数据集页查看原因，改正后重新上传",
                mend_en="see the reason on the data sets page, mend the file and upload it again",
            )
        ]
    except OSError as error:
        return {}, [
            Finding(
                rule="disk_full" if error.errno in NO_SPACE else "work_failed",
                severity=Severity.WAIT,
                party=ctx.org_id,
                message_zh=f"{ctx.org_id} 的节点磁盘空间不足",
                message_en=f"the node of {ctx.org_id} has no space left",
                mend_zh="清理磁盘后任务自动重试",
                mend_en="free some space; the job tries again by itself",
            )
        ]
    kept = {k: report[k] for k in ("rows", "own_rows", "rejected", "commitment")} | {
        "fingerprint": fingerprint,
        "own_file": parts[0]["fingerprint"],
        "salt": salt,
    }
    with ctx.session() as session:
        row = _job_row(session, order, contract)
        row.input, row.updated_at = {**row.input, **kept}, now()
        session.add(row)
        session.commit()
    return kept, _rejected_share(ctx, parameters, kept)


def _rejected_share(ctx: NodeContext, parameters: ReconcileParameters, kept: dict[str, Any]) -> list[Finding]:
    """More rows that can't be parsed than the contract allows?"""
    rejected, read = int(kept["rejected"]), int(kept["own_rows"]) + int(kept["rejected"])
    if rejected * 1_000_000 <= parameters.max_rejected_ppm * max(read, 1):
        return []
    return [
        Finding(
            rule="rejected_share",
            severity=Severity.WAIT,
            party=ctx.org_id,
            seen=f"{rejected}/{read}",
            expected=f"≤ {parameters.max_rejected_ppm} ppm",
            message_zh=f"{ctx.org_id} 有 {rejected} 行无法解析，超过合约允许的比例",
            message_en=f"{rejected} rows of {ctx.org_id} can't be parsed, more than the contract allows",
            mend_zh="在数据集页下载拒收明细，改正后重新上传",
            mend_en="download the rejected rows on the data sets page, mend them and upload the file again",
        )
    ]


def _job_row(session: Session, order: Order, contract: Contract) -> JobRow:
    row = session.exec(select(JobRow).where(JobRow.job == order.job).order_by(col(JobRow.attempt))).first()
    return row or JobRow(
        job=order.job,
        attempt=order.attempt,
        contract=contract.digest,
        contract_id=contract.contract_id,
        business_date=date.fromisoformat(order.business_date),
        state="prepared",
        updated_at=now(),
    )


def check_output(ctx: NodeContext, order: Order, contract: Contract) -> dict[str, Any]:
    """What N0 or N2 holds: there, unaltered, for the contract's recipient, of the size that the input implies. (输出校验)"""
    findings: list[Finding] = []
    with ctx.session() as session:
        row = session.get(JobRow, (order.job, order.attempt))
    digest = row.half_digest if row is not None else None
    if row is None or row.half_path is None or digest is None or not Path(row.half_path).exists():
        findings.append(
            _output_finding(
                ctx, "half_missing", "未持有该次计算的结果分片", "holds no half of this attempt's result"
            )
        )
    elif hashlib.sha256(Path(row.half_path).read_bytes()).hexdigest() != digest:
        findings.append(
            _output_finding(
                ctx, "half_altered", "结果分片已被改动", "the half was altered after it was sealed"
            )
        )
    if len(contract.recipients()) != 1:
        findings.append(
            _output_finding(
                ctx, "recipients", "结果接收方与组件不符", "this component serves exactly one recipient"
            )
        )
    verdict = judge(Stage.CHECK_OUTPUT.value, findings)
    with ctx.session() as session:
        body = {
            "passed": verdict.passed,
            "half": digest,
            "recipient": contract.recipients()[0],
            "rules": [f.rule for f in findings],
        }
        ctx.record(session, "output_checked", body, **_where(order))
        session.commit()
    return {
        "verdict": verdict.model_dump(mode="json"),
        "half_digest": digest,
        "evidence": evidence_of(ctx, order.job, order.attempt),
    }


def _output_finding(ctx: NodeContext, rule: str, zh: str, en: str) -> Finding:
    return Finding(
        rule=rule,
        severity=Severity.BLOCK,
        party=ctx.org_id,
        message_zh=f"{ctx.org_id} {zh}",
        message_en=f"{ctx.org_id} {en}",
    )


def release(
    ctx: NodeContext, order: Order, contract: Contract, decisions: list[str], receipt: str, checked: str
) -> dict[str, Any]:
    """Verify the release for ourselves, then send the sealed half to its recipient. (结果发布)

    Verified: the signed decisions of every reviewer whom the contract names; that the ledger, under the key that the
    contract pins, has included the coordinator's output check of exactly this attempt and this half; its age.
    """
    with ctx.session() as session:
        row = session.get(JobRow, (order.job, order.attempt))
    if row is None or row.half_path is None or row.half_digest is None:
        raise Refusal(
            409, "half_missing", "未持有结果分片", "holds no half", party=ctx.org_id, stage="release"
        )
    _verify_decisions(ctx, order, contract, decisions)
    _verify_checkpoint(ctx, order, contract, row.half_digest, receipt, checked)
    sealed = Path(row.half_path).read_bytes() if Path(row.half_path).exists() else b""
    if hashlib.sha256(sealed).hexdigest() != row.half_digest:
        raise Refusal(
            409,
            "half_altered",
            "结果分片已被改动或删除",
            "the half was altered or deleted",
            party=ctx.org_id,
            stage="release",
        )
    recipient = contract.recipients()[0]
    with ctx.session() as session:
        row = session.get_one(JobRow, (order.job, order.attempt))
        if row.state != "released":
            ctx.record(
                session, "half_released", {"recipient": recipient, "half": row.half_digest}, **_where(order)
            )
            row.state, row.updated_at = "released", now()
            session.add(row)
            session.commit()
    head = json.dumps(
        {
            "contract": contract.digest,
            "job": order.job,
            "attempt": order.attempt,
            "business_date": order.business_date,
            "digest": row.half_digest,
            "batches": row.input.get("batches", []),
        }
    ).encode()
    try:
        ctx.client.post(
            recipient, "/peer/results", len(head).to_bytes(4, "big") + head + sealed, timeout_seconds=300
        )
    except PeerUnreachable as error:
        raise Refusal(
            503,
            "recipient_unreachable",
            f"结果使用方 {recipient} 的节点无法连接，结果分片仍封存于本节点",
            f"the node of the recipient {recipient} cannot be reached; the sealed half stays here",
            party=recipient,
            stage="release",
            mend_zh=f"请 {recipient} 启动节点，任务将自动重试",
            mend_en=f"let {recipient} start its node; the job tries again by itself",
        ) from error
    return {"evidence": evidence_of(ctx, order.job, order.attempt)}


def _verify_decisions(ctx: NodeContext, order: Order, contract: Contract, decisions: list[str]) -> None:
    approved: set[str] = set()
    for encoded in decisions:
        for reviewer in {r for o in contract.outputs for r in o.reviewers}:
            try:
                decision = read_signed(
                    encoded,
                    ReleaseDecision,
                    DECISION_TYPE,
                    load_public_ed25519(contract.party(reviewer).identity_key),
                )
            except DocumentInvalid:
                continue
            fits = (decision.job, decision.attempt, decision.contract, decision.org_id) == (
                order.job,
                order.attempt,
                contract.digest,
                reviewer,
            )
            if fits and decision.approved:
                approved.add(reviewer)
    missing = sorted({r for o in contract.outputs for r in o.reviewers} - approved)
    if missing:
        raise Refusal(
            403,
            "not_reviewed",
            f"{'、'.join(missing)} 未批准发布",
            f"{', '.join(missing)} did not approve the release",
            party=missing[0],
            stage="release",
        )


def _verify_checkpoint(
    ctx: NodeContext, order: Order, contract: Contract, half: str, receipt: str, checked: str
) -> None:
    """The ledger holds the coordinator's output check of this attempt and names this very half."""
    try:
        envelope = decode_envelope(checked)
        evidence = parse_evidence(envelope)
        if envelope.signatures[0].key_id != key_id(load_public_ed25519(contract.platform.coordinator_key)):
            raise LedgerError("the output check is not signed by the coordinator")
        from hefu_ledger.dsse import verify_envelope

        verify_envelope(envelope, load_public_ed25519(contract.platform.coordinator_key))
        shown = Receipt.from_bytes(receipt.encode())
        shown.verify(envelope, contract.platform.ledger_vkey)
        _check_not_rolled_back(ctx, shown)
    except (LedgerError, DocumentInvalid) as error:
        raise Refusal(
            403,
            "evidence_invalid",
            "输出校验的存证无效",
            f"the evidence of the output check does not hold: {error}",
            party=COORDINATOR,
            stage="release",
        ) from error
    said = (evidence.kind, evidence.actor, evidence.job, evidence.attempt, evidence.contract)
    if (
        said != ("output_checked", COORDINATOR, order.job, order.attempt, contract.digest)
        or evidence.body.get("passed") is not True
    ):
        raise Refusal(
            403,
            "evidence_invalid",
            "存证不是本次输出校验",
            "the evidence is of something else",
            party=COORDINATOR,
            stage="release",
        )
    halves = evidence.body.get("halves")
    if not isinstance(halves, dict) or halves.get(ctx.org_id) != half:
        raise Refusal(
            403,
            "half_differs",
            "存证中的结果摘要与本节点不符",
            "the evidence names another half",
            party=COORDINATOR,
            stage="release",
        )
    age = (now() - _parse_time(evidence.at)).total_seconds()
    if age > contract.limits.checkpoint_max_age_seconds:
        raise Refusal(
            403,
            "checkpoint_stale",
            "账本检查点过旧",
            "the ledger's checkpoint is too old",
            party=COORDINATOR,
            stage="release",
            limit=f"{contract.limits.checkpoint_max_age_seconds} s",
        )


def _check_not_rolled_back(ctx: NodeContext, shown: Receipt) -> None:
    """A log only grows: what it logged later stands later. An entry of ours that the receipt leaves no room for was dropped.

    raises  Refusal when the ledger shown is behind, or beside, one that gave this node a receipt before
    """
    seq, journal = col(JournalRow.entry_seq), select(JournalRow)
    with ctx.session() as session:
        later = session.exec(journal.where(seq >= shown.index).order_by(seq)).all()
        before = session.exec(journal.where(seq < shown.index).order_by(seq.desc()).limit(1)).all()
    for row in [*later, *before]:
        ours = Receipt.from_bytes((row.receipt or "").encode())
        in_order = (ours.index > shown.index) == ((ours.logged_at or "") > (shown.logged_at or ""))
        same_moment = ours.logged_at == shown.logged_at
        if ours.index == shown.index or not (in_order or same_moment):
            raise Refusal(
                403,
                "ledger_rolled_back",
                "账本落后于本节点已获得的收据",
                f"the ledger contradicts this node's receipt of entry {ours.index}",
                party=COORDINATOR,
                stage="release",
                limit=str(ours.index),
            )


def _parse_time(text: str) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(text.replace("Z", "+00:00"))


class HalfHead(BaseModel):
    """What stands before a sealed half: which result it is of."""

    model_config = ConfigDict(extra="forbid")

    contract: Digest
    job: JobId
    attempt: Annotated[int, Field(ge=1, le=MAX_ATTEMPTS)]
    business_date: date
    digest: Digest
    batches: Annotated[list[dict[str, Any]], Field(max_length=64)]


def _is_of(row: ResultRow) -> tuple[str, date]:
    return row.contract, row.business_date


def _half_differs(sender: str) -> Refusal:
    return Refusal(
        409,
        "half_differs",
        "已收到该结果的另一分片或更新的一次",
        "another half of this attempt, or one of a later attempt, was received already",
        party=sender,
    )


def take_half(ctx: NodeContext, sender: str, body: bytes) -> dict[str, Any]:
    """At the recipient: keep a sealed half as it came, with evidence. It is opened by a person, or at once where set so."""
    size = int.from_bytes(body[:4], "big")
    try:
        head, sealed = HalfHead.model_validate_json(body[4 : 4 + size]), body[4 + size :]
    except ValidationError as error:
        raise Refusal(
            422, "half_invalid", "结果分片格式错误", "the half is malformed", party=sender
        ) from error
    with ctx.session() as session:
        contract = contracts.in_force(ctx, session, head.contract)
        n0, _, n2 = contract.computation.compute_parties
        if sender not in (n0, n2) or ctx.org_id not in contract.recipients():
            raise Refusal(
                403,
                "not_entitled",
                "发送方不是该合约的结果计算方",
                "the sender is not N0 or N2 of this contract",
                party=sender,
            )
        digest = hashlib.sha256(sealed).hexdigest()
        if digest != head.digest:
            raise Refusal(
                422,
                "digest_mismatch",
                "结果分片与摘要不符",
                "the half does not match its digest",
                party=sender,
            )
        job, attempt = head.job, head.attempt
        session.connection().exec_driver_sql("lock table result in exclusive mode")
        row = session.get(ResultRow, job)
        if row is not None and sender in row.halves and row.attempt == attempt:
            if row.halves[sender]["digest"] != digest:
                raise _half_differs(sender)
            return {"complete": row.received_at is not None}
        if row is not None and (
            attempt < row.attempt or (contract.digest, head.business_date) != _is_of(row)
        ):
            raise _half_differs(sender)
        path = ctx.paths.results / f"{job}-{attempt}-{sender}.sealed"
        path.touch(mode=0o600)
        path.write_bytes(sealed)
        if row is None or row.attempt != attempt:
            if row is not None:
                session.delete(row)
                session.flush()
            row = ResultRow(
                job=job,
                attempt=attempt,
                contract=contract.digest,
                contract_id=contract.contract_id,
                business_date=head.business_date,
            )
        row.halves = {**row.halves, sender: {"path": str(path), "digest": digest}}
        row.summary = {**row.summary, "batches": head.batches}
        if {n0, n2} <= set(row.halves):
            row.received_at = now()
        session.add(row)
        ctx.record(
            session,
            "half_received",
            {"from": sender, "half": digest},
            contract=contract.digest,
            job=job,
            attempt=attempt,
            stage=Stage.RELEASE.value,
        )
        session.commit()
        return {"complete": row.received_at is not None}


def finish(ctx: NodeContext, attempts: Attempts, order: Order) -> dict[str, Any]:
    """Delete prepared inputs, shares and halves of the job; the evidence names what kinds were deleted. (留存与删除)"""
    folder = attempts.folder(order.job)
    deleted = sorted(p.name.split(".")[0].split("-")[0] for p in folder.glob("*")) if folder.exists() else []
    attempts.forget(order.job)
    with ctx.session() as session:
        for row in session.exec(select(JobRow).where(JobRow.job == order.job)):
            row.state, row.half_path, row.updated_at = "finished", None, now()
            session.add(row)
        ctx.record(session, "inputs_deleted", {"deleted": deleted, "left": folder.exists()}, **_where(order))
        session.commit()
    return {"evidence": evidence_of(ctx, order.job, order.attempt)}


def _where(order: Order) -> dict[str, Any]:
    return {
        "contract": order.contract,
        "job": order.job,
        "attempt": order.attempt,
        "stage": order.stage.value,
    }
