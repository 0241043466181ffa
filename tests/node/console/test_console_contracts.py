"""Drafts, contracts and everything that comes from the coordinator: shapes checked, roles checked, silence survived."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hefu.components.registry import code_digest
from hefu.domain.approval import ReleaseSubject
from hefu.domain.contract import Contract
from hefu.keys.public import public_b64
from hefu.node import contracts as contract_service
from hefu.node import registry
from hefu.node.cutoff import is_late
from hefu.wire.errors import AcknowledgementInvalid, PeerRefused

pytestmark = pytest.mark.server


@pytest.fixture
def node(make_node: Callable[[str], Any], know_registry: Callable[[Any], None]) -> Any:
    made = make_node("regulator")
    know_registry(made)
    made.both = made.person("preparer", "approver")
    return made


def draft(node: Any, form: dict[str, Any], **change: Any) -> Any:
    return node.http.post("/console/contracts/draft", json={**form, **change}, headers=node.both)


def test_a_draft_pins_what_the_applicants_signed(
    node: Any, draft_form: dict[str, Any], cast: dict[str, Any]
) -> None:
    answer = draft(node, draft_form)
    assert answer.status_code == 200, answer.text
    view = answer.json()
    contract = Contract.model_validate(view["document"])
    assert contract.digest == view["summary"]["digest"]
    assert view["canonical"].encode() == contract.to_bytes()
    assert sorted(p.org_id for p in contract.parties) == sorted(cast)
    for party in contract.parties:
        assert party.identity_key == public_b64(cast[party.org_id].keys.identity)
        assert party.application == cast[party.org_id].application.digest
    assert contract.computation.steps[0].code_digest == code_digest("reconcile")
    assert contract.platform.coordinator_key == node.ctx.kit.coordinator_key
    assert [f.name for f in contract.data_sets[0].fields] == [
        "serial",
        "amount",
        "occurred_at",
    ]  # not the customer
    assert all(v["passed"] for v in view["findings"])
    assert {s["state"] for s in view["signatures"]} == {"waiting"}
    assert view["can_sign"] is True


def test_no_clause_calls_computation_anonymous(node: Any, draft_form: dict[str, Any]) -> None:
    text = draft(node, draft_form).json()["canonical"]
    assert "不等于匿名化" in text
    assert "does not anonymise" in text
    assert "不得与其他数据结合以识别特定自然人" in text


def test_a_registry_that_swaps_an_application_is_found_out(
    node: Any, draft_form: dict[str, Any], cast: dict[str, Any]
) -> None:
    from hefu.store.signed import encode_envelope

    answers = node.coordinator.answers
    honest = answers[("GET", "/api/participants")]

    def lying(params: Any) -> Any:
        found = honest(params)
        if params and params.get("view") == "console":
            return found
        return [
            {**e, "application": encode_envelope(cast["exchange"].envelope)} if e["org_id"] == "bank" else e
            for e in found
        ]

    answers[("GET", "/api/participants")] = lying
    answer = draft(node, draft_form)
    assert (answer.status_code, answer.json()["limit"], answer.json()["party"]) == (422, "parties", "bank")


@pytest.mark.parametrize(
    ("change", "clause"),
    [
        ({"institutions": []}, "data_sets"),
        ({"institutions": ["bank"]}, "data_sets"),
        ({"banks": ["exchange"]}, "data_sets"),
        ({"regulator": "nobody"}, "parties"),
        ({"regulator": "exchange"}, "parties"),
        ({"auditor": "exchange"}, "parties"),
        ({"compute_parties": ["operator", "operator", "bank"]}, "computation.compute_parties"),
        ({"match_keys": []}, "computation.steps.parameters.match_keys"),
        ({"match_keys": ["serial", "serial"]}, "computation.steps.parameters"),
        ({"match_keys": ["type"]}, "data_sets"),
        ({"window_days": 1, "match_keys": ["date"]}, "computation.steps.parameters"),
        ({"valid_until": "2025-01-01T00:00:00Z"}, "limits.valid_until"),
        ({"cron": "every morning"}, "schedule"),
        ({"first_day": "2026-02-30"}, "schedule"),
        ({"cutoff_minutes": -1}, "schedule.cutoff_minutes"),
        ({"contract_id": "x"}, "contract_id"),
        ({"data_sets": {"bank": "other"}}, "data_sets"),
        ({"reviewers": ["nobody"]}, "parties"),
        ({"retention_days": 0}, "retention_days"),
    ],
)
def test_what_is_wrong_is_told_by_clause(
    node: Any, draft_form: dict[str, Any], change: dict[str, Any], clause: str
) -> None:
    answer = draft(node, draft_form, **change)
    assert (answer.status_code, answer.json()["code"], answer.json()["limit"]) == (
        422,
        "clause_invalid",
        clause,
    )


def test_compute_parties_that_break_the_assumption_show_as_findings(
    node: Any, draft_form: dict[str, Any]
) -> None:
    view = draft(node, draft_form, compute_parties=["bank", "operator", "exchange"]).json()
    assert [f["rule"] for v in view["findings"] for f in v["findings"]] == ["protocol_assumption"]


def test_a_next_version_names_its_predecessor(
    node: Any, draft_form: dict[str, Any], contract_of: Callable[..., Any], keep: Callable[..., None]
) -> None:
    first = contract_of(node)
    keep(node, first)
    second = Contract.model_validate(draft(node, draft_form).json()["document"])
    assert (second.version, second.previous) == (2, first.digest)


def test_signatures_are_those_that_this_node_verified(
    node: Any, contract_of: Callable[..., Any], keep: Callable[..., None]
) -> None:
    contract = contract_of(node)
    keep(node, contract, state="signing", signed_by=("bank",))
    told = {
        "digest": contract.digest,
        "contract_id": contract.contract_id,
        "version": 1,
        "title": "x",
        "title_en": "x",
        "template": "t1_reconciliation",
        "state": "active",
        "proposed_by": "bank",
        "proposed_at": "2026-01-01T00:00:00Z",
        "signing_deadline": contract.signing_deadline.isoformat(),
        "waits_for": [],
        "uses": 3,
        "max_uses": 9,
        "valid_until": "2099-01-01T00:00:00Z",
    }
    node.coordinator.answers[("GET", "/api/contracts")] = [told]
    view = node.http.get(f"/console/contracts/{contract.digest}", headers=node.both).json()
    assert {s["org_id"] for s in view["signatures"] if s["state"] == "signed"} == {"bank"}
    assert view["summary"]["state"] == "signing"  # whatever the coordinator says
    assert view["summary"]["uses"] == 3
    assert view["can_sign"] is True
    viewer = node.person("preparer")
    assert node.http.get(f"/console/contracts/{contract.digest}", headers=viewer).json()["can_sign"] is False


def test_only_an_approver_signs_and_only_what_waits_for_us(
    node: Any, contract_of: Callable[..., Any], keep: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    signed: list[str] = []
    monkeypatch.setattr(contract_service, "sign", lambda ctx, digest, user: signed.append(digest))
    contract = contract_of(node)
    keep(node, contract, state="signing", signed_by=("bank",))
    path = f"/console/contracts/{contract.digest}/sign"
    assert node.http.post(path, headers=node.person("admin", "viewer")).status_code == 403
    assert node.http.post(path, headers=node.person("preparer")).status_code == 200  # prepared only
    assert node.http.post(path, headers=node.person("preparer")).status_code == 403
    assert signed == []
    assert node.http.post(path, headers=node.both).status_code == 200
    assert signed == [contract.digest]
    other = contract_of(node, contract_id="HF-2026-0002")
    keep(node, other, state="active")
    answer = node.http.post(f"/console/contracts/{other.digest}/sign", headers=node.both)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_to_be_signed")
    assert node.http.post("/console/contracts/unknown/sign", headers=node.both).status_code == 404


def test_contracts_are_listed_while_the_coordinator_is_silent(
    node: Any, contract_of: Callable[..., Any], keep: Callable[..., None]
) -> None:
    contract = contract_of(node)
    keep(node, contract)
    listed = node.http.get("/console/contracts", headers=node.both).json()
    assert [(c["digest"], c["state"], c["waits_for"]) for c in listed] == [(contract.digest, "active", [])]


@pytest.mark.parametrize("path", ["jobs", "schedules", "ledger/state", "ledger/entries", "jobs/J0000001"])
def test_a_silent_coordinator_is_said_plainly(node: Any, path: str) -> None:
    answer = node.http.get(f"/console/{path}", headers=node.both)
    assert (answer.status_code, answer.json()["code"], answer.json()["party"]) == (
        503,
        "peer_unreachable",
        "coordinator",
    )
    assert answer.json()["mend_zh"]


def test_an_answer_of_another_shape_or_signature_is_not_passed_on(node: Any) -> None:
    node.coordinator.answers[("GET", "/api/jobs")] = [{"job_id": "J1", "unexpected": "<script>"}]
    answer = node.http.get("/console/jobs", headers=node.both)
    assert (answer.status_code, answer.json()["code"]) == (502, "answer_unreadable")
    assert "script" not in answer.text
    node.coordinator.answers[("GET", "/api/jobs")] = AcknowledgementInvalid("coordinator", "bad")
    assert node.http.get("/console/jobs", headers=node.both).json()["code"] == "answer_invalid"


def test_what_the_coordinator_refuses_is_told_in_its_words(node: Any) -> None:
    said = {
        "code": "uses_exhausted",
        "message_zh": "次数用尽",
        "message_en": "no uses left",
        "limit": "9",
        "mend_zh": "续签",
    }
    node.coordinator.answers[("POST", "/api/jobs")] = PeerRefused(
        "coordinator", 409, "uses_exhausted", "no uses left", said
    )
    body = {"contract_id": "HF-2026-0001", "first_day": "2026-03-01", "last_day": "2026-03-02"}
    answer = node.http.post("/console/jobs", json=body, headers=node.both)
    assert answer.status_code == 409
    assert {k: answer.json()[k] for k in said} == said


def test_a_session_that_ended_at_the_coordinator_does_not_sign_the_person_out(node: Any) -> None:
    node.coordinator.answers[("GET", "/api/jobs")] = PeerRefused("coordinator", 401, "unknown_sender", "", {})
    assert node.http.get("/console/jobs", headers=node.both).status_code == 502


@pytest.mark.parametrize(
    "path", ["..%2f..%2finternal%2fschedules", "J1%3fx=1", "%00", "a" * 200, "J1%2fcancel"]
)
def test_ids_cannot_reach_other_paths_of_the_coordinator(node: Any, path: str) -> None:
    assert node.http.get(f"/console/jobs/{path}", headers=node.both).status_code in (404, 405)
    assert [asked for asked in node.coordinator.asked if "/api/jobs/" in asked[2]] == []


def test_days_of_a_job_must_be_days(node: Any) -> None:
    body = {"contract_id": "HF-2026-0001", "first_day": "2026-3-1", "last_day": "2026-03-02"}
    answer = node.http.post("/console/jobs", json=body, headers=node.both)
    assert (answer.status_code, answer.json()["limit"]) == (422, "first_day")


def test_starting_and_cancelling_need_a_working_role(node: Any) -> None:
    viewer = node.person("viewer", "admin")
    body = {"contract_id": "HF-2026-0001", "first_day": "2026-03-01", "last_day": "2026-03-02"}
    for path, content in (("jobs", body), ("jobs/J1/cancel", None), ("schedules/HF-1", {"action": "pause"})):
        assert node.http.post(f"/console/{path}", json=content, headers=viewer).status_code == 403


def test_decisions_about_participants_are_for_whom_they_are(
    make_node: Callable[[str], Any], know_registry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, str]] = []
    monkeypatch.setattr(registry, "review", lambda ctx, *a: done.append(("review", ctx.org_id)))
    monkeypatch.setattr(registry, "admit", lambda ctx, *a: done.append(("admit", ctx.org_id)))
    monkeypatch.setattr(registry, "set_standing", lambda ctx, org, *a: done.append((org, ctx.org_id)))
    for org in ("bank", "auditor", "operator"):
        node = make_node(org)
        know_registry(node)
        bank = next(
            e for e in node.coordinator.get("coordinator", "/api/participants") if e["org_id"] == "bank"
        )["digest"]
        person = node.person("approver")
        node.http.post(
            f"/console/participants/{bank}/review", json={"approved": True, "reasons": "x"}, headers=person
        )
        node.http.post(f"/console/participants/{bank}/admit", headers=person)
        for target in ("bank", "exchange"):
            standing = {"standing": "suspended", "reason": "x"}
            node.http.post(f"/console/participants/{target}/standing", json=standing, headers=person)
    assert done == [
        ("bank", "bank"),
        ("review", "auditor"),
        ("bank", "auditor"),
        ("exchange", "auditor"),
        ("admit", "operator"),
        ("bank", "operator"),
        ("exchange", "operator"),
    ]


def test_the_overview_comes_without_the_coordinator(
    node: Any, contract_of: Callable[..., Any], keep: Callable[..., None]
) -> None:
    keep(node, contract_of(node), state="signing", signed_by=("bank",))
    node.coordinator.answers.clear()
    view = node.http.get("/console/overview", headers=node.both).json()
    assert view["online"] == {"coordinator": False}
    assert view["ledger"]["size"] == 0
    assert [t["kind"] for t in view["todos"]] == ["sign_contract"]
    assert node.http.get("/console/overview", headers=node.person("viewer")).json()["todos"] == []


@pytest.mark.parametrize(
    ("moment", "late"),
    [
        (
            datetime(2026, 3, 3, 4, 29, tzinfo=UTC),
            False,
        ),  # 12:29 in Shanghai, ten hours after the run at 02:30
        (datetime(2026, 3, 3, 4, 31, tzinfo=UTC), True),
        (datetime(2026, 3, 2, 1, 0, tzinfo=UTC), False),
    ],
)
def test_a_file_is_late_after_the_cut_off_of_the_first_run(
    node: Any, contract_of: Callable[..., Any], moment: datetime, late: bool
) -> None:
    contract = contract_of(node, cron="30 2 * * *", cutoff_minutes=600, run_days="every_day")
    assert is_late(contract, date(2026, 3, 2), moment) is late


def test_history_delivered_when_the_contract_begins_is_not_late(
    node: Any, contract_of: Callable[..., Any]
) -> None:
    contract = contract_of(node)
    start = contract.limits.valid_from
    assert is_late(contract, date(2025, 6, 1), start + timedelta(hours=1)) is False
    assert is_late(contract, date(2025, 6, 1), start + timedelta(days=3)) is True


def job_view(contract: Contract, state: str) -> dict[str, Any]:
    summary = {
        "job_id": "J0000001",
        "contract_id": contract.contract_id,
        "contract_digest": contract.digest,
        "business_date": "2026-03-02",
        "revision": 1,
        "supersedes": None,
        "superseded_by": None,
        "state": state,
        "stage": "release",
        "percent": 80,
        "requested_by": "schedule",
        "created_at": "2026-03-03T00:00:00Z",
    }
    stages = [
        {"stage": "compute", "state": "passed", "attempt": 2},
        {"stage": "retain_and_delete", "state": "pending", "attempt": 2},
    ]
    return {"summary": summary, "stages": stages}


def asked_to_decide(contract: Any, attempt: int = 2, **changes: Any) -> dict[str, Any]:
    """The coordinator's open approval of the release of that attempt."""
    release = ReleaseSubject(
        contract=contract.digest,
        job="J0000001",
        attempt=attempt,
        output=0,
        checked="c" * 64,
        halves={"operator": "a" * 64, "exchange": "b" * 64},
    )
    value = {
        "kind": "release",
        "subject": release.digest,
        "release": release.model_dump(mode="json"),
        "requested_by": "coordinator",
        "asked": ["regulator"],
        "opened_at": "2026-03-03T00:00:00Z",
        "deadline": "2099-01-01T00:00:00Z",
    }
    return {"contract_id": contract.contract_id, "approval": {**value, **changes}}


