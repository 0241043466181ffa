"""The registry 参与方: list, the auditor's review, the operator's admission, standing."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from hefu.domain.identity import Role
from hefu.node import registry
from hefu.node.console.access import Access, Person
from hefu.node.console.answers import ConsoleRoute
from hefu.node.console.upstream import fetch
from hefu.node.console_models import ParticipantView, ReviewRequest, StandingRequest
from hefu.node.context import NodeContext
from hefu.node.refusals import not_found, refuse


def list_participants(ctx: NodeContext) -> list[ParticipantView]:
    """Every organisation in the registry, as the coordinator shows it."""
    return fetch(ctx, "/api/participants", list[ParticipantView], {"view": "console"})


def create_router(ctx: NodeContext, access: Access) -> APIRouter:
    """participants, and the decisions about them."""
    router = APIRouter(route_class=ConsoleRoute)

    def one(application: str | None = None, org_id: str | None = None) -> ParticipantView:
        for participant in list_participants(ctx):
            if participant.application == application or participant.org_id == org_id:
                return participant
        raise not_found("参与方", "participant", application or org_id or "")

    @router.get("/participants")
    def participants(person: Person = Depends(access.require())) -> list[ParticipantView]:
        return list_participants(ctx)

    @router.post("/participants/{application}/review")
    def review(
        application: str,
        request: ReviewRequest,
        person: Person = Depends(access.require("approver", org=Role.AUDITOR)),
    ) -> ParticipantView:
        registry.review(ctx, application, request.approved, request.reasons, person.username)
        return one(application=application)

    @router.post("/participants/{application}/admit")
    def admit(
        application: str, person: Person = Depends(access.require_operator("approver"))
    ) -> ParticipantView:
        registry.admit(ctx, application, person.username)
        return one(application=application)

    @router.post("/participants/{org_id}/standing")
    def standing(
        org_id: str, request: StandingRequest, person: Person = Depends(access.require("approver"))
    ) -> ParticipantView:
        operator_or_auditor = ctx.org_id == ctx.kit.operator or Role.AUDITOR in access.application.roles
        if org_id != ctx.org_id and not operator_or_auditor:
            raise refuse(
                403,
                "organisation_role_missing",
                "只能暂停本机构；其他机构由平台方或审核方处理",
                "an organisation may only suspend itself; others are up to the operator and the auditor",
                "请联系平台方或第三方机构",
                "ask the operator or the auditor",
                party=org_id,
            )
        registry.set_standing(ctx, org_id, request.standing, request.reason, person.username)
        return one(org_id=org_id)

    return router
