"""The exclusion list 排除名单 of this organisation: data subjects who withdrew, restricted, refused, asked for deletion or opted out.

Kept as keyed hashes under a secret of this node (K1, K8, K13). An identifier is in memory while its line is read and nowhere
else: not in the table, not in the evidence, not in a log, not in an error.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from sqlalchemy import ColumnElement
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, func, select

from hefu.domain.contract import Contract, ContractDataSet
from hefu.domain.document import Digest
from hefu.domain.rules.exclusion import ExclusionKind, binding_kinds
from hefu.node import datasets
from hefu.node.console_models import ExclusionCount
from hefu.node.context import NodeContext
from hefu.node.refusals import Refusal, not_found, refuse
from hefu.node.sources.engine import Workbench, open_workbench
from hefu.node.sources.subjects import canonical_subjects, subject_token
from hefu.store.base import now
from hefu.store.node_keeping import ExcludedSubjectRow
from hefu.store.node_tables import ContractRow

MAX_BYTES = 128 * 1024 * 1024
MAX_LINES = 2_000_000
MAX_LINE = 4096
_BATCH = 20_000


def add(
    ctx: NodeContext,
    lines: BinaryIO,
    kind: ExclusionKind,
    user: str,
    *,
    data_set_id: str = "",
    contract_id: str = "",
    filing: Digest | None = None,
) -> ExclusionCount:
    """Put subjects on the list: UTF-8, one a line, or the first column of a CSV. All or nothing.

    raises  Refusal: not_found · list_invalid (422) naming the line, never what stands there · list_too_large (413)
    """
    read = added = 0
    with ctx.session() as session, open_workbench(ctx.paths.work) as bench:
        _check_scope(session, data_set_id, contract_id)
        for first, batch in _batches(lines):
            read += len(batch)
            values = _rows(ctx, bench, batch, first, kind, data_set_id, contract_id, filing)
            added += _insert(session, values)
        if read == 0:
            raise _invalid(1)
        total = _count(session, data_set_id, contract_id, kind)
        body = {
            "kind": kind,
            "data_set": data_set_id,
            "contract_id": contract_id,
            "read": read,
            "total": total,
        }
        ctx.record(session, "subjects_excluded", body | {"filing": filing, "by": user})
        session.commit()
    return ExclusionCount(
        kind=kind, data_set_id=data_set_id, contract_id=contract_id, entries=total, read=read
    )


def add_one(
    ctx: NodeContext,
    session: Session,
    identifier: str,
    kind: ExclusionKind,
    user: str,
    contract_id: str,
    filing: Digest,
) -> None:
    """Put one subject on the list for a contract, in the caller's transaction. Raises Refusal: list_invalid (422)."""
    with open_workbench(ctx.paths.work) as bench:
        values = _rows(ctx, bench, [identifier], 1, kind, "", contract_id, filing)
    _insert(session, values)
    body = {"kind": kind, "data_set": "", "contract_id": contract_id, "read": 1, "filing": filing, "by": user}
    total = _count(session, "", contract_id, kind)
    ctx.record(session, "subjects_excluded", {**body, "total": total})


def _rows(
    ctx: NodeContext,
    bench: Workbench,
    identifiers: list[str],
    first: int,
    kind: ExclusionKind,
    data_set_id: str,
    contract_id: str,
    filing: Digest | None,
) -> list[dict[str, Any]]:
    """Rows of the table: keyed hashes of canonical identifiers, each once. first: number of the first line."""
    canonical = canonical_subjects(bench, identifiers)
    for place, subject in enumerate(canonical):
        if subject == "" or "E+" in subject:
            raise _invalid(first + place)
    scope = {"data_set_id": data_set_id, "contract_id": contract_id, "kind": kind, "filing": filing}
    tokens = (subject_token(ctx.keys.subjects, subject) for subject in dict.fromkeys(canonical))
    return [{**scope, "token": token, "since": now()} for token in tokens]


def _insert(session: Session, values: list[dict[str, Any]]) -> int:
    table = ExcludedSubjectRow.__table__  # type: ignore[attr-defined]  # SQLModel adds it
    done = session.connection().execute(insert(table).on_conflict_do_nothing(), values)
    return max(done.rowcount, 0)


