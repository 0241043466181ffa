"""This node's part in `check_data_sources`: is the day's data here, readable, as it was signed? Commit to it."""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from hefu.components.registry import component
from hefu.domain.cast import institutions_of
from hefu.domain.contract import Contract, ContractDataSet
from hefu.domain.job import Order, Stage
from hefu.domain.rules.exclusion import binding_kinds, judge_exclusions
from hefu.domain.verdict import Finding, Severity, judge
from hefu.node import datasets, gates, quality_checks, query_history, uses
from hefu.node.arrivals import file_path
from hefu.node.code import check_code
from hefu.node.context import NodeContext
from hefu.node.exclusions import binding_tokens, entries_for
from hefu.node.order_evidence import evidence_of, where
from hefu.node.sessions import Attempts
from hefu.node.storage_keys import job_key, open_key
from hefu.node.worker import NO_SPACE
from hefu.node.workers import WorkerFailed, WorkerProcess
from hefu.store.base import now
from hefu.store.node_tables import DataSetRow, JobRow


def check_data(ctx: NodeContext, attempts: Attempts, order: Order, contract: Contract) -> dict[str, Any]:
    """Is the day's data here, readable, within the rejected share? Commit to it. (数据源校验)"""
    day = date.fromisoformat(order.business_date)
    allowed = next(d for d in contract.data_sets if d.owner == ctx.org_id)
    step = contract.computation.steps[0]
    parameters: Any = component(step.component).parameters.model_validate(step.parameters)
    parts, fingerprint = _parts(ctx, allowed.data_set_id, day, getattr(parameters, "window_days", 0))
    with ctx.session() as session:
        entries = entries_for(session, contract, allowed)
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
    findings += check_code(ctx, contract)
    findings += gates.check(ctx, order, contract)
    findings += judge_exclusions(ctx.org_id, allowed.legal_basis, entries, allowed.subject_field)
    if judge(Stage.CHECK_DATA_SOURCES.value, findings).passed:
        kept, seen = _prepare(ctx, attempts, order, contract, parameters, parts, fingerprint)
        findings += seen
    if kept:
        with ctx.session() as session:
            findings += uses.check_rows(ctx, session, order, contract, int(kept["rows"]))
    if kept and query_history.guarded(contract):
        with ctx.session() as session:
            findings += query_history.check(
                ctx, session, order, contract, str(kept["commitment"]), attempts.folder(order.job)
            )
    verdict = judge(Stage.CHECK_DATA_SOURCES.value, findings)
    left_out = {
        "rows": kept.get("excluded_rows", 0),
        "subjects": kept.get("excluded_subjects", 0),
        "not_applicable": sum(entries.values())
        - sum(entries.get(kind, 0) for kind in binding_kinds(allowed.legal_basis)),
    }
    with ctx.session() as session:
        ctx.record(
            session,
            "data_source_checked",
            {
                "data_set": allowed.data_set_id,
                "passed": verdict.passed,
                "rules": [f.rule for f in verdict.findings],
                "commitment": kept.get("commitment"),
                "rows": kept.get("rows", 0),
                "rejected": kept.get("rejected", 0),
                "excluded": left_out,
                "quality": kept.get("quality"),
                "filtered": kept.get("filtered", 0),
            },
            **where(order),
        )
        session.commit()
    owners = list(contract.owners())
    side = "institution" if ctx.org_id in institutions_of(contract) else "bank"
    return {
        "verdict": verdict.model_dump(mode="json"),
        "evidence": evidence_of(ctx, order.job, order.attempt),
        "rows": kept.get("rows", 0),
        "excluded": left_out,
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
            part = {"path": str(file_path(ctx, row)), "day": day_of_file, "fingerprint": row.fingerprint}
            key = open_key(ctx, session, file_path(ctx, row))
            if key is not None:
                part["key"] = base64.b64encode(key).decode()
            parts.append(part)
            digest.update(row.fingerprint.encode())
    return parts, digest.hexdigest()


def _check_schema(ctx: NodeContext, contract: Contract) -> list[Finding]:
    """The data set is still the one that was signed."""
    allowed = next(d for d in contract.data_sets if d.owner == ctx.org_id)
    with ctx.session() as session:
        row = session.get(DataSetRow, allowed.data_set_id)
    if row is not None and row.schema_digest == allowed.schema_digest:
        return _check_fields(ctx, allowed, row.definition)
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


def _check_fields(ctx: NodeContext, allowed: ContractDataSet, definition: dict[str, Any]) -> list[Finding]:
    """Each field that the contract names is one of the data set's, of the type, grade and class that the owner registered."""
    known = {field["name"]: field for field in definition.get("fields", [])}
    found = []
    for named in allowed.fields:
        claimed = named.model_dump(mode="json", exclude={"name", "necessity"})
        own = known.get(named.name)
        registered = None if own is None else {name: own.get(name) for name in claimed}
        if registered == claimed:
            continue
        absent = registered is None
        found.append(
            Finding(
                rule="field_absent" if absent else "field_differs",
                severity=Severity.BLOCK,
                party=ctx.org_id,
                point="K10",
                seen="" if registered is None else ", ".join(f"{k}={v}" for k, v in registered.items()),
                expected=f"{named.name}: " + ", ".join(f"{k}={v}" for k, v in claimed.items()),
                message_zh=f"合约字段 {named.name} 不在 {ctx.org_id} 的数据集 {allowed.data_set_id} 中"
                if absent
                else f"合约字段 {named.name} 的类型、分级或类别与 {ctx.org_id} 登记的不符",
                message_en=f"data set {allowed.data_set_id} of {ctx.org_id} has no field {named.name}"
                if absent
                else f"type, grade or class of field {named.name} are not those that {ctx.org_id} registered",
                mend_zh="按登记的数据集签署新版本",
                mend_en="sign a new version that follows the registered data set",
            )
        )
    return found


def _prepare(
    ctx: NodeContext,
    attempts: Attempts,
    order: Order,
    contract: Contract,
    parameters: Any,
    parts: list[dict[str, str]],
    fingerprint: str,
) -> tuple[dict[str, Any], list[Finding]]:
    """Read the files in a worker; the same files of the same job are read once."""
    folder = attempts.folder(order.job)
    allowed = next(d for d in contract.data_sets if d.owner == ctx.org_id)
    with ctx.session() as session:
        row = _job_row(session, order, contract)
        tokens = binding_tokens(session, contract, allowed)
        fingerprint = hashlib.sha256("\n".join([fingerprint, *tokens]).encode()).hexdigest()
        if row.input.get("fingerprint") == fingerprint and (folder / "input.npz").exists():
            return row.input, _look_at(ctx, contract, parameters, row.input)
        salt = row.input.get("salt") or base64.b64encode(secrets.token_bytes(32)).decode()
        definition = session.get_one(DataSetRow, allowed.data_set_id).definition
        storage_key = job_key(ctx, session, folder, order.job, contract.contract_id)
        session.commit()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    institutions = institutions_of(contract)
    task = {
        "task": "prepare",
        "component": contract.computation.steps[0].component,
        "parts": parts,
        "data_set": definition,
        "fields": [field.name for field in allowed.fields],
        "row_filter": allowed.row_filter,
        "parameters": parameters.model_dump(mode="json"),
        "owner": ctx.org_id,
        "side": "institution" if ctx.org_id in institutions else "bank",
        "batch": list(contract.owners()).index(ctx.org_id),
        "institutions": institutions,
        "business_date": order.business_date,
        "salt": salt,
        "storage_key": base64.b64encode(storage_key).decode(),
        "exclusions": {
            "field": allowed.subject_field,
            "key": base64.b64encode(ctx.keys.subjects).decode(),
            "tokens": tokens,
        }
        if tokens
        else None,
        "measure": quality_checks.measure(allowed),
        "owners": len(contract.owners()),
        "history_key": base64.b64encode(query_history.history_key(ctx)).decode(),
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
    reported = (
        "rows",
        "own_rows",
        "rejected",
        "filtered",
        "commitment",
        "excluded_rows",
        "excluded_subjects",
    )
    quality = quality_checks.figures(ctx, allowed, order.business_date, report)
    kept = {k: report[k] for k in reported} | {
        "quality": quality,
        "fingerprint": fingerprint,
        "own_file": parts[0]["fingerprint"],
        "salt": salt,
    }
    with ctx.session() as session:
        row = _job_row(session, order, contract)
        row.input, row.updated_at = {**row.input, **kept}, now()
        session.add(row)
        session.commit()
    return kept, _look_at(ctx, contract, parameters, kept)


def _look_at(ctx: NodeContext, contract: Contract, parameters: Any, kept: dict[str, Any]) -> list[Finding]:
    """What was read against the contract's limits: rejected rows, data quality."""
    allowed = next(d for d in contract.data_sets if d.owner == ctx.org_id)
    return [*_rejected_share(ctx, parameters, kept), *quality_checks.judge(ctx, allowed, kept["quality"])]


def _rejected_share(ctx: NodeContext, parameters: Any, kept: dict[str, Any]) -> list[Finding]:
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
