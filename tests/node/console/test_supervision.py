"""Records, inquiries and cases between a regulator's and an institution's node, each with its own database."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hefu.node import datasets, inquiries, preferences, records
from hefu.node.peer_supervision import create_peer_supervision_router
from hefu.store.base import now
from hefu.store.node_tables import InquiryRow, JobRow, RecordRow, ResultRow
from hefu.wire.errors import PeerRefused, PeerUnreachable
from hefu.wire.signing import VerifiedRequest

pytestmark = pytest.mark.server

JOB, DAY = "J0000001", date(2026, 3, 2)
CSV = (
    "serial,amount,occurred_at,customer\n"
    "A1,1.00,2026-03-02T09:00:00,张三\n"
    "A2,2.50,2026-03-02T10:00:00,=李四\n"
)


class PeerLine:
    """What a signed client does between two nodes: the receiver sees a verified sender, the asker a signed answer or an error."""

    def __init__(self, sender: str, peers: dict[str, TestClient], fallback: Any) -> None:
        self.sender, self.peers, self.fallback = sender, peers, fallback
        self.down: set[str] = set()

    def get(
        self, recipient: str, path: str, params: Any = None, *, timeout_seconds: float | None = None
    ) -> Any:
        return self.fallback.get(recipient, path, params)

    def post(
        self, recipient: str, path: str, content: Any = None, *, timeout_seconds: float | None = None
    ) -> Any:
        if recipient in self.down or recipient not in self.peers:
            raise PeerUnreachable(recipient, "ConnectError: down in this test")
        answer = self.peers[recipient].post(path, json=content, headers={"x-sender": self.sender})
        if answer.status_code >= 400:
            body = answer.json()
            raise PeerRefused(recipient, answer.status_code, body["code"], body["message_en"], body)
        return answer.json()


def peer_app(ctx: Any) -> TestClient:
    """The node's /peer routes, behind a stand-in for the guard that takes the sender as given."""
    app = FastAPI()
    app.include_router(create_peer_supervision_router(ctx))

    @app.middleware("http")
    async def guard(request: Any, call_next: Any) -> Any:
        sender = request.headers.get("x-sender")
        if sender:
            request.state.sender = VerifiedRequest(sender=sender, key_id="k", nonce="n", created=0)
        return await call_next(request)

    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def nodes(
    make_node: Callable[[str], Any],
    contract_of: Callable[..., Any],
    keep: Callable[..., None],
    define: Callable[..., Any],
) -> dict[str, Any]:
    made = {org: make_node(org) for org in ("regulator", "institution")}
    contract = contract_of(made["regulator"])
    lines = {}
    for org, node in made.items():
        keep(node, contract)
        lines[org] = PeerLine(org, {}, node.ctx.client)
        node.ctx.client = lines[org]
        node.line, node.contract = lines[org], contract
    for org in made:
        other = "institution" if org == "regulator" else "regulator"
        lines[org].peers[other] = peer_app(made[other].ctx)
    owner = made["institution"].ctx
    datasets.register(owner, define("institution", "loans", "business_records"), "x")
    datasets.receive_file(owner, "loans", "loans.csv", io.BytesIO(CSV.encode()), "x")
    where = {
        "job": JOB,
        "attempt": 1,
        "contract": contract.digest,
        "contract_id": contract.contract_id,
        "business_date": DAY,
    }
    with made["regulator"].ctx.session() as session:
        session.add(ResultRow(**where, received_at=now()))
        session.commit()
    with owner.session() as session:
        read = {"own_file": hashlib.sha256(CSV.encode()).hexdigest()}
        session.add(JobRow(**where, state="finished", input=read, updated_at=now()))
        session.commit()
    made["regulator"].worker = made["regulator"].person("preparer", "approver")
    made["institution"].worker = made["institution"].person("preparer", "approver")
    return made


