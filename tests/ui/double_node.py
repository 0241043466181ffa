"""A double of a node's console API, over TLS, for tests only: the same shapes, plain values in memory."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import Depends, FastAPI, HTTPException, Request, Response, UploadFile
from fastapi.responses import JSONResponse
from hefu.domain.contract import Contract, ContractState
from hefu.domain.dataset import DataSet, schema_digest
from hefu.domain.job import JobState
from hefu.keys.tls import self_signed, to_pem
from hefu.node import console_models as m
from hefu.node.contract_life_models import TemplateDraft

from double_values import (  # type: ignore[import-not-found]  # isort: skip
    NOW, PEOPLE, alarms, arrivals, cases, contract, contract_view, data_set_view, day, deliveries, entries, exceptions,
    inquiries, job, job_view, jobs, ledger_state, participants, records, results, schedule, todos,
)  # fmt: skip

from double_compliance import add_compliance  # type: ignore[import-not-found]  # isort: skip
from double_governance import add_governance, preparation  # type: ignore[import-not-found]  # isort: skip

PASSWORD = "correct horse battery"


def build(org: str) -> FastAPI:
    """The double of one organisation's node. `app.state.calls` records every change that was asked for."""
    app = FastAPI()
    s = app.state
    s.tokens = {}

    def reset() -> None:
        """As on the first day; those who are signed in stay so."""
        s.calls = []
        s.drafts = []
        s.two_persons = False
        s.jobs = {j.job_id: j for j in jobs()}
        s.results = {r.job_id: r for r in results()}
        s.sets = [data_set_view(org)] if org in ("institution", "bank") else []
        s.contracts = {}
        active, waiting = contract(), contract(1, "T1-RECON-2027", "二期：多机构多银行对账")
        for view in (
            contract_view(org, ContractState.ACTIVE, active, set(PEOPLE)),
            contract_view(org, ContractState.SIGNING, waiting, {"institution"}),
        ):
            s.contracts[view.summary.digest] = view
        s.verify = m.VerifyView(state="idle")
        s.schedule, s.alarms, s.inquiries, s.cases, s.rules = (
            schedule(),
            alarms(),
            inquiries(),
            cases(),
            m.AlarmRules(),
        )

    reset()
    s.reset = reset
    zh, en, org_roles = PEOPLE[org]

    def user(name: str) -> m.User:
        roles: list[Any] = {"viewer": ["viewer"]}.get(name, ["admin", "preparer", "approver"])
        return m.User(
            username=name,
            display_name={"viewer": "查看员"}.get(name, "王敏"),
            roles=roles,
            org_id=org,
            org_name=zh,
            org_name_en=en,
            org_roles=org_roles,
        )

    def refuse(
        status: int, code: str, zh_text: str, en_text: str, mend: str = "", **about: str
    ) -> HTTPException:
        error = m.ApiError(
            code=code, message_zh=zh_text, message_en=en_text, mend_zh=mend, mend_en=mend, **about
        )
        return HTTPException(status, error.model_dump())

    @app.exception_handler(HTTPException)
    async def as_api_error(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse(error.detail, status_code=error.status_code)

    def signed_in(request: Request) -> m.User:
        name = s.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if name is None:
            raise refuse(401, "no_session", "未登录", "not signed in")
        return user(name)

    @app.post("/console/login")
    def login(body: m.LoginRequest) -> m.Session:
        if body.username not in ("wang", "viewer") or body.password != PASSWORD:
            raise refuse(401, "wrong_password", "账号或密码不正确", "wrong account or password")
        token = secrets.token_hex(8)
        s.tokens[token] = body.username
        return m.Session(token=token, expires_at=NOW + timedelta(hours=8), user=user(body.username))

    @app.post("/console/logout")
    def logout(request: Request) -> None:
        s.tokens.pop(request.headers["authorization"].removeprefix("Bearer "), None)
        s.calls.append(("logout",))

    known = [Depends(signed_in)]

    def get(path: str, value: Any) -> None:
        app.get(f"/console/{path}", dependencies=known, response_model=None)(value)

    def post(path: str, value: Any) -> None:
        app.post(f"/console/{path}", dependencies=known, response_model=None)(value)

    def put(path: str, value: Any) -> None:
        app.put(f"/console/{path}", dependencies=known, response_model=None)(value)

    def called(*what: Any) -> None:
        s.calls.append(what)

    get("overview", lambda: m.Overview(
        todos=todos(org), jobs=list(s.jobs.values())[:8], contracts=[v.summary for v in s.contracts.values()], ledger=ledger_state(),
        online={o: o != "exchange" for o in PEOPLE}, trend=list(s.results.values()) if org == "regulator" else [], alarms_open=1,
    ))  # fmt: skip
    get("participants", participants)
    get("data-sets", lambda: s.sets)
    get("contracts", lambda: [v.summary for v in s.contracts.values()])
    get("jobs", lambda: list(s.jobs.values()))
    get("schedules", lambda: [s.schedule])
    get("deliveries", deliveries)
    get(
        "ledger/entries",
        lambda kind="", actor="", job="": [
            e for e in entries() if kind in ("", e.kind) and actor in ("", e.actor) and job in ("", e.job)
        ],
    )
    get("ledger/state", ledger_state)
    get("ledger/verify", lambda: s.verify)
    get("ledger/export", lambda: Response(b"tar", media_type="application/x-tar"))
    get("alarm-rules", lambda: s.rules)
    get("alarms", lambda: s.alarms)
    get("record-requests", records)
    get("inquiries", lambda: s.inquiries)
    get("cases", lambda: s.cases)
    get("users", lambda: [user("wang"), user("viewer")])

    def days(data_set_id: str) -> list[m.ArrivalView]:
        return [a for a in arrivals(org) if a.data_set_id == data_set_id]

    get("data-sets/{data_set_id}/days", days)
    get(
        "data-sets/{data_set_id}/rejects",
        lambda data_set_id, fingerprint: Response(
            b"line,field,reason\n7,amount,not money\n", media_type="text/csv"
        ),
    )

    def register(body: DataSet) -> m.DataSetView:
        called("register", body.data_set_id)
        s.sets.append(m.DataSetView(definition=body, schema_digest=schema_digest(body), files=0))
        return s.sets[-1]

    def upload(data_set_id: str, file: UploadFile) -> list[m.ArrivalView]:
        called("upload", data_set_id, file.filename)
        return days(data_set_id)[:1]

    post("data-sets", register)
    post("data-sets/{data_set_id}/files", upload)

    def review(application: str, body: m.ReviewRequest) -> m.ParticipantView:
        called("review", application, body.approved, body.reasons)
        return participants()[-1]

    post("participants/{application}/review", review)
    post(
        "participants/{application}/admit",
        lambda application: (called("admit", application), participants()[-1])[1],
    )

    def standing(org_id: str, body: m.StandingRequest) -> m.ParticipantView:
        called("standing", org_id, body.standing)
        return participants()[0]

    post("participants/{org_id}/standing", standing)

    def one_contract(digest: str) -> m.ContractView:
        if digest not in s.contracts:
            raise refuse(404, "no_contract", "没有这份合约", "no such contract", "请从列表中选择")
        return s.contracts[digest]

    def sign(digest: str) -> m.ContractView:
        called("sign", digest)
        old = one_contract(digest)
        signed = {x.org_id for x in old.signatures if x.state == "signed"} | {org}
        s.contracts[digest] = contract_view(org, ContractState.SIGNING, old.document, signed)
        return s.contracts[digest]

    def notice(digest: str, body: m.NoticeRequest) -> m.ContractView:
        called("notice", body.kind, body.reason)
        return one_contract(digest)

    def draft(body: dict[str, Any]) -> m.ContractView:
        form = TemplateDraft if body["template"] == "joint_statistics" else m.ReconciliationDraft
        s.drafts.append(form.model_validate(body))
        called("draft", body["contract_id"])
        for owner, terms in body["terms"]["data_sets"].items():
            if "nonsense" in terms["row_filter"]:
                raise refuse(422, "clause_invalid", "条款 data_sets.row_filter：行过滤条件不正确", "clause data_sets.row_filter: not valid",
                             "请返回表单修改该项", limit="data_sets.row_filter", party=owner)  # fmt: skip
        body = form.model_validate(body)
        return contract_view(org, ContractState.SIGNING, contract(1, body.contract_id, body.title), set())

    def propose(body: Contract) -> m.ContractView:
        called("propose", body.contract_id)
        if s.two_persons:
            s.prepared = body.to_bytes().decode()
            kept = preparation(body)
            return contract_view(org, ContractState.SIGNING, body, set()).model_copy(update={"prepared": [kept]})  # fmt: skip
        s.contracts[body.digest] = contract_view(org, ContractState.SIGNING, body, {org})
        return s.contracts[body.digest]

    add_governance(org, app, get, post, put, called, refuse)
    post("contracts/draft", draft)
    get("contracts/{digest}", one_contract)
    post("contracts", propose)
    post("contracts/{digest}/sign", sign)
    post("contracts/{digest}/notices", notice)

    def one_job(job_id: str) -> m.JobView:
        return job_view(s.jobs[job_id])

    def start(body: m.JobRequest) -> list[m.JobSummary]:
        called("jobs", body.contract_id, body.first_day, body.last_day)
        if body.last_day < day(13):
            raise refuse(409, "uses_exhausted", "合约使用次数已用尽", "no uses are left", "提出新版本合约")
        return [job(1)]

    def cancel(job_id: str) -> m.JobView:
        called("cancel", job_id)
        s.jobs[job_id] = s.jobs[job_id].model_copy(update={"state": JobState.CANCELLED})
        return one_job(job_id)

    get("jobs/{job_id}", one_job)
    post("jobs", start)
    post("jobs/{job_id}/cancel", cancel)

    def set_schedule(contract_id: str, body: m.ScheduleRequest) -> m.ScheduleView:
        called("schedule", contract_id, body.action, body.cron)
        s.schedule = s.schedule.model_copy(update={"paused": body.action == "pause"})
        return s.schedule

    post("schedules/{contract_id}", set_schedule)

    def verify() -> m.VerifyView:
        called("verify")
        s.verify = m.VerifyView(
            state="passed",
            done=401,
            total=401,
            size=401,
            message_zh="全部存证完好",
            message_en="all evidence is intact",
            finished_at=NOW,
        )
        return s.verify

    post("ledger/verify", verify)

    def entry(seq: int) -> m.LedgerEntryDetail:
        found = next(e for e in entries() if e.seq == seq)
        return m.LedgerEntryDetail(entry=found, body={"rows": 100_000, "digest": found.leaf_hash}, at=NOW, signer_seq=seq, prev=found.leaf_hash, key_id=found.leaf_hash,
                                   signature_valid=True, inclusion_valid=True, checkpoint="ledger.hefu.example\n401\nAAAA\n", raw='{"payload": "…"}')  # fmt: skip

    get("ledger/entries/{seq}", entry)
    get("results", lambda: list(s.results.values()))

    def result(job_id: str) -> m.ResultView:
        r = s.results[job_id]
        sides: list[m.SideTotals] = [
            m.SideTotals(
                owner="institution",
                side="institution",
                rows=100_000,
                match=99_990,
                amount_mismatch=7,
                missing=3,
            ),
            m.SideTotals(owner="bank", side="bank", rows=99_998, match=99_990, amount_mismatch=7, missing=1),
        ]
        return m.ResultView(
            summary=r,
            sides=sides,
            seconds=12.5,
            changed_from=r.model_copy(update={"revision": 1, "mismatched": 3}) if r.revision == 2 else None,
        )

    def open_result(job_id: str) -> m.ResultView:
        called("open", job_id)
        s.results[job_id] = s.results[job_id].model_copy(
            update={
                "opened_at": NOW,
                "opened_by": "wang",
                "matched": 99_990,
                "mismatched": 7,
                "missing_at_bank": 3,
                "missing_at_institution": 1,
                "conflicts": 0,
                "difference_cents": 1_234_00,
                "match_rate": 0.9999,
            }
        )
        return result(job_id)

    def exception_page(
        job_id: str, status: str = "", owner: str = "", offset: int = 0, limit: int = 100
    ) -> m.ExceptionPage:
        rows = [e for e in exceptions() if status in ("", e.status) and owner in ("", e.owner)]
        return m.ExceptionPage(total=len(rows), rows=rows[offset : offset + limit])

    post("results/{job_id}/open", open_result)
    get("results/{job_id}", result)
    get("results/{job_id}/exceptions", exception_page)
    get("results/{job_id}/export.csv", lambda job_id: Response(b"owner,row,status\n", media_type="text/csv"))
    get("results/{job_id}/export.xlsx", lambda job_id: Response(b"PK", media_type="application/octet-stream"))

    def set_rules(body: m.AlarmRules) -> m.AlarmRules:
        called("rules", body.mismatch_rate_ppm)
        s.rules = body
        return body

    app.put("/console/alarm-rules", dependencies=known, response_model=None)(set_rules)

    def acknowledge(alarm_id: str, body: m.Note) -> m.AlarmView:
        called("acknowledge", alarm_id, body.text)
        return s.alarms[0]

    def ask_record(body: m.RecordRequest) -> m.RecordView:
        called("record", body.owner, body.row)
        return records()[0]

    def send_inquiry(body: m.InquiryRequest) -> m.InquiryView:
        called("inquiry", body.org_id, tuple(body.rows))
        return s.inquiries[0]

    def move_inquiry(inquiry_id: str, step: str, body: m.Note) -> m.InquiryView:
        called("inquiry_step", inquiry_id, step, body.text)
        return s.inquiries[0]

    def move_case(case_id: str, step: str, body: m.Note) -> m.CaseView:
        called("case", case_id, step, body.text)
        return s.cases[0]

    def add_user(body: m.NewUser) -> m.User:
        called("user", body.username)
        return user("viewer")

    post("alarms/{alarm_id}/acknowledge", acknowledge)
    post("record-requests", ask_record)
    post("inquiries", send_inquiry)
    post("inquiries/{inquiry_id}/{step}", move_inquiry)
    post("cases/{case_id}/{step}", move_case)
    post("users", add_user)
    add_compliance(org, get, post, called, refuse, todos)
    return app


@contextmanager
def serving(app: Any, folder: Path, org: str | None = None, port: int = 0) -> Iterator[str]:
    """Serve an application in a thread; with `org` over TLS under a certificate of that name, written to `folder/<org>.pem`."""
    tls: dict[str, Any] = {}
    if org is not None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, key_file = folder / f"{org}.pem", folder / f"{org}.key"
        certificate.write_text(to_pem(self_signed(key, org, sans=["127.0.0.1"])))
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        tls = {"ssl_certfile": certificate, "ssl_keyfile": key_file}
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=port,
            log_config=None,
            log_level="error",
            timeout_graceful_shutdown=0,
            lifespan="off" if org else "on",
            **tls,
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            raise RuntimeError("the test server did not start")
        time.sleep(0.02)
    try:
        yield f"{'https' if org else 'http'}://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
