"""The coordinator's HTTP interface: `/api` for nodes (signed), `/internal` for the flow runner (bearer token).

Routes translate; what they call decides. A refusal leaves as JSON with code, both languages and how to mend it.
"""

from __future__ import annotations

import hmac
import logging
from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlmodel import select

from hefu.coordinator import (
    approvals,
    contracts,
    decisions,
    deliveries,
    filings,
    jobs,
    ledger,
    ledger_views,
    registry,
    schedules,
    views,
)
from hefu.coordinator.context import CoordinatorContext
from hefu.coordinator.governance_routes import create_api_router, create_internal_router
from hefu.coordinator.stage_runner import StageRunner
from hefu.domain.dataset import DataSet
from hefu.domain.document import Digest
from hefu.domain.errors import DocumentInvalid
from hefu.domain.job import Stage
from hefu.store.base import now
from hefu.store.coordinator_tables import ContractRow, JobRow
from hefu.store.nonces import DatabaseNonces
from hefu.wire.guard import Guard
from hefu.wire.middleware import install_guard, sender_of
from hefu.wire.refusal import Refusal, invalid_request
from hefu.wire.signing import VerifiedRequest

log = logging.getLogger("hefu.coordinator")

Sender = Annotated[VerifiedRequest, Depends(sender_of)]
MAX_BACKFILL_DAYS = 400


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SignedBody(_Body):
    """A signed document in base64."""

    envelope: str = Field(max_length=1_500_000)


class ApplicationBody(SignedBody):
    """An application and the self-signed certificate that carries the TLS key it names."""

    certificate: str = Field(max_length=20_000)


class DataSetBody(_Body):
    """A data set's metadata, and the digest that its owner computed over them."""

    definition: DataSet
    schema_digest: Digest


class JobBody(_Body):
    """Run now, or backfill, for each day from first to last."""

    contract_id: str = Field(max_length=64)
    first_day: date
    last_day: date
    reason: str = Field(default="manual", max_length=200)
    requested_by: str = Field(default="", max_length=64)


class ScheduleBody(_Body):
    """pause, resume, or move within the signed window."""

    action: str = Field(pattern="^(pause|resume|move)$")
    cron: str | None = Field(default=None, max_length=100)


class EnvelopesBody(_Body):
    """A node's evidence."""

    envelopes: list[str] = Field(max_length=ledger.MAX_ENVELOPES)


class LeaseBody(_Body):
    """Which lease the flow run holds."""

    lease: int = Field(ge=0)


def create_app(ctx: CoordinatorContext, *, ledger_dsn: str, internal_token: str) -> FastAPI:
    """The coordinator's application.

    ledger_dsn      how the export reads the ledger
    internal_token  the flow runner's bearer token
    """
    app = FastAPI(title="Hefu coordinator", docs_url=None, redoc_url=None, openapi_url=None)
    guard = Guard("coordinator", ctx.directory, DatabaseNonces(ctx.engine))
    install_guard(
        app,
        guard,
        identity_key=ctx.keys.identity,
        own_id="coordinator",
        protect_prefixes=("/api",),
        open_routes=[("POST", "/api/applications")],
    )
    _add_errors(app)
    _add_registry(app, ctx)
    _add_contracts(app, ctx)
    _add_filings(app, ctx)
    _add_jobs(app, ctx)
    _add_ledger(app, ctx, ledger_dsn)
    app.include_router(create_api_router(ctx))
    _add_internal(app, ctx, internal_token)

    @app.get("/healthz")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    return app


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(Refusal)
    async def refused(_request: Request, error: Refusal) -> JSONResponse:
        return JSONResponse(error.body, status_code=error.status)

    @app.exception_handler(DocumentInvalid)
    async def invalid(_request: Request, error: DocumentInvalid) -> JSONResponse:
        body = Refusal(
            422,
            "document_invalid",
            f"文件无效：{error.clause or error.document}：{error.reason}",
            str(error),
            limit=error.clause or None,
            mend_zh="改正该条款后重新提交",
            mend_en="mend that clause and submit it again",
        ).body
        return JSONResponse(body, status_code=422)

    @app.exception_handler(RequestValidationError)
    @app.exception_handler(ValidationError)
    async def unfit(_request: Request, error: RequestValidationError | ValidationError) -> JSONResponse:
        return JSONResponse(invalid_request(error.errors()).body, status_code=422)