def ask(nodes: dict[str, Any], **change: Any) -> Any:
    body = {"job_id": JOB, "owner": "institution", "row": 2, "reason": "金额不一致", **change}
    regulator = nodes["regulator"]
    return regulator.http.post("/console/record-requests", json=body, headers=regulator.worker)


def kinds(node: Any) -> list[str]:
    wanted = ("record_", "inquiry_", "case_")
    return [e["kind"] for e in node.evidence() if e["kind"].startswith(wanted)]


def test_a_record_comes_back_with_the_contracts_fields_alone(nodes: dict[str, Any]) -> None:
    answer = ask(nodes)
    assert answer.status_code == 200, answer.text
    view = answer.json()
    assert view["state"] == "answered"
    assert view["record"] == {"serial": "A2", "amount": "2.50", "occurred_at": "2026-03-02T10:00:00"}
    assert kinds(nodes["regulator"]) == ["record_requested", "record_received"]
    assert kinds(nodes["institution"]) == ["record_answered"]
    evidence = [e for n in nodes.values() for e in n.evidence() if e["kind"].startswith("record_")]
    assert all(set(e["body"]) == {"request"} and e["job"] is None for e in evidence)
    at_owner = (
        nodes["institution"].http.get("/console/record-requests", headers=nodes["institution"].worker).json()
    )
    assert [(r["owner"], r["row"], r["record"]) for r in at_owner] == [("institution", 2, {})]


def test_the_record_is_that_of_the_file_the_job_read(nodes: dict[str, Any]) -> None:
    later = CSV.replace("2.50", "9.99")
    datasets.receive_file(nodes["institution"].ctx, "loans", "fix.csv", io.BytesIO(later.encode()), "x")
    assert ask(nodes).json()["record"]["amount"] == "2.50"


def test_rows_that_are_not_there_are_not_found(nodes: dict[str, Any]) -> None:
    answer = ask(nodes, row=3)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert ask(nodes, row=0).status_code == 422
    assert ask(nodes, owner="exchange").json()["code"] == "not_an_owner"
    assert ask(nodes, job_id="J0000009").status_code == 404


def test_a_silent_owner_is_asked_again_and_overdue_is_seen_on_reading(nodes: dict[str, Any]) -> None:
    regulator = nodes["regulator"]
    regulator.line.down.add("institution")
    request = ask(nodes).json()
    assert request["state"] == "asked"
    with regulator.ctx.session() as session:
        row = session.get(RecordRow, request["request_id"])
        row.due_at = now() - timedelta(minutes=1)
        session.add(row)
        session.commit()
    assert [r.state for r in records.list_views(regulator.ctx)] == ["overdue"]
    todos = regulator.http.get("/console/overview", headers=regulator.worker).json()["todos"]
    assert "record" in [t["kind"] for t in todos]
    regulator.line.down.clear()
    records.ask_again(regulator.ctx)
    assert [r.state for r in records.list_views(regulator.ctx)] == ["answered"]
    records.ask_again(regulator.ctx)
    assert kinds(nodes["institution"]) == ["record_answered"]


def question(nodes: dict[str, Any], **change: Any) -> dict[str, Any]:
    return {
        "request_id": "a" * 32,
        "contract": nodes["regulator"].contract.digest,
        "job": JOB,
        "attempt": 1,
        "row": 1,
        "reason": "x",
        **change,
    }


@pytest.mark.parametrize("sender", ["bank", "operator", "auditor", "exchange", "institution", "coordinator"])
def test_only_the_recipient_of_the_result_may_ask(nodes: dict[str, Any], sender: str) -> None:
    door = nodes["regulator"].line.peers["institution"]
    answer = door.post("/peer/record-requests", json=question(nodes), headers={"x-sender": sender})
    assert (answer.status_code, answer.json()["code"]) == (403, "not_entitled")
    assert kinds(nodes["institution"]) == []


