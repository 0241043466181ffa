"""核查通知 inquiries: the receiver of a result asks an owner to explain rows; the reply comes back; it is closed.

A message is put into the node's own outbox in the transaction that records it, and sent until the peer has taken it;
taking it twice changes nothing. Evidence holds the inquiry's random id and nothing else, because all parties read the ledger.
"""

from __future__ import annotations

import logging
import secrets
from datetime import date, datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlmodel import Session, col, select

from hefu.domain.contract import read_contract
from hefu.node import cases
from hefu.node.console_models import InquiryRequest, InquiryView
from hefu.node.context import NodeContext
from hefu.node.peer_outbox import put, send_pending
from hefu.node.refusals import conflict, not_found, refuse
from hefu.node.supervision import check_owner, contract_of_result, job_asked_about, overdue
from hefu.store.base import now
from hefu.store.node_tables import ContractRow, InquiryRow, JobRow, ResultRow

log = logging.getLogger("hefu.supervision")

INQUIRY_PATH, REPLY_PATH = "/peer/inquiries", "/peer/inquiry-replies"


class InquiryMessage(BaseModel):
    """What travels to the organisation asked: the question, later its closing."""

    model_config = ConfigDict(extra="forbid")

    inquiry_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    contract: str = Field(pattern=r"^[0-9a-f]{64}$")
    job: str = Field(max_length=64)
    rows: list[int] = Field(max_length=500)
    question: str = Field(min_length=1, max_length=2000)
    sent_at: AwareDatetime
    due_at: AwareDatetime
    state: Literal["sent", "closed"] = "sent"
    closing_note: str = Field(default="", max_length=2000)


class ReplyMessage(BaseModel):
    """What travels back."""

    model_config = ConfigDict(extra="forbid")

    inquiry_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    reply: str = Field(min_length=1, max_length=2000)
    replied_at: AwareDatetime


def send(ctx: NodeContext, request: InquiryRequest) -> InquiryView:
    """Ask an organisation about rows of a result. Raises Refusal: not_found · not_an_owner, rows_invalid (422)."""
    rows = sorted(set(request.rows))
    if not rows or rows[0] < 1:
        raise refuse(
            422,
            "rows_invalid",
            "至少选择一行，行号从1开始",
            "choose at least one row; rows count from 1",
            limit="rows",
        )
    with ctx.session() as session:
        result, contract = contract_of_result(session, request.job_id)
        check_owner(contract, request.org_id)
        row = InquiryRow(
            inquiry_id=secrets.token_hex(16),
            job=result.job,
            contract_id=result.contract_id,
            business_date=result.business_date,
            org_id=request.org_id,
            rows=rows,
            question=request.question,
            state="sent",
            sent_at=now(),
            due_at=now() + timedelta(days=request.due_days),
        )
        session.add(row)
        put(session, request.org_id, INQUIRY_PATH, _message(row, result.contract))
        ctx.record(session, "inquiry_sent", {"inquiry": row.inquiry_id})
        session.commit()
    send_pending(ctx)
    return inquiry_view(row)


def reply(ctx: NodeContext, inquiry_id: str, words: str) -> InquiryView:
    """At the organisation asked: answer. Raises Refusal: not_found · already_replied (409)."""
    with ctx.session() as session:
        row = _locked(session, inquiry_id)
        if row.org_id != ctx.org_id:
            raise not_found("核查通知", "inquiry", inquiry_id)
        if row.state != "sent":
            raise conflict(
                "already_replied",
                "该核查通知已答复或已关闭",
                "it was replied to, or closed",
                "请刷新",
                "refresh",
            )
        row.state, row.reply, row.replied_at = "replied", words, now()
        session.add(row)
        part = session.exec(select(JobRow).where(JobRow.job == row.job)).first()
        if part is None:
            raise not_found("任务", "job", row.job)
        message = ReplyMessage(inquiry_id=inquiry_id, reply=words, replied_at=row.replied_at)
        contract = read_contract(session.get_one(ContractRow, part.contract).document)
        put(session, contract.recipients()[0], REPLY_PATH, message)
        ctx.record(session, "inquiry_replied", {"inquiry": inquiry_id})
        session.commit()
    send_pending(ctx)
    return inquiry_view(row)