def test_a_named_reviewer_signs_the_decision_on_the_newest_attempt(
    node: Any, contract_of: Callable[..., Any], keep: Callable[..., None], cast: dict[str, Any]
) -> None:
    from hefu.domain.job import DECISION_TYPE, ReleaseDecision
    from hefu.store.signed import read_signed

    contract = contract_of(node, reviewers=["regulator"])
    keep(node, contract)
    answers = node.coordinator.answers
    answers[("GET", "/api/jobs/J0000001")] = job_view(contract, "awaiting_review")
    answers[("POST", "/api/jobs/J0000001/decisions")] = {"job_id": "J0000001"}
    answers[("GET", "/api/approvals")] = [asked_to_decide(contract, 1), asked_to_decide(contract)]
    body = {"approved": False, "reasons": "行数异常"}
    path = "/console/jobs/J0000001/decision"
    assert node.http.post(path, json=body, headers=node.person("viewer")).status_code == 403
    assert (
        node.http.post(path, json=body, headers=node.person("preparer")).status_code == 200
    )  # prepared only
    assert node.coordinator.sent("/api/jobs/J0000001/decisions") == []
    other = {**body, "approved": True}  # another decision than the one prepared
    assert node.http.post(path, json=other, headers=node.person("preparer")).status_code == 200
    assert node.http.post(path, json=body, headers=node.person("preparer")).status_code == 403
    assert node.http.post(path, json=body, headers=node.both).status_code == 200
    sent = node.coordinator.sent("/api/jobs/J0000001/decisions")[0]["envelope"]
    key = cast["regulator"].keys.identity.public_key()
    decision = read_signed(sent, ReleaseDecision, DECISION_TYPE, key)
    assert (decision.job, decision.attempt, decision.approved, decision.org_id, decision.checked) == (
        "J0000001",
        2,
        False,
        "regulator",
        "c" * 64,
    )
    assert [e["body"]["decision"] for e in node.evidence() if e["kind"] == "release_decided"] == [
        decision.digest
    ]