def test_without_a_verified_sender_nobody_is_answered(nodes: dict[str, Any]) -> None:
    door = nodes["regulator"].line.peers["institution"]
    for path in ("record-requests", "inquiries", "inquiry-replies"):
        assert door.post(f"/peer/{path}", json=question(nodes)).status_code >= 400
    assert kinds(nodes["institution"]) == []


@pytest.mark.parametrize("change", [{"contract": "0" * 64}, {"job": "J0000002"}])
def test_a_job_in_which_we_took_no_part_is_nobodys_business(
    nodes: dict[str, Any], change: dict[str, Any]
) -> None:
    door = nodes["regulator"].line.peers["institution"]
    answer = door.post(
        "/peer/record-requests", json=question(nodes, **change), headers={"x-sender": "regulator"}
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "not_entitled")


def test_a_contract_that_we_did_not_sign_entitles_nobody(nodes: dict[str, Any]) -> None:
    from hefu.store.node_tables import ContractSignatureRow

    owner = nodes["institution"].ctx
    with owner.session() as session:
        session.delete(session.get(ContractSignatureRow, (nodes["regulator"].contract.digest, "institution")))
        session.commit()
    door = nodes["regulator"].line.peers["institution"]
    answer = door.post("/peer/record-requests", json=question(nodes), headers={"x-sender": "regulator"})
    assert answer.json()["code"] == "not_entitled"


def test_a_request_id_serves_one_row_only(nodes: dict[str, Any]) -> None:
    door = nodes["regulator"].line.peers["institution"]
    sender = {"x-sender": "regulator"}
    assert door.post("/peer/record-requests", json=question(nodes), headers=sender).status_code == 200
    assert door.post("/peer/record-requests", json=question(nodes), headers=sender).status_code == 200
    other = door.post("/peer/record-requests", json=question(nodes, row=2), headers=sender)
    assert (other.status_code, other.json()["code"]) == (409, "request_reused")
    assert kinds(nodes["institution"]) == ["record_answered"]


def test_an_answer_is_sealed_and_another_requests_answer_is_dropped(nodes: dict[str, Any]) -> None:
    regulator = nodes["regulator"]
    door = regulator.line.peers["institution"]
    stale = door.post("/peer/record-requests", json=question(nodes), headers={"x-sender": "regulator"}).json()
    assert set(stale) == {"sealed"}
    assert b'"A1"' not in base64.b64decode(stale["sealed"])
    regulator.line.post = lambda *_, **__: stale
    answer = ask(nodes)
    assert (answer.status_code, answer.json()["code"]) == (502, "answer_invalid")
    assert [r.state for r in records.list_views(regulator.ctx)] == ["asked"]


def send(nodes: dict[str, Any], **change: Any) -> Any:
    regulator = nodes["regulator"]
    body = {
        "job_id": JOB,
        "org_id": "institution",
        "rows": [2, 1, 2],
        "question": "请说明差异",
        "due_days": 3,
        **change,
    }
    return regulator.http.post("/console/inquiries", json=body, headers=regulator.worker)


