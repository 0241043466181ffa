"""The record behind a reference: asked by the receiver of a result, answered by the row's owner from its own file.

The answer holds the fields that the contract names and nothing else (最小必要), sealed to the asker. It is taken from the
file that was the input of the job. Both sides record the request's random id and nothing else: that a record of a certain job
was asked for would tell the other parties too much.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import secrets
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import col, select

from hefu.domain.contract import Contract
from hefu.keys.errors import SealInvalid
from hefu.keys.public import load_public_ed25519, load_public_x25519
from hefu.keys.sealing import SealHeader, open_sealed, seal
from hefu.node.console_models import RecordRequest, RecordView
from hefu.node.context import NodeContext
from hefu.node.directory import UnknownPeer
from hefu.node.record_files import read_record
from hefu.node.refusals import Refusal, refuse
from hefu.node.supervision import check_owner, contract_of_result, job_asked_about, overdue
from hefu.store.base import now
from hefu.store.node_tables import RecordRow
from hefu.wire.errors import PeerRefused, WireError

log = logging.getLogger("hefu.supervision")

PATH = "/peer/record-requests"


class RecordQuestion(BaseModel):
    """What travels to the owner."""

    model_config = ConfigDict(extra="forbid")

    request_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    contract: str = Field(pattern=r"^[0-9a-f]{64}$")
    job: str = Field(max_length=64)
    attempt: int = Field(ge=1, le=1000)
    row: int = Field(ge=1, lt=2**32)
    reason: str = Field(min_length=1, max_length=500)


def ask(ctx: NodeContext, request: RecordRequest) -> RecordView:
    """Ask an owner. The question is kept and recorded first, then sent; a silent owner is asked again.

    raises  Refusal: not_found · not_an_owner (422)
    """
    with ctx.session() as session:
        _, contract = contract_of_result(session, request.job_id)
        check_owner(contract, request.owner)
        row = RecordRow(
            request_id=secrets.token_hex(16),
            job=request.job_id,
            owner=request.owner,
            asker=ctx.org_id,
            row=request.row,
            reason=request.reason,
            state="asked",
            asked_at=now(),
            due_at=now() + timedelta(hours=contract.duties.record_reply_hours),
        )
        session.add(row)
        ctx.record(session, "record_requested", {"request": row.request_id})
        session.commit()
    try:
        _send(ctx, row.request_id)
    except PeerRefused as error:
        if error.status < 500:
            _mark_refused(ctx, row.request_id)
            raise
        log.warning("record request waits: %s", error)
    except (WireError, UnknownPeer) as error:
        log.warning("record request waits: %s", error)
    return next(view for view in list_views(ctx) if view.request_id == row.request_id)


def ask_again(ctx: NodeContext) -> None:
    """Send once more what was not answered yet."""
    with ctx.session() as session:
        waiting = session.exec(
            select(RecordRow.request_id).where(RecordRow.asker == ctx.org_id, RecordRow.state == "asked")
        ).all()
    for request_id in waiting:
        try:
            _send(ctx, request_id)
        except PeerRefused as error:
            log.error("a record request is refused: %s", error)
            if error.status < 500:
                _mark_refused(ctx, request_id)
        except (WireError, UnknownPeer, Refusal) as error:
            log.info("record request still waits: %s", error)


def list_views(ctx: NodeContext) -> list[RecordView]:
    """Requests asked by this organisation and of it, newest first. The record itself is shown at the asker only."""
    with ctx.session() as session:
        rows = session.exec(select(RecordRow).order_by(col(RecordRow.asked_at).desc())).all()
    return [
        RecordView(
            request_id=row.request_id,
            job_id=row.job,
            owner=row.owner,
            row=row.row,
            reason=row.reason,
            state=_shown_state(row),  # checked by the model
            asked_at=row.asked_at,
            due_at=row.due_at,
            answered_at=row.answered_at,
            record={name: str(value) for name, value in row.record.items()},
        )
        for row in rows
    ]


def _shown_state(row: RecordRow) -> str:
    return "overdue" if row.state == "refused" else overdue(row.state, row.due_at, "asked")


def _mark_refused(ctx: NodeContext, request_id: str) -> None:
    """The owner says no: not asked again by itself, shown as overdue."""
    with ctx.session() as session:
        row = session.get_one(RecordRow, request_id)
        row.state = "refused"
        session.add(row)
        session.commit()


def answer(ctx: NodeContext, sender: str, question: RecordQuestion) -> dict[str, str]:
    """At the owner: the record, sealed to the asker. The same question again gets the same answer, recorded once.

    raises  Refusal: not_entitled (403) · not_found (404) for a row that is not there
    """
    with ctx.session() as session:
        part, contract = job_asked_about(ctx, session, sender, question.contract, question.job)
        known = session.get(RecordRow, question.request_id)
        if known is not None and (known.asker, known.job, known.row) != (sender, question.job, question.row):
            raise refuse(
                409,
                "request_reused",
                "该请求编号已用于其他请求",
                "this request id was used for another request",
                party=sender,
            )
        record = read_record(ctx, session, part, contract, question.row)
        if known is None:
            session.add(
                RecordRow(
                    request_id=question.request_id,
                    job=question.job,
                    owner=ctx.org_id,
                    asker=sender,
                    row=question.row,
                    reason=question.reason,
                    state="answered",
                    asked_at=now(),
                    due_at=now() + timedelta(hours=contract.duties.record_reply_hours),
                    answered_at=now(),
                )
            )
            ctx.record(session, "record_answered", {"request": question.request_id})
            session.commit()
    payload = json.dumps({"request_id": question.request_id, "row": question.row, "record": record}).encode()
    sealed = seal(
        _header(contract, question, owner=ctx.org_id, asker=sender, day=part.business_date.isoformat()),
        payload,
        sender_key=ctx.keys.identity,
        recipient_key=load_public_x25519(contract.party(sender).sealing_key),
    )
    return {"sealed": base64.b64encode(sealed).decode()}


def _send(ctx: NodeContext, request_id: str) -> None:
    with ctx.session() as session:
        row = session.get_one(RecordRow, request_id)
        result, contract = contract_of_result(session, row.job)
    question = RecordQuestion(
        request_id=request_id,
        contract=result.contract,
        job=row.job,
        attempt=result.attempt,
        row=row.row,
        reason=row.reason,
    )
    reply = ctx.client.post(row.owner, PATH, question.model_dump())
    header = _header(
        contract, question, owner=row.owner, asker=ctx.org_id, day=result.business_date.isoformat()
    )
    record = _open_answer(ctx, contract, header, row, reply)
    with ctx.session() as session:
        row = session.exec(
            select(RecordRow).where(RecordRow.request_id == request_id).with_for_update()
        ).one()
        if row.state == "answered":
            return
        row.state, row.answered_at, row.record = "answered", now(), record
        session.add(row)
        ctx.record(session, "record_received", {"request": request_id})
        session.commit()


def _open_answer(
    ctx: NodeContext, contract: Contract, header: SealHeader, row: RecordRow, reply: Any
) -> dict[str, str]:
    try:
        payload = open_sealed(
            base64.b64decode(reply["sealed"], validate=True),
            expected=header,
            recipient_key=ctx.keys.sealing,
            sender_key=load_public_ed25519(contract.party(row.owner).identity_key),
        )
        said = json.loads(payload)
        if (said["request_id"], said["row"]) != (row.request_id, row.row):
            raise ValueError("another request's answer")
        return {str(name): str(value) for name, value in said["record"].items()}
    except (SealInvalid, binascii.Error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise refuse(
            502,
            "answer_invalid",
            f"{row.owner} 的答复无法验证，已丢弃",
            f"the answer of {row.owner} does not verify and was dropped",
            "请联系该机构",
            "contact that organisation",
            party=row.owner,
        ) from error


def _header(contract: Contract, question: RecordQuestion, *, owner: str, asker: str, day: str) -> SealHeader:
    return SealHeader(
        sender=owner,
        recipient=asker,
        contract=contract.digest,
        job=question.job,
        attempt=question.attempt,
        date=day,
        kind=f"record-{question.request_id}",
    )