def close(ctx: NodeContext, inquiry_id: str, note: str) -> InquiryView:
    """At the asker: the matter is settled. Raises Refusal: not_found · already_closed (409)."""
    with ctx.session() as session:
        row = _locked(session, inquiry_id)
        if row.org_id == ctx.org_id:
            raise not_found("核查通知", "inquiry", inquiry_id)
        if row.state == "closed":
            raise conflict("already_closed", "该核查通知已关闭", "it is closed already", "请刷新", "refresh")
        row.state, row.closed_at, row.closing_note = "closed", now(), note
        session.add(row)
        contract = session.get_one(ResultRow, row.job).contract
        put(session, row.org_id, INQUIRY_PATH, _message(row, contract))
        ctx.record(session, "inquiry_closed", {"inquiry": inquiry_id})
        session.commit()
    send_pending(ctx)
    return inquiry_view(row)


def list_views(ctx: NodeContext) -> list[InquiryView]:
    """Inquiries that this organisation sent or received, newest first."""
    with ctx.session() as session:
        rows = session.exec(select(InquiryRow).order_by(col(InquiryRow.sent_at).desc())).all()
    return [inquiry_view(row) for row in rows]


def take_inquiry(ctx: NodeContext, sender: str, message: InquiryMessage) -> None:
    """At the organisation asked: keep an inquiry, with one case for each row; or learn that it was closed.

    raises  Refusal: not_entitled (403) · request_reused (409)
    """
    with ctx.session() as session:
        part, _ = job_asked_about(ctx, session, sender, message.contract, message.job)
        session.connection().execute(text("select pg_advisory_xact_lock(hashtext('hefu.inquiries'))"))
        row = session.get(InquiryRow, message.inquiry_id)
        if row is not None and (row.job, list(row.rows), row.question) != (
            message.job,
            message.rows,
            message.question,
        ):
            raise conflict(
                "request_reused", "该编号已用于其他核查通知", "this id was used for another inquiry"
            )
        if row is None:
            row = InquiryRow(
                inquiry_id=message.inquiry_id,
                job=message.job,
                contract_id=part.contract_id,
                business_date=part.business_date,
                org_id=ctx.org_id,
                rows=message.rows,
                question=message.question,
                state="sent",
                sent_at=message.sent_at,
                due_at=message.due_at,
            )
            cases.open_cases(session, row)
            ctx.record(session, "inquiry_received", {"inquiry": row.inquiry_id})
        if message.state == "closed" and row.state != "closed":
            row.state, row.closed_at, row.closing_note = "closed", now(), message.closing_note
            ctx.record(session, "inquiry_closing_received", {"inquiry": row.inquiry_id})
        session.add(row)
        session.commit()


def take_reply(ctx: NodeContext, sender: str, message: ReplyMessage) -> None:
    """At the asker: keep a reply of the organisation that was asked. Raises Refusal (not_found)."""
    with ctx.session() as session:
        row = session.exec(
            select(InquiryRow)
            .where(InquiryRow.inquiry_id == message.inquiry_id, InquiryRow.org_id == sender)
            .with_for_update()
        ).first()
        if row is None or row.org_id == ctx.org_id:
            raise not_found("核查通知", "inquiry", message.inquiry_id)
        if row.replied_at is not None:
            return
        row.reply, row.replied_at = message.reply, message.replied_at
        row.state = "replied" if row.state == "sent" else row.state
        session.add(row)
        ctx.record(session, "inquiry_reply_received", {"inquiry": row.inquiry_id})
        session.commit()


def inquiry_view(row: InquiryRow) -> InquiryView:
    """An inquiry as it is shown."""
    return InquiryView(
        inquiry_id=row.inquiry_id,
        job_id=row.job,
        contract_id=row.contract_id,
        business_date=_iso(row.business_date),
        org_id=row.org_id,
        rows=list(row.rows),
        question=row.question,
        state=overdue(row.state, row.due_at, "sent"),  # checked by the model
        sent_at=row.sent_at,
        due_at=row.due_at,
        reply=row.reply,
        replied_at=row.replied_at,
        closed_at=row.closed_at,
        closing_note=row.closing_note,
    )


def _message(row: InquiryRow, contract: str) -> InquiryMessage:
    return InquiryMessage(
        inquiry_id=row.inquiry_id,
        contract=contract,
        job=row.job,
        rows=list(row.rows),
        question=row.question,
        sent_at=_aware(row.sent_at),
        due_at=_aware(row.due_at),
        state="closed" if row.state == "closed" else "sent",
        closing_note=row.closing_note,
    )


def _locked(session: Session, inquiry_id: str) -> InquiryRow:
    row = session.exec(
        select(InquiryRow).where(InquiryRow.inquiry_id == inquiry_id).with_for_update()
    ).first()
    if row is None:
        raise not_found("核查通知", "inquiry", inquiry_id)
    return row


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.astimezone()


def _iso(day: date) -> str:
    return day.isoformat()