def _admitted(ctx: CoordinatorContext, sender: VerifiedRequest) -> str:
    """The sender, if it is admitted: applicants may read the registry, nothing more."""
    if ctx.directory.registered(sender.sender).state != "admitted":
        raise Refusal(
            403,
            "not_admitted",
            "尚未准入",
            "not admitted yet",
            party=sender.sender,
            mend_zh="等待准入审核",
            mend_en="wait for the admission review",
        )
    return sender.sender


def _add_registry(app: FastAPI, ctx: CoordinatorContext) -> None:
    @app.post("/api/applications")
    def apply(body: ApplicationBody) -> dict[str, Any]:
        return registry.submit(ctx, body.envelope, body.certificate)

    @app.get("/api/changes")
    def changes(_sender: Sender) -> dict[str, int]:
        return {"counter": views.change_counter(ctx)}

    @app.get("/api/participants")
    def participants(_sender: Sender, view: str = "") -> list[dict[str, Any]]:
        return views.participants(ctx) if view == "console" else registry.registry(ctx)

    @app.post("/api/applications/{digest}/review")
    def review(digest: str, body: SignedBody, sender: Sender) -> dict[str, str]:
        registry.review(ctx, digest, body.envelope, sender.sender)
        return {"digest": digest}

    @app.post("/api/applications/{digest}/admission")
    def admission(digest: str, body: SignedBody, sender: Sender) -> dict[str, str]:
        registry.admit(ctx, digest, body.envelope, sender.sender)
        return {"digest": digest}

    @app.post("/api/participants/{org_id}/standing")
    def standing(org_id: str, body: SignedBody, sender: Sender) -> dict[str, str]:
        registry.change_standing(ctx, org_id, body.envelope, sender.sender)
        return {"org_id": org_id}

    @app.post("/api/data-sets")
    def publish(body: DataSetBody, sender: Sender) -> dict[str, str]:
        return {
            "schema_digest": deliveries.publish(
                ctx, body.definition, body.schema_digest, _admitted(ctx, sender)
            )
        }

    @app.get("/api/data-sets")
    def data_sets(sender: Sender) -> list[dict[str, Any]]:
        _admitted(ctx, sender)
        return deliveries.published(ctx)

    @app.post("/api/deliveries")
    def deliver(body: deliveries.Delivery, sender: Sender) -> dict[str, Any]:
        return {"jobs": deliveries.report(ctx, body, _admitted(ctx, sender))}

    @app.get("/api/deliveries")
    def board(sender: Sender, contract_id: str, first: date, last: date) -> list[dict[str, Any]]:
        party = _admitted(ctx, sender)
        with ctx.session() as session:
            contract = contracts.newest(session, contract_id)[1]
        if party not in [p.org_id for p in contract.parties] or (last - first).days > MAX_BACKFILL_DAYS:
            raise Refusal(
                403,
                "not_a_party",
                "不是合约参与方，或日期跨度过大",
                "not a party of the contract, or too many days",
                party=party,
            )
        return deliveries.board(ctx, contract_id, first, last)


