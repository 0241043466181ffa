"""The two sealed halves of a result, as they came, opened under the keys that the contract pins."""

from __future__ import annotations

from pathlib import Path

from sqlmodel import Session

from hefu.components.reconcile import Batch, read_half
from hefu.domain.contract import read_contract
from hefu.engine.halves import Half
from hefu.engine.sorted_halves import SortedHalf
from hefu.keys.public import load_public_ed25519
from hefu.keys.sealing import SealHeader, open_sealed
from hefu.node import storage_keys
from hefu.node.context import NodeContext
from hefu.node.refusals import Refusal, conflict, not_found, refuse
from hefu.node.storage_keys import read_stored
from hefu.store.node_tables import ContractRow, JobRow, ResultRow


def read_batches(session: Session, row: ResultRow) -> list[Batch]:
    """How many rows each owner announced in this attempt, as this node was told when it took part, else with the halves.

    A wrong number opens nothing: the halves' references must be as many as announced.
    """
    part = session.get(JobRow, (row.job, row.attempt))
    announced = (part.input.get("batches") if part is not None else None) or row.summary.get("batches")
    if not announced:
        raise refuse(
            409,
            "batches_unknown",
            "本节点缺少该任务的批次信息，无法启封",
            "this node does not know the job's batches and cannot open the result",
            "请平台方重新执行该任务",
            "let the operator run the job again",
        )
    return [Batch(b["owner"], b["side"], int(b["batch"]), int(b["rows"])) for b in announced]


def open_halves(
    ctx: NodeContext, session: Session, row: ResultRow
) -> tuple[Half | SortedHalf, Half | SortedHalf]:
    """N0's and N2's half of a reconciliation.

    raises  Refusal: not_found · halves_missing (409) · SealInvalid, FileSealInvalid, HalfInvalid, OSError
    """
    half0, half2 = half_payloads(ctx, session, row)
    return read_half(half0), read_half(half2)


def half_payloads(ctx: NodeContext, session: Session, row: ResultRow) -> tuple[bytes, bytes]:
    """What N0 and N2 sealed to this node, of whatever component.

    raises  Refusal: not_found · halves_missing (409) · SealInvalid, OSError
    """
    stored = session.get(ContractRow, row.contract)
    if stored is None:
        raise not_found("合约", "contract", row.contract)
    contract = read_contract(stored.document)
    n0, _, n2 = contract.computation.compute_parties
    opened = []
    for node in (n0, n2):
        half = row.halves.get(node)
        if half is None:
            raise conflict(
                "halves_missing",
                f"尚未收到 {node} 的结果分片",
                f"the half of {node} has not arrived",
                "请等待任务发布完成",
                "wait until the job has been released",
            )
        path = Path(half["path"])
        header = SealHeader(
            sender=node,
            recipient=ctx.org_id,
            contract=row.contract,
            job=row.job,
            attempt=row.attempt,
            date=row.business_date.isoformat(),
            kind="half",
        )
        payload = open_sealed(
            read_stored(
                ctx, session, ctx.paths.results / path, keyed=storage_keys.result_place(ctx, row.job)
            ),
            expected=header,
            recipient_key=ctx.keys.sealing,
            sender_key=load_public_ed25519(contract.party(node).identity_key),
        )
        opened.append(payload)
    return opened[0], opened[1]


def invalid(row: ResultRow, error: Exception) -> Refusal:
    """422: what came opens nothing."""
    return refuse(
        422,
        "result_invalid",
        f"结果分片无法启封，未保留任何内容（{type(error).__name__}）",
        f"the halves do not open, nothing was kept ({type(error).__name__}: {error})",
        "请平台方重新执行该任务；若再次出现，请审计方核查计算方提交的承诺",
        "let the job run again; if it happens again, ask the auditor to check the commitments",
        stage="release",
    )
