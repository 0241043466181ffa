"""Calendar, registers, models, complaints and data subjects' requests: all derived or sealed, nothing in the clear is kept."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from hefu.node import due_dates, model_uses, model_views, registers, sealed_cases, sealed_words
from hefu.node.compliance_models import (
    DueDate,
    EntrustedView,
    FilingDraftView,
    ModelUsed,
    ModelView,
    NewComplaint,
    NewModelUse,
    NewSubjectRequest,
    OpenedWords,
    ProcessingRecord,
    SealedCase,
)
from hefu.node.console.access import Access, Person
from hefu.node.console.answers import ConsoleRoute
from hefu.node.console.checks import safe
from hefu.node.console.third_party import require_participant
from hefu.node.context import NodeContext
from hefu.node.filing_views import view_draft
from hefu.store.node_tables import FilingDraftRow


def create_router(ctx: NodeContext, access: Access) -> APIRouter:
    """due-dates, registers, models, sealed-cases, complaints, subject-requests, filings/{digest}/open."""
    router = APIRouter(route_class=ConsoleRoute)
    worker = access.require("preparer", "approver")

    def participant(person: Person = Depends(worker)) -> Person:
        """A worker of an organisation that takes part as more than a third party."""
        require_participant(access)
        return person

    @router.get("/due-dates")
    def due(person: Person = Depends(access.require())) -> list[DueDate]:
        return due_dates.list_due_dates(ctx)

    @router.get("/registers/processing")
    def processing(person: Person = Depends(access.require())) -> list[ProcessingRecord]:
        return registers.processing_activities(ctx)

    @router.get("/registers/entrusted")
    def entrusted(person: Person = Depends(access.require())) -> list[EntrustedView]:
        return registers.entrusted_parties(ctx)

    @router.get("/models")
    def models(person: Person = Depends(access.require())) -> list[ModelView]:
        return model_views.list_models(ctx)

    @router.post("/models/{model_id}/uses", status_code=201)
    def use_model(model_id: str, asked: NewModelUse, person: Person = Depends(participant)) -> ModelUsed:
        made = model_uses.use(
            ctx,
            safe(model_id),
            asked.purpose,
            predictions=asked.predictions,
            territory=asked.territory,
            user=person.username,
        )
        return ModelUsed(model_id=model_id, predictions=made)

    @router.get("/sealed-cases")
    def cases(person: Person = Depends(access.require())) -> list[SealedCase]:
        return sealed_cases.list_cases(ctx)

    @router.post("/complaints", status_code=201)
    def complain(said: NewComplaint, person: Person = Depends(participant)) -> FilingDraftView:
        return _draft(sealed_cases.take_complaint(ctx, said, person.username), person)

    @router.post("/subject-requests", status_code=201)
    def request(asked: NewSubjectRequest, person: Person = Depends(participant)) -> FilingDraftView:
        return _draft(sealed_cases.take_request(ctx, asked, person.username), person)

    @router.post("/filings/{digest}/open")
    def open_words(digest: str, person: Person = Depends(worker)) -> OpenedWords:
        return OpenedWords(digest=digest, words=sealed_words.open_words(ctx, safe(digest), person.username))

    def _draft(row: FilingDraftRow, person: Person) -> FilingDraftView:
        return view_draft(row, username=person.username, approver=person.may("approver"), two=True)

    return router
