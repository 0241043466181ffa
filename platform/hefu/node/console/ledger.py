"""The evidence ledger 存证账本: browse through the coordinator, verify by oneself."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy import func
from sqlmodel import col, select

from hefu.node.console.access import Access, Person
from hefu.node.console.answers import ConsoleRoute
from hefu.node.console.entry_check import recheck
from hefu.node.console.upstream import fetch
from hefu.node.console.verification import Verification
from hefu.node.console_models import LedgerEntryDetail, LedgerEntryView, LedgerState, VerifyView
from hefu.node.context import COORDINATOR, NodeContext
from hefu.store.node_tables import JournalRow


def ledger_state(ctx: NodeContext, verification: Verification) -> LedgerState:
    """The coordinator's word on the ledger, with what this node knows itself: unreceipted evidence, own verification."""
    state = fetch(ctx, "/api/ledger/state", LedgerState)
    last = verification.view()
    return state.model_copy(
        update={
            "unreceipted": unreceipted(ctx),
            "last_verified_at": last.finished_at,
            "last_verified_ok": None if last.finished_at is None else last.state == "passed",
        }
    )


def unreceipted(ctx: NodeContext) -> int:
    """How many of this node's own envelopes have no verified receipt yet."""
    with ctx.session() as session:
        return session.exec(
            select(func.count()).select_from(JournalRow).where(col(JournalRow.entry_seq).is_(None))
        ).one()


def create_router(ctx: NodeContext, access: Access, verification: Verification) -> APIRouter:
    """entries, state, verification, export."""
    router = APIRouter(prefix="/ledger", route_class=ConsoleRoute)

    @router.get("/entries")
    def entries(
        contract: str | None = Query(None, max_length=64),
        job: str | None = Query(None, max_length=64),
        actor: str | None = Query(None, max_length=64),
        kind: str | None = Query(None, max_length=64),
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = Query(None, ge=0),
        limit: int = Query(100, ge=1, le=1000),
        person: Person = Depends(access.require()),
    ) -> list[LedgerEntryView]:
        asked: dict[str, str | int | None] = {
            "contract": contract,
            "job": job,
            "actor": actor,
            "kind": kind,
            "since": since.isoformat() if since else None,
            "until": until.isoformat() if until else None,
            "before": before,
            "limit": limit,
        }
        return fetch(ctx, "/api/ledger/entries", list[LedgerEntryView], asked)

    @router.get("/entries/{seq}")
    def entry(seq: int, person: Person = Depends(access.require())) -> LedgerEntryDetail:
        return recheck(ctx, fetch(ctx, f"/api/ledger/entries/{seq}", LedgerEntryDetail), seq)

    @router.get("/state")
    def state(person: Person = Depends(access.require())) -> LedgerState:
        return ledger_state(ctx, verification)

    @router.post("/verify")
    def start_verification(person: Person = Depends(access.require())) -> VerifyView:
        return verification.start()

    @router.get("/verify")
    def get_verification(person: Person = Depends(access.require())) -> VerifyView:
        return verification.view()

    @router.get("/export")
    def export(person: Person = Depends(access.require())) -> Response:
        content = ctx.client.get(COORDINATOR, "/api/ledger/export", timeout_seconds=600.0)
        headers = {"Content-Disposition": 'attachment; filename="ledger.tar"'}
        return Response(content, media_type="application/x-tar", headers=headers)

    return router
