"""Jobs, schedules and deliveries, as the coordinator tells them to this organisation."""

from __future__ import annotations

import json
from datetime import date

from fastapi import APIRouter, Depends, Query

from hefu.node import release_review, two_persons
from hefu.node.console.access import Access, Person
from hefu.node.console.answers import ConsoleRoute
from hefu.node.console.checks import day, safe
from hefu.node.console.upstream import fetch, send
from hefu.node.console_models import (
    DeliveryView,
    JobRequest,
    JobSummary,
    JobView,
    ReviewRequest,
    ScheduleRequest,
    ScheduleView,
)
from hefu.node.context import NodeContext


def list_jobs(ctx: NodeContext, contract_id: str | None, limit: int) -> list[JobSummary]:
    """The newest jobs of the contracts that this organisation is a party of."""
    return fetch(ctx, "/api/jobs", list[JobSummary], {"contract_id": contract_id, "limit": limit})


def list_schedules(ctx: NodeContext) -> list[ScheduleView]:
    """The schedules of this organisation's contracts."""
    return fetch(ctx, "/api/schedules", list[ScheduleView])


def create_router(ctx: NodeContext, access: Access) -> APIRouter:
    """jobs, schedules, deliveries."""
    router = APIRouter(route_class=ConsoleRoute)

    @router.get("/jobs")
    def jobs(
        contract_id: str | None = Query(None, max_length=40),
        limit: int = Query(200, ge=1, le=1000),
        person: Person = Depends(access.require()),
    ) -> list[JobSummary]:
        return list_jobs(ctx, contract_id, limit)

    @router.get("/jobs/{job_id}")
    def job(job_id: str, person: Person = Depends(access.require())) -> JobView:
        return fetch(ctx, f"/api/jobs/{safe(job_id)}", JobView)

    @router.post("/jobs")
    def start(
        request: JobRequest, person: Person = Depends(access.require("preparer", "approver"))
    ) -> list[JobSummary]:
        asked = {
            "contract_id": request.contract_id,
            "first_day": day(request.first_day, "first_day").isoformat(),
            "last_day": day(request.last_day, "last_day").isoformat(),
            "reason": request.reason,
        }
        return send(ctx, "/api/jobs", asked, list[JobSummary])

    @router.post("/jobs/{job_id}/cancel")
    def cancel(job_id: str, person: Person = Depends(access.require("preparer", "approver"))) -> JobView:
        return send(ctx, f"/api/jobs/{safe(job_id)}/cancel", {}, JobView)

    @router.post("/jobs/{job_id}/decision")
    def decide(
        job_id: str,
        request: ReviewRequest,
        person: Person = Depends(access.require("preparer", "approver")),
    ) -> JobView:
        told = fetch(ctx, f"/api/jobs/{safe(job_id)}", JobView)
        release_review.check(ctx, told)
        on = release_review.subject(ctx, told)
        content = json.dumps([on.checked, request.approved, request.reasons], ensure_ascii=False)
        kept = two_persons.pass_on(
            ctx, "release", job_id, person.username, approver=person.may("approver"), content=content
        )
        if kept is None:
            release_review.decide(ctx, told, on, request.approved, request.reasons)
            two_persons.settle(ctx, "release", job_id, person.username, content=content)
        return fetch(ctx, f"/api/jobs/{job_id}", JobView)

    @router.get("/schedules")
    def schedules(person: Person = Depends(access.require())) -> list[ScheduleView]:
        return list_schedules(ctx)

    @router.post("/schedules/{contract_id}")
    def set_schedule(
        contract_id: str,
        request: ScheduleRequest,
        person: Person = Depends(access.require("preparer", "approver")),
    ) -> ScheduleView:
        return send(ctx, f"/api/schedules/{safe(contract_id)}", request.model_dump(mode="json"), ScheduleView)

    @router.get("/deliveries")
    def deliveries(
        contract_id: str = Query(max_length=40),
        first: date = Query(alias="from"),
        last: date = Query(alias="to"),
        person: Person = Depends(access.require()),
    ) -> list[DeliveryView]:
        asked = {"contract_id": contract_id, "first": first.isoformat(), "last": last.isoformat()}
        return fetch(ctx, "/api/deliveries", list[DeliveryView], asked)

    return router