def test_an_inquiry_goes_out_opens_cases_comes_back_and_is_closed(nodes: dict[str, Any]) -> None:
    regulator, institution = nodes["regulator"], nodes["institution"]
    sent = send(nodes)
    assert sent.status_code == 200, sent.text
    inquiry = sent.json()["inquiry_id"]
    assert sent.json()["rows"] == [1, 2]
    received = institution.http.get("/console/inquiries", headers=institution.worker).json()
    assert [(i["inquiry_id"], i["question"], i["state"]) for i in received] == [
        (inquiry, "请说明差异", "sent")
    ]
    cases = institution.http.get("/console/cases", headers=institution.worker).json()
    assert [(c["row"], c["state"], c["inquiry_id"]) for c in cases] == [
        (1, "open", inquiry),
        (2, "open", inquiry),
    ]
    todos = institution.http.get("/console/overview", headers=institution.worker).json()["todos"]
    assert [t["kind"] for t in todos].count("case") == 2
    path = f"/console/inquiries/{inquiry}"
    replied = institution.http.post(f"{path}/reply", json={"text": "录入错误"}, headers=institution.worker)
    assert replied.json()["state"] == "replied"
    at_regulator = regulator.http.get("/console/inquiries", headers=regulator.worker).json()[0]
    assert (at_regulator["state"], at_regulator["reply"]) == ("replied", "录入错误")
    again = institution.http.post(f"{path}/reply", json={"text": "改口"}, headers=institution.worker)
    assert (again.status_code, again.json()["code"]) == (409, "already_replied")
    assert (
        regulator.http.post(f"{path}/close", json={"text": "已核实"}, headers=regulator.worker).json()[
            "state"
        ]
        == "closed"
    )
    assert (
        institution.http.get("/console/inquiries", headers=institution.worker).json()[0]["closing_note"]
        == "已核实"
    )
    assert kinds(regulator) == ["inquiry_sent", "inquiry_reply_received", "inquiry_closed"]
    assert kinds(institution) == ["inquiry_received", "inquiry_replied", "inquiry_closing_received"]
    evidence = [e for n in nodes.values() for e in n.evidence() if e["kind"].startswith("inquiry_")]
    assert all(set(e["body"]) == {"inquiry"} and e["job"] is None for e in evidence)


def test_messages_wait_for_a_peer_that_is_down_and_keep_their_order(nodes: dict[str, Any]) -> None:
    regulator, institution = nodes["regulator"], nodes["institution"]
    regulator.line.down.add("institution")
    inquiry = send(nodes).json()["inquiry_id"]
    regulator.http.post(
        f"/console/inquiries/{inquiry}/close", json={"text": "撤回"}, headers=regulator.worker
    )
    assert inquiries.list_views(institution.ctx) == []
    regulator.line.down.clear()
    assert inquiries.send_pending(regulator.ctx) == 2
    assert [i.state for i in inquiries.list_views(institution.ctx)] == ["closed"]
    assert inquiries.send_pending(regulator.ctx) == 0


def test_an_inquiry_past_its_day_is_overdue(nodes: dict[str, Any]) -> None:
    inquiry = send(nodes).json()["inquiry_id"]
    for node in nodes.values():
        with node.ctx.session() as session:
            row = session.get(InquiryRow, inquiry)
            row.due_at = now() - timedelta(seconds=1)
            session.add(row)
            session.commit()
        assert inquiries.list_views(node.ctx)[0].state == "overdue"
    institution = nodes["institution"]
    late = institution.http.post(
        f"/console/inquiries/{inquiry}/reply", json={"text": "迟复"}, headers=institution.worker
    )
    assert late.json()["state"] == "replied"


@pytest.mark.parametrize(
    "change", [{"rows": []}, {"rows": [0]}, {"rows": [-1]}, {"org_id": "exchange"}, {"rows": [1] * 501}]
)
def test_inquiries_that_make_no_sense_are_refused(nodes: dict[str, Any], change: dict[str, Any]) -> None:
    assert send(nodes, **change).status_code == 422


def test_replies_count_only_from_whom_was_asked(nodes: dict[str, Any]) -> None:
    inquiry = send(nodes).json()["inquiry_id"]
    door = nodes["institution"].line.peers["regulator"]
    body = {"inquiry_id": inquiry, "reply": "冒充", "replied_at": now().isoformat()}
    assert door.post("/peer/inquiry-replies", json=body, headers={"x-sender": "bank"}).status_code == 404
    assert inquiries.list_views(nodes["regulator"].ctx)[0].reply == ""


