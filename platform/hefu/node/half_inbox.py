"""At the recipient: sealed halves of a result as they come in."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hefu.components.registry import component
from hefu.domain.document import Digest
from hefu.domain.job import MAX_ATTEMPTS, JobId, Stage
from hefu.node import contracts, storage_keys
from hefu.node.context import NodeContext
from hefu.store.base import now
from hefu.store.node_tables import ResultRow
from hefu.wire.refusal import Refusal


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
    """At the recipient: keep a sealed half as it came, with evidence. It is opened by a person, or at once where set so.

    A later attempt takes the place of an earlier one (whose release broke off) until the result was opened; then it
    changes nothing: the input is the same, and what was opened stays.
    """
    size = int.from_bytes(body[:4], "big")
    try:
        head, sealed = HalfHead.model_validate_json(body[4 : 4 + size]), body[4 + size :]
    except ValidationError as error:
        raise Refusal(
            422, "half_invalid", "结果分片格式错误", "the half is malformed", party=sender
        ) from error
    with ctx.session() as session:
        contract = contracts.in_force(ctx, session, head.contract, job=head.job)
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
        if (
            row is not None
            and row.opened_at is not None
            and _is_of(row) == (contract.digest, head.business_date)
        ):
            return {"complete": True}  # people have seen it: no compute node takes it away again
        if row is not None and (
            attempt < row.attempt or (contract.digest, head.business_date) != _is_of(row)
        ):
            raise _half_differs(sender)
        path = ctx.paths.results / f"{job}-{attempt}-{sender}.sealed"
        key = storage_keys.result_key(ctx, session, job, contract.contract_id)
        storage_keys.write_stored(path, sealed, key)
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
        form = component(contract.computation.steps[0].component).form
        row.summary = {**row.summary, "batches": head.batches, "form": form}
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
