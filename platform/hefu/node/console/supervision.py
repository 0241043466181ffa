"""Record requests, inquiries 核查通知 and cases 差异处理."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from hefu.domain.identity import Role
from hefu.node import cases, inquiries, records
from hefu.node.console.access import Access, Person
from hefu.node.console.answers import ConsoleRoute
from hefu.node.console.checks import safe
from hefu.node.console_models import (
    CaseView,
    InquiryRequest,
    InquiryView,
    Note,
    RecordRequest,
    RecordView,
)
from hefu.node.context import NodeContext


def create_router(ctx: NodeContext, access: Access) -> APIRouter:
    """record-requests, inquiries, cases."""
    router = APIRouter(route_class=ConsoleRoute)
    reader = access.require("preparer", "approver", "viewer")
    worker = access.require("preparer", "approver")
    supervisor = access.require("preparer", "approver", org=Role.REGULATOR)

    @router.get("/record-requests")
    def list_records(person: Person = Depends(reader)) -> list[RecordView]:
        return records.list_views(ctx)

    @router.post("/record-requests")
    def ask_record(request: RecordRequest, person: Person = Depends(supervisor)) -> RecordView:
        return records.ask(ctx, request)

    @router.get("/inquiries")
    def list_inquiries(person: Person = Depends(reader)) -> list[InquiryView]:
        return inquiries.list_views(ctx)

    @router.post("/inquiries")
    def send_inquiry(request: InquiryRequest, person: Person = Depends(supervisor)) -> InquiryView:
        return inquiries.send(ctx, request)

    @router.post("/inquiries/{inquiry_id}/reply")
    def reply(
        inquiry_id: str, note: Note, person: Person = Depends(access.require("approver"))
    ) -> InquiryView:
        return inquiries.reply(ctx, safe(inquiry_id), note.text)

    @router.post("/inquiries/{inquiry_id}/close")
    def close_inquiry(inquiry_id: str, note: Note, person: Person = Depends(supervisor)) -> InquiryView:
        return inquiries.close(ctx, safe(inquiry_id), note.text)

    @router.get("/cases")
    def list_cases(person: Person = Depends(reader)) -> list[CaseView]:
        return cases.list_views(ctx)

    @router.post("/cases/{case_id}/assign")
    def assign(case_id: str, note: Note, person: Person = Depends(worker)) -> CaseView:
        return cases.take_step(ctx, safe(case_id), "assign", note, person.username)

    @router.post("/cases/{case_id}/explain")
    def explain(case_id: str, note: Note, person: Person = Depends(access.require("preparer"))) -> CaseView:
        return cases.take_step(ctx, safe(case_id), "explain", note, person.username)

    @router.post("/cases/{case_id}/adjust")
    def adjust(case_id: str, note: Note, person: Person = Depends(access.require("preparer"))) -> CaseView:
        return cases.take_step(ctx, safe(case_id), "adjust", note, person.username)

    @router.post("/cases/{case_id}/close")
    def close_case(
        case_id: str, note: Note, person: Person = Depends(access.require("approver"))
    ) -> CaseView:
        return cases.take_step(ctx, safe(case_id), "close", note, person.username)

    return router