def lift(
    ctx: NodeContext,
    identifier: str,
    kind: ExclusionKind,
    user: str,
    *,
    data_set_id: str = "",
    contract_id: str = "",
    filing: Digest | None = None,
) -> ExclusionCount:
    """Take one subject's entry of a kind off the list again. Raises Refusal (not_found, list_invalid)."""
    with ctx.session() as session, open_workbench(ctx.paths.work) as bench:
        _check_scope(session, data_set_id, contract_id)
        token = subject_token(ctx.keys.subjects, canonical_subjects(bench, [identifier])[0])
        row = session.get(ExcludedSubjectRow, (data_set_id, contract_id, token, kind))
        if row is None:
            raise refuse(
                404,
                "not_found",
                "名单中没有该个人的此类记录",
                "the list has no such entry of this person",
                "请核对标识、类别与范围",
                "check identifier, kind and scope",
                limit="identifier",
            )
        session.delete(row)
        session.flush()
        total = _count(session, data_set_id, contract_id, kind)
        body = {"kind": kind, "data_set": data_set_id, "contract_id": contract_id, "total": total}
        ctx.record(session, "subject_exclusion_lifted", body | {"filing": filing, "by": user})
        session.commit()
    return ExclusionCount(kind=kind, data_set_id=data_set_id, contract_id=contract_id, entries=total, read=1)


def counts(ctx: NodeContext) -> list[ExclusionCount]:
    """Entries by scope and kind."""
    row = ExcludedSubjectRow
    scope = (col(row.data_set_id), col(row.contract_id), col(row.kind))
    with ctx.session() as session:
        found = session.exec(select(*scope, func.count()).group_by(*scope).order_by(*scope)).all()
    return [
        ExclusionCount(data_set_id=data_set, contract_id=contract, kind=kind, entries=entries)
        for data_set, contract, kind, entries in found
    ]


def entries_for(session: Session, contract: Contract, clause: ContractDataSet) -> dict[str, int]:
    """Kind → entries that concern a data set under a contract."""
    rows = select(ExcludedSubjectRow.kind, func.count()).where(*_concerning(contract, clause))
    return dict(session.exec(rows.group_by(ExcludedSubjectRow.kind)).all())


def binding_tokens(session: Session, contract: Contract, clause: ContractDataSet) -> list[str]:
    """The tokens that keep subjects out of a data set under a contract, in order."""
    rows = select(ExcludedSubjectRow.token).where(
        *_concerning(contract, clause), col(ExcludedSubjectRow.kind).in_(binding_kinds(clause.legal_basis))
    )
    return sorted(set(session.exec(rows).all()))


def _concerning(contract: Contract, clause: ContractDataSet) -> tuple[ColumnElement[bool], ...]:
    row = ExcludedSubjectRow
    return (
        col(row.data_set_id).in_(["", clause.data_set_id]),
        col(row.contract_id).in_(["", contract.contract_id]),
    )


def _check_scope(session: Session, data_set_id: str, contract_id: str) -> None:
    if data_set_id:
        datasets.definition(session, data_set_id)
    if contract_id:
        known = select(ContractRow.digest).where(ContractRow.contract_id == contract_id)
        if session.exec(known).first() is None:
            raise not_found("合约", "contract", contract_id)


def _count(session: Session, data_set_id: str, contract_id: str, kind: str) -> int:
    row = ExcludedSubjectRow
    rows = select(func.count()).where(
        row.data_set_id == data_set_id, row.contract_id == contract_id, row.kind == kind
    )
    return int(session.exec(rows).one())


def _batches(lines: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    """(number of the first line, identifiers): blank lines are an error, a byte order mark is not."""
    batch: list[str] = []
    first = 1
    for number, line in enumerate(io.TextIOWrapper(lines, "utf-8-sig", errors="replace"), start=1):
        if number > MAX_LINES:
            raise too_large()
        if len(line) > MAX_LINE or "\ufffd" in line:
            raise _invalid(number)
        cells = next(csv.reader([line]), [])
        batch.append(cells[0] if cells else "")
        if len(batch) == _BATCH:
            yield first, batch
            first, batch = number + 1, []
    if batch:
        yield first, batch


def too_large() -> Refusal:
    """413: more than a list may have."""
    return refuse(
        413,
        "list_too_large",
        f"名单超过上限（{MAX_LINES} 行，{MAX_BYTES >> 20} MiB）",
        f"the list is longer than {MAX_LINES} lines or {MAX_BYTES >> 20} MiB",
        "请分批上传",
        "upload it in parts",
        limit=str(MAX_LINES),
    )


def _invalid(line: int) -> Refusal:
    return refuse(
        422,
        "list_invalid",
        f"名单第 {line} 行无法识别（空行、过长或科学计数法）；未保存任何内容",
        f"line {line} of the list can't be read (empty, too long, or a number in scientific notation); nothing was kept",
        "请按每行一个标识（UTF-8）改正后重新上传",
        "mend it, one identifier a line in UTF-8, and upload it again",
        limit=f"line {line}",
    )