def _add_contracts(app: FastAPI, ctx: CoordinatorContext) -> None:
    @app.post("/api/contracts")
    def propose(body: SignedBody, sender: Sender) -> dict[str, str]:
        return {"digest": contracts.propose(ctx, body.envelope, _admitted(ctx, sender))}

    @app.get("/api/contracts")
    def listed(sender: Sender) -> list[dict[str, Any]]:
        return views.contract_summaries(ctx, _admitted(ctx, sender))

    @app.get("/api/contracts/{digest}")
    def one(digest: str, sender: Sender) -> dict[str, Any]:
        return views.contract_bundle(ctx, digest, _admitted(ctx, sender))

    @app.post("/api/contracts/{digest}/signatures")
    def sign(digest: str, body: SignedBody, sender: Sender) -> dict[str, str]:
        contracts.sign(ctx, digest, body.envelope, _admitted(ctx, sender))
        return {"digest": digest}

    @app.post("/api/contracts/{digest}/notices")
    def notice(digest: str, body: SignedBody, sender: Sender) -> dict[str, str]:
        contracts.take_notice(ctx, digest, body.envelope, _admitted(ctx, sender))
        return {"digest": digest}

    @app.get("/api/approvals")
    def asked(sender: Sender) -> list[dict[str, Any]]:
        return approvals.listed(ctx, _admitted(ctx, sender))

    @app.get("/api/schedules")
    def listed_schedules(sender: Sender) -> list[dict[str, Any]]:
        return views.schedules(ctx, _admitted(ctx, sender))

    @app.post("/api/schedules/{contract_id}")
    def change_schedule(contract_id: str, body: ScheduleBody, sender: Sender) -> dict[str, Any]:
        schedules.change(ctx, contract_id, body.action, body.cron, _admitted(ctx, sender))
        return next(s for s in views.schedules(ctx) if s["contract_id"] == contract_id)


def _add_filings(app: FastAPI, ctx: CoordinatorContext) -> None:
    @app.post("/api/filings")
    def file(body: SignedBody, sender: Sender) -> dict[str, str]:
        return {"digest": filings.take(ctx, body.envelope, _admitted(ctx, sender))}

    @app.get("/api/filings")
    def filed(sender: Sender) -> list[dict[str, Any]]:
        return filings.listed(ctx, _admitted(ctx, sender))

    @app.get("/api/filings/{digest}")
    def filing(digest: str, sender: Sender) -> dict[str, str]:
        return {"envelope": filings.one(ctx, digest, _admitted(ctx, sender))}