def test_no_decision_without_the_result_that_it_is_on(
    node: Any, contract_of: Callable[..., Any], keep: Callable[..., None]
) -> None:
    contract = contract_of(node, reviewers=["regulator"])
    keep(node, contract)
    answers = node.coordinator.answers
    answers[("GET", "/api/jobs/J0000001")] = job_view(contract, "awaiting_review")
    for told in (
        [],
        [asked_to_decide(contract, 1)],
        [asked_to_decide(contract, asked=["auditor"])],
        [asked_to_decide(contract, state="overdue", closed_at="2026-03-04T00:00:00Z")],
    ):
        answers[("GET", "/api/approvals")] = told
        body = {"approved": True, "reasons": "x"}
        answer = node.http.post("/console/jobs/J0000001/decision", json=body, headers=node.both)
        assert answer.json()["code"] == "not_awaited"
    assert [e for e in node.evidence() if e["kind"] == "release_decided"] == []


@pytest.mark.parametrize(
    ("reviewers", "state", "code"),
    [([], "awaiting_review", "not_a_reviewer"), (["regulator"], "running", "not_awaited")],
)
def test_no_decision_where_none_is_awaited(
    node: Any,
    contract_of: Callable[..., Any],
    keep: Callable[..., None],
    reviewers: list[str],
    state: str,
    code: str,
) -> None:
    contract = contract_of(node, reviewers=reviewers)
    keep(node, contract)
    node.coordinator.answers[("GET", "/api/jobs/J0000001")] = job_view(contract, state)
    answer = node.http.post(
        "/console/jobs/J0000001/decision", json={"approved": True, "reasons": "x"}, headers=node.both
    )
    assert answer.json()["code"] == code
    assert [e for e in node.evidence() if e["kind"] == "release_decided"] == []
