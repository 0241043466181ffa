"""A compute node's part at the end of a job: check the half that it holds, verify the release for itself, send, delete."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from hefu_ledger.dsse import verify_envelope
from hefu_ledger.errors import LedgerError
from hefu_ledger.evidence import parse_evidence
from hefu_ledger.proof import Receipt
from sqlmodel import col, select

from hefu.domain.contract import Contract
from hefu.domain.errors import DocumentInvalid
from hefu.domain.job import Order, Stage
from hefu.domain.verdict import Finding, Severity, judge
from hefu.keys.errors import FileSealInvalid
from hefu.keys.public import key_id, load_public_ed25519
from hefu.node import review_checks, storage_keys
from hefu.node.context import COORDINATOR, NodeContext
from hefu.node.order_evidence import evidence_of, where
from hefu.node.sessions import Attempts
from hefu.node.storage_keys import read_stored
from hefu.store.base import now
from hefu.store.node_tables import JobRow, JournalRow
from hefu.store.signed import decode_envelope
from hefu.wire.errors import AcknowledgementInvalid, PeerRefused, PeerUnreachable
from hefu.wire.refusal import Refusal


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
    elif hashlib.sha256(_stored_half(ctx, row)).hexdigest() != digest:
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
        ctx.record(session, "output_checked", body, **where(order))
        session.commit()
    return {
        "verdict": verdict.model_dump(mode="json"),
        "half_digest": digest,
        "evidence": evidence_of(ctx, order.job, order.attempt),
    }


def _stored_half(ctx: NodeContext, row: JobRow) -> bytes:
    """The sealed half; nothing where it is gone, or does not open under the job's storage key."""
    path = Path(row.half_path or "")
    try:
        with ctx.session() as session:
            return read_stored(ctx, session, path, keyed=path.parent)
    except (OSError, FileSealInvalid):
        return b""


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

    Verified: that the ledger, under the key that the contract pins, has included the coordinator's output check of exactly
    this attempt and this half; that each output's quorum of reviewers approved what it names; the age of the last of these.
    """
    with ctx.session() as session:
        row = session.get(JobRow, (order.job, order.attempt))
    if row is None or row.half_path is None or row.half_digest is None:
        raise Refusal(
            409, "half_missing", "未持有结果分片", "holds no half", party=ctx.org_id, stage="release"
        )
    _verify_checkpoint(ctx, order, contract, row.half_digest, receipt, checked)
    decided = review_checks.verify_review(ctx, order, contract, decisions, checked)
    _verify_age(contract, checked, decided)
    sealed = _stored_half(ctx, row)
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
                session, "half_released", {"recipient": recipient, "half": row.half_digest}, **where(order)
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
    except PeerRefused as error:
        raise Refusal(
            error.status if error.status < 500 else 502,
            error.code or "recipient_refused",
            f"结果使用方 {recipient} 拒收：{error.body.get('message_zh', '')}",
            f"the recipient {recipient} refuses the half: {error.message}",
            party=recipient,
            stage="release",
        ) from error
    except AcknowledgementInvalid as error:
        raise Refusal(
            502,
            "answer_invalid",
            f"结果使用方 {recipient} 的应答签名无效",
            f"the answer of the recipient {recipient} is not validly signed",
            party=recipient,
            stage="release",
        ) from error
    return {"evidence": evidence_of(ctx, order.job, order.attempt)}


def _verify_checkpoint(
    ctx: NodeContext, order: Order, contract: Contract, half: str, receipt: str, checked: str
) -> None:
    """The ledger holds the coordinator's output check of this attempt and names this very half."""
    try:
        envelope = decode_envelope(checked)
        evidence = parse_evidence(envelope)
        if envelope.signatures[0].key_id != key_id(load_public_ed25519(contract.platform.coordinator_key)):
            raise LedgerError("the output check is not signed by the coordinator")
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


def _verify_age(contract: Contract, checked: str, decided: datetime | None) -> None:
    """The output check, or the last approval where people took their time over it, is young enough."""
    since = review_checks.time_of(parse_evidence(decode_envelope(checked)))
    if decided is not None:
        since = max(since, decided)
    if (now() - since).total_seconds() > contract.limits.checkpoint_max_age_seconds:
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


def finish(ctx: NodeContext, attempts: Attempts, order: Order) -> dict[str, Any]:
    """Delete prepared inputs, shares and halves of the job; the evidence names what kinds were deleted. (留存与删除)"""
    folder = attempts.folder(order.job)
    deleted = sorted(p.name.split(".")[0].split("-")[0] for p in folder.glob("*")) if folder.exists() else []
    attempts.forget(order.job)
    with ctx.session() as session:
        for row in session.exec(select(JobRow).where(JobRow.job == order.job)):
            row.state, row.half_path, row.updated_at = "finished", None, now()
            session.add(row)
        key = storage_keys.find(ctx, session, folder)
        if key is not None:
            storage_keys.destroy(session, key, "due")
        ctx.record(
            session,
            "inputs_deleted",
            {"deleted": deleted, "left": folder.exists(), "keys": [key.key_digest] if key else []},
            **where(order),
        )
        session.commit()
    if key is not None:
        storage_keys.sweep_pages(ctx)
    return {"evidence": evidence_of(ctx, order.job, order.attempt)}