def _add_jobs(app: FastAPI, ctx: CoordinatorContext) -> None:
    @app.post("/api/jobs")
    def create(body: JobBody, sender: Sender) -> list[dict[str, Any]]:
        party = _admitted(ctx, sender)
        with ctx.session() as session:
            contract = contracts.active(session, body.contract_id)[1]
        if party not in [p.org_id for p in contract.parties]:
            raise Refusal(403, "not_a_party", "不是合约参与方", "not a party of the contract", party=party)
        count = (body.last_day - body.first_day).days + 1
        if not 1 <= count <= MAX_BACKFILL_DAYS:
            raise Refusal(
                422,
                "days_invalid",
                "日期范围无效",
                "the range of days is not valid",
                limit=f"1–{MAX_BACKFILL_DAYS}",
            )
        by = f"{party}/{body.requested_by}" if body.requested_by else party
        days = [body.first_day + timedelta(days=n) for n in range(count)]
        return [
            views.job_summary(jobs.create(ctx, body.contract_id, day, by=by, reason=body.reason))
            for day in days
        ]

    @app.get("/api/jobs")
    def listed(sender: Sender, contract_id: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        return views.job_summaries(ctx, _admitted(ctx, sender), contract_id, min(max(limit, 1), 1000))

    @app.get("/api/jobs/{job_id}")
    def one(job_id: str, sender: Sender) -> dict[str, Any]:
        return views.job_view(ctx, job_id, _admitted(ctx, sender))

    @app.post("/api/jobs/{job_id}/cancel")
    def cancel(job_id: str, sender: Sender) -> dict[str, Any]:
        party = _admitted(ctx, sender)
        views.job_view(ctx, job_id, party)
        schedules.cancel(ctx, job_id, party)
        return views.job_view(ctx, job_id, party)

    @app.post("/api/jobs/{job_id}/decisions")
    def decide(job_id: str, body: SignedBody, sender: Sender) -> dict[str, str]:
        decisions.take(ctx, job_id, body.envelope, _admitted(ctx, sender))
        return {"job_id": job_id}


def _add_ledger(app: FastAPI, ctx: CoordinatorContext, dsn: str) -> None:
    @app.post("/api/ledger/envelopes")
    def take(body: EnvelopesBody, sender: Sender) -> dict[str, Any]:
        return {"receipts": ledger.take_envelopes(ctx, body.envelopes, sender.sender)}

    @app.get("/api/ledger/receipts/{envelope_id}")
    def receipt(envelope_id: str, sender: Sender) -> dict[str, str]:
        _admitted(ctx, sender)
        return {"receipt": ledger.receipt(ctx, envelope_id)}

    @app.get("/api/ledger/state")
    def state(sender: Sender) -> dict[str, Any]:
        _admitted(ctx, sender)
        return ledger.state(ctx)

    @app.get("/api/ledger/entries")
    def entries(sender: Sender, wanted: Annotated[ledger_views.Wanted, Query()]) -> list[dict[str, Any]]:
        _admitted(ctx, sender)
        return ledger_views.entries(ctx, wanted)

    @app.get("/api/ledger/entries/{seq}")
    def entry(seq: Annotated[int, Path(ge=0, lt=2**63)], sender: Sender) -> dict[str, Any]:
        _admitted(ctx, sender)
        return ledger_views.entry(ctx, seq)

    @app.get("/api/ledger/export")
    def export(sender: Sender) -> Response:
        _admitted(ctx, sender)
        return Response(ledger.export_tar(ctx, dsn), media_type="application/x-tar")


def _add_internal(app: FastAPI, ctx: CoordinatorContext, token: str) -> None:
    runner = StageRunner(ctx)

    def operator_only(authorization: Annotated[str, Header()] = "") -> None:
        if not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            raise Refusal(401, "token_invalid", "内部令牌无效", "the internal token is not valid")

    internal = Depends(operator_only)
    app.include_router(create_internal_router(ctx), dependencies=[internal])

    @app.get("/internal/schedules", dependencies=[internal])
    def listed() -> list[dict[str, Any]]:
        contracts.expire(ctx)
        approvals.tick(ctx)
        keys = ("contract_id", "cron", "time_zone", "run_days", "paused")
        return [{k: s[k] for k in keys} for s in views.schedules(ctx)]

    @app.post("/internal/contracts/{contract_id}/due-jobs", dependencies=[internal])
    def due(contract_id: str) -> dict[str, Any]:
        found, finding = jobs.due(ctx, contract_id)
        return {"jobs": found, "job_ids": [j["job_id"] for j in found], "finding": finding}

    @app.get("/internal/jobs/startable", dependencies=[internal])
    def startable() -> list[dict[str, Any]]:
        return jobs.startable(ctx)

    @app.post("/internal/jobs/{job_id}/lease", dependencies=[internal])
    def renew(job_id: str, body: LeaseBody) -> dict[str, int]:
        return {"seconds": jobs.renew(ctx, job_id, body.lease)}

    @app.post("/internal/jobs/{job_id}/stages/{stage}", dependencies=[internal])
    def advance(job_id: str, stage: Stage, body: LeaseBody) -> dict[str, Any]:
        return runner.advance(job_id, stage, body.lease)

    @app.post("/internal/jobs/{job_id}/finish", dependencies=[internal])
    def finish(job_id: str, body: LeaseBody) -> dict[str, str]:
        return {"state": jobs.finish(ctx, job_id, body.lease).value}

    @app.get("/internal/jobs/{job_id}", dependencies=[internal])
    def one(job_id: str) -> dict[str, Any]:
        with ctx.session() as session:
            job = session.exec(select(JobRow).where(JobRow.job_id == job_id)).first()
            active = (
                session.exec(select(ContractRow).where(ContractRow.digest == job.contract_digest)).first()
                if job
                else None
            )
        if job is None or active is None:
            raise Refusal(404, "not_found", "未找到任务", "job not found")
        return {**views.job_summary(job), "now": now().isoformat()}