def test_a_stranger_cannot_open_or_close_an_inquiry(nodes: dict[str, Any]) -> None:
    inquiry = send(nodes).json()["inquiry_id"]
    door = nodes["regulator"].line.peers["institution"]
    message = {
        "inquiry_id": inquiry,
        "contract": nodes["regulator"].contract.digest,
        "job": JOB,
        "rows": [1, 2],
        "question": "请说明差异",
        "sent_at": now().isoformat(),
        "due_at": now().isoformat(),
        "state": "closed",
    }
    assert door.post("/peer/inquiries", json=message, headers={"x-sender": "bank"}).status_code == 403
    swapped = {**message, "state": "sent", "question": "另一个问题"}
    answer = door.post("/peer/inquiries", json=swapped, headers={"x-sender": "regulator"})
    assert (answer.status_code, answer.json()["code"]) == (409, "request_reused")
    assert inquiries.list_views(nodes["institution"].ctx)[0].state == "sent"


def test_a_case_is_prepared_by_one_and_closed_by_another(nodes: dict[str, Any]) -> None:
    send(nodes)
    node = nodes["institution"]
    node.add_user("preparer", "preparer", "approver")
    node.add_user("approver", "approver")
    preparer, approver = node.sign_in("preparer"), node.sign_in("approver")
    case = node.http.get("/console/cases", headers=preparer).json()[0]["case_id"]

    def step(name: str, who: Any, **note: Any) -> Any:
        return node.http.post(f"/console/cases/{case}/{name}", json={"text": "说明", **note}, headers=who)

    assert step("assign", approver, assignee="nobody").json()["code"] == "assignee_unknown"
    assert step("assign", approver, assignee="preparer").json()["state"] == "assigned"
    assert step("close", approver).json()["code"] == "wrong_state"
    assert step("adjust", preparer, amount_cents=5).json()["code"] == "wrong_state"
    assert step("explain", approver).json()["code"] == "role_missing"
    assert step("explain", preparer).json()["prepared_by"] == "preparer"
    assert step("adjust", preparer).json()["code"] == "amount_missing"
    assert step("adjust", preparer, amount_cents=-250).json()["adjustment_cents"] == -250
    assert step("close", preparer).json()["code"] == "same_person"
    closed = step("close", approver).json()
    assert (closed["state"], closed["approved_by"]) == ("closed", "approver")
    assert [line["step"] for line in closed["history"]] == ["assign", "explain", "adjust", "close"]
    assert step("explain", preparer).json()["code"] == "wrong_state"
    assert [e["body"].keys() for e in node.evidence() if e["kind"].startswith("case_")] == [{"case"}] * 4


def test_whoever_prepared_a_part_does_not_close_it(nodes: dict[str, Any]) -> None:
    """One explains, another adjusts: the first may not approve its own explanation."""
    send(nodes)
    node = nodes["institution"]
    for name in ("first", "second"):
        node.add_user(name, "preparer", "approver")
    node.add_user("third", "approver")
    first, second, third = (node.sign_in(name) for name in ("first", "second", "third"))
    case = node.http.get("/console/cases", headers=first).json()[0]["case_id"]

    def step(name: str, who: Any, **note: Any) -> Any:
        return node.http.post(f"/console/cases/{case}/{name}", json={"text": "说明", **note}, headers=who)

    step("explain", first)
    assert step("adjust", second, amount_cents=5).json()["prepared_by"] == "second"
    assert step("close", first).json()["code"] == "same_person"
    assert step("close", second).json()["code"] == "same_person"
    assert step("close", third).json()["state"] == "closed"


def test_the_two_person_rule_is_a_setting(nodes: dict[str, Any]) -> None:
    send(nodes)
    node = nodes["institution"]
    with node.ctx.session() as session:
        preferences.write(session, "two_person", {"enabled": False})
        session.commit()
    case = node.http.get("/console/cases", headers=node.worker).json()[0]["case_id"]
    node.http.post(f"/console/cases/{case}/explain", json={"text": "说明"}, headers=node.worker)
    closed = node.http.post(f"/console/cases/{case}/close", json={"text": "同意"}, headers=node.worker)
    assert closed.json()["state"] == "closed"
