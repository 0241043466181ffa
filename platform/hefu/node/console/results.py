"""Results 对账结果, alarms and rules: at the regulator's node only."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from hefu.domain.identity import Role
from hefu.node import alarms, contract_views, result_exports, result_terms, results, statistics_table
from hefu.node.console.access import Access, Person
from hefu.node.console.answers import ConsoleRoute
from hefu.node.console.checks import safe
from hefu.node.console.upstream import fetch
from hefu.node.console_models import (
    AlarmRules,
    AlarmView,
    DeliveryView,
    ExceptionPage,
    LedgerEntryView,
    Note,
    ResultSummary,
    ResultView,
)
from hefu.node.context import NodeContext
from hefu.wire.errors import WireError

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def create_router(ctx: NodeContext, access: Access) -> APIRouter:
    """results, alarm-rules, alarms."""
    router = APIRouter(route_class=ConsoleRoute)
    reader = access.require("preparer", "approver", "viewer", org=Role.REGULATOR)
    worker = access.require("preparer", "approver", org=Role.REGULATOR)

    def within_terms(job: str, request: Request) -> None:
        """The contract's terms of use still allow it, from here."""
        host = None if request.client is None else request.client.host
        result_terms.require_within_terms(ctx, safe(job), host)

    bound = [Depends(within_terms)]

    @router.get("/results")
    def list_results(
        contract_id: str | None = Query(None, max_length=40), person: Person = Depends(reader)
    ) -> list[ResultSummary]:
        return results.list_views(ctx, contract_id)

    @router.post("/results/{job}/open", dependencies=bound)
    def open_result(job: str, person: Person = Depends(worker)) -> ResultView:
        return results.open_result(ctx, safe(job), person.username)

    @router.get("/results/{job}", dependencies=bound)
    def one(job: str, person: Person = Depends(reader)) -> ResultView:
        return results.view(ctx, safe(job))

    @router.get("/results/{job}/exceptions", dependencies=bound)
    def exceptions(
        job: str,
        status: str | None = Query(None, max_length=32),
        owner: str | None = Query(None, max_length=64),
        offset: int = Query(0, ge=0),
        limit: int = Query(100, ge=1, le=5000),
        person: Person = Depends(reader),
    ) -> ExceptionPage:
        opened = results.load_table(ctx, safe(job))
        return result_exports.exceptions(opened, status=status, owner=owner, offset=offset, limit=limit)

    @router.get("/results/{job}/export.csv", dependencies=bound)
    def export_csv(job: str, person: Person = Depends(reader)) -> StreamingResponse:
        statistics = results.load_statistics(ctx, safe(job))
        chunks = (
            result_exports.csv_chunks(results.load_table(ctx, job))
            if statistics is None
            else statistics_table.csv_of(statistics, result_exports.spreadsheet_safe)
        )
        headers = {"Content-Disposition": f'attachment; filename="{job}.csv"'}
        return StreamingResponse(chunks, media_type="text/csv; charset=utf-8", headers=headers)

    @router.get("/results/{job}/export.xlsx", dependencies=bound)
    def export_xlsx(job: str, person: Person = Depends(reader)) -> Response:
        headers = {"Content-Disposition": f'attachment; filename="{safe(job)}.xlsx"'}
        return Response(_working_paper(ctx, job), media_type=_XLSX, headers=headers)

    @router.get("/alarm-rules")
    def rules(person: Person = Depends(reader)) -> AlarmRules:
        return alarms.read_rules(ctx)

    @router.put("/alarm-rules")
    def set_rules(
        request: AlarmRules, person: Person = Depends(access.require("approver", org=Role.REGULATOR))
    ) -> AlarmRules:
        return alarms.write_rules(ctx, request)

    @router.get("/alarms")
    def list_alarms(person: Person = Depends(reader)) -> list[AlarmView]:
        return alarms.list_views(ctx)

    @router.post("/alarms/{alarm_id}/acknowledge")
    def acknowledge(alarm_id: str, note: Note, person: Person = Depends(worker)) -> AlarmView:
        return alarms.acknowledge(ctx, safe(alarm_id), note.text, person.username)

    return router


def _working_paper(ctx: NodeContext, job: str) -> bytes:
    """The working paper; while the coordinator is silent, without deliveries and ledger references."""
    view, opened = results.view(ctx, job), results.load_table(ctx, job)
    found = view.summary
    day = {"contract_id": found.contract_id, "first": found.business_date, "last": found.business_date}
    deliveries: list[DeliveryView] = []
    entries: list[LedgerEntryView] = []
    try:
        deliveries = fetch(ctx, "/api/deliveries", list[DeliveryView], day)
        entries = fetch(ctx, "/api/ledger/entries", list[LedgerEntryView], {"job": job, "limit": 1000})
    except WireError:
        pass
    raised = [
        a
        for a in alarms.list_views(ctx)
        if (a.contract_id, a.business_date) == (found.contract_id, found.business_date)
    ]
    title = contract_views.title_of(ctx, found.contract_id)
    return result_exports.working_paper(view, opened, deliveries, raised, entries, title)
