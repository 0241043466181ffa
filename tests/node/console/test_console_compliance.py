"""Compliance over the console's API: the cockpit, forms, to-do, calendar, registers, what is sealed, and who may change what."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hefu.domain.businessdays import business_date
from hefu.domain.filings import FILING_TYPE, KINDS, read_filing
from hefu.domain.filings.events import Complaint, SubjectRequest
from hefu.domain.rules.risk_grade import grades_of
from hefu.keys.errors import SealInvalid
from hefu.node import filings as filing_service
from hefu.node import sealed_words
from hefu.node.sources.subjects import subject_token
from hefu.store.base import now
from hefu.store.node_keeping import ExcludedSubjectRow
from hefu.store.node_tables import FilingDraftRow, FilingRow
from hefu.store.signed import decode_envelope, encode_envelope, sign_document
from hefu.wire.refusal import Refusal
from sqlmodel import select

pytestmark = pytest.mark.server

IDENTIFIER = "330102199001011234"
FORM: dict[str, Any] = {
    "stage": "result", "judgement": "personal", "key_custody": "监管方", "collusion_assumption": "无", "conditions": "仅限本合约",
}  # fmt: skip


@pytest.fixture
def at(
    make_node: Callable[[str], Any], contract_of: Callable[..., Any], keep: Callable[..., None]
) -> Callable[[str], Any]:
    """`at("institution")`: that organisation's node, the contract in force, with a preparer, an approver and a viewer."""
    made: dict[str, Any] = {}

    def node(org: str) -> Any:
        one = make_node(org)
        made.setdefault("contract", contract_of(one))
        keep(one, made["contract"])
        one.contract = made["contract"]
        one.preparer, one.approver, one.viewer = (
            one.person("preparer"),
            one.person("approver"),
            one.person("viewer"),
        )
        one.get = lambda path, who=None, **q: one.http.get(
            f"/console/{path}", params=q, headers=who or one.preparer
        )
        one.post = lambda path, body=None, who=None: one.http.post(
            f"/console/{path}", json=body, headers=who or one.preparer
        )
        return one

    return node


def _approved(node: Any, draft: dict[str, Any]) -> dict[str, Any]:
    answer = node.post(
        f"filing-drafts/{draft['draft_id']}/approve", {"digest": draft["digest"]}, node.approver
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_the_cockpit_is_what_the_rules_say(at: Any) -> None:
    node = at("institution")
    answer = node.get(f"contracts/{node.contract.digest}/cockpit", node.viewer)
    assert answer.status_code == 200, answer.text
    seen = answer.json()
    with node.ctx.session() as session:
        matter = filing_service.matter(node.ctx, session, node.contract)
    grades = grades_of(matter)
    assert {r["stage"]: r["grade"] for r in seen["risk"]} == {s.stage: s.level.value for s in grades.stages}
    assert {r["stage"] for r in seen["risk"] if r["weakest"]} == set(grades.weakest)
    lights = {g["point"]: g["light"] for g in seen["gates"]}
    assert lights["K2"] == "red", "no impact assessment was filed"
    assert {"party": "institution"}.items() <= next(
        w for w in seen["waits"] if w["what_en"].startswith("K2")
    ).items()
    assert [c["data_set_id"] for c in seen["coverage"]] == [d.data_set_id for d in node.contract.data_sets]
    assert node.get(f"contracts/{'0' * 64}/cockpit").status_code == 404


def test_what_cannot_be_graded_is_never_low(at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    node = at("institution")

    def broken(matter: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("hefu.node.risk_view.grades_of", broken)
    seen = node.get(f"contracts/{node.contract.digest}/cockpit").json()
    assert [r["grade"] for r in seen["risk"]] == [None, None, None]


def test_an_assessment_from_form_to_green(at: Any) -> None:
    """The form that the node fills in, three answers, a second person: then the gate has what it asked for."""
    node = at("institution")
    form = node.get("filing-forms/impact_assessment", contract_id=node.contract.contract_id).json()
    assert set(form["fixed"]) == {"triggers", "scope"}
    assert form["content"]["scope"]["code_digests"] == sorted(
        {s.code_digest for s in node.contract.computation.steps}
    )
    before = node.get(f"contracts/{node.contract.digest}/cockpit").json()
    assert form["content"]["triggers"] == before["triggers"]
    answers = {"necessity": "必要", "impact": "有限", "measures": "充分", "residual_risk": "low"}
    draft = node.post("filing-drafts", {"kind": "impact_assessment", "content": form["content"] | answers})
    assert draft.status_code == 201, draft.text
    filed = _approved(node, draft.json())
    assert filed["content"]["prepared_by"] != filed["content"]["approved_by"]
    after = node.get(f"contracts/{node.contract.digest}/cockpit").json()
    closed = [f for g in after["gates"] if g["point"] == "K2" for f in g["verdict"]["findings"]]
    assert not [f for f in closed if f["party"] == "institution"]
    assert [f for f in closed if f["party"] == "bank"], "the other owner's is still missing"


@pytest.mark.parametrize("kind", ["source_declaration", "risk_notice_acknowledgement", "supervision", "admission_dossier", "component_review", "use_authorisation"])  # fmt: skip
def test_every_prefilled_value_is_one_that_the_filing_takes(at: Any, kind: str) -> None:
    node = at("institution")
    answer = node.get(f"filing-forms/{kind}", contract_id=node.contract.contract_id)
    assert answer.status_code == 200, answer.text
    form = answer.json()
    assert set(form["content"]) <= set(KINDS[kind].model_fields)
    assert set(form["fixed"]) | set(form["choices"]) <= set(KINDS[kind].model_fields)


def test_forms_that_make_no_sense(at: Any) -> None:
    node = at("regulator")
    named = {"contract_id": node.contract.contract_id}
    assert node.get("filing-forms/poem").json()["code"] == "kind_unknown"
    assert node.get("filing-forms/impact_assessment").json()["code"] == "contract_needed"
    assert node.get("filing-forms/source_declaration", **named).json()["code"] == "no_data_set"


def test_an_approval_is_bound_to_what_was_seen(at: Any) -> None:
    node = at("institution")
    draft = node.post("filing-drafts", {"kind": "stage_judgement", "content": FORM | {"contract_id": node.contract.contract_id}}).json()  # fmt: skip
    assert json.loads(draft["canonical"])["content"]["stage"] == "result"
    with node.ctx.session() as session:
        row = session.get_one(FilingDraftRow, draft["draft_id"])
        row.content = row.content | {"judgement": "anonymous"}
        session.add(row)
        session.commit()
    path = f"filing-drafts/{draft['draft_id']}/approve"
    refused = node.post(path, {"digest": draft["digest"]}, node.approver)
    assert (refused.status_code, refused.json()["code"]) == (409, "draft_differs")
    assert node.post(path, None, node.approver).status_code == 200, "the digest is what refused it"


def test_a_request_is_sealed_to_whoever_must_act_and_to_nobody_else(at: Any, cast: dict[str, Any]) -> None:
    taker = at("bank")
    asked = {"contract_id": taker.contract.contract_id, "right": "withdraw", "identifier": IDENTIFIER}
    draft = taker.post("subject-requests", asked)
    assert draft.status_code == 201, draft.text
    filed = _approved(taker, draft.json())
    assert IDENTIFIER not in draft.text + json.dumps(filed)
    with taker.ctx.session() as session:
        stored = session.get_one(FilingRow, filed["digest"]).envelope
        drafts = session.exec(select(FilingDraftRow)).all()
    assert IDENTIFIER.encode() not in stored
    assert IDENTIFIER not in json.dumps([d.content for d in drafts]) + json.dumps(taker.evidence())
    request = read_filing(decode_envelope(stored).payload)
    assert isinstance(request, SubjectRequest)
    terms = taker.contract.data_subjects
    responsible = terms.responsible if terms else taker.contract.duties.data_subject_contact
    assert set(request.sealed) == {responsible, *taker.contract.owners()}
    holder, stranger = at("institution"), at("regulator")
    for node in (holder, stranger):
        filing_service.take(node.ctx, encode_envelope(decode_envelope(stored)))
    opened = holder.post(f"filings/{filed['digest']}/open")
    assert opened.json() == {"digest": filed["digest"], "words": IDENTIFIER}
    evidence = [e for e in holder.evidence() if e["kind"] == "sealed_words_opened"]
    assert len(evidence) == 1
    assert IDENTIFIER not in json.dumps(holder.evidence())
    if "regulator" not in request.sealed:
        refused = stranger.post(f"filings/{filed['digest']}/open")
        assert (refused.status_code, refused.json()["code"]) == (403, "not_addressed")
    (case,) = holder.get("sealed-cases").json()
    assert (case["state"], case["mine"]) == ("open", True)
    todo = holder.get("todo").json()
    assert [t["kind"] for t in todo if t["subject"] == filed["digest"]] == ["subject_request"]
    content = {"contract_id": holder.contract.contract_id, "request": filed["digest"], "outcome": "done"}
    _approved(
        holder, holder.post("filing-drafts", {"kind": "subject_request_outcome", "content": content}).json()
    )
    (case,) = holder.get("sealed-cases").json()
    assert (case["mine"], len(case["outcomes"])) == (False, 1)
    assert holder.get("exclusions").json() == [
        {
            "kind": "withdraw",
            "data_set_id": "",
            "contract_id": holder.contract.contract_id,
            "entries": 1,
            "read": 0,
        }
    ]
    assert IDENTIFIER not in json.dumps(holder.evidence())


def request_at(at: Any, holder: Any, **asked: Any) -> str:
    """A request that the bank took in, as the holder has it; its digest."""
    taker = at("bank")
    form = {"contract_id": taker.contract.contract_id, "right": "restrict", "identifier": IDENTIFIER}
    filed = _approved(taker, taker.post("subject-requests", form | asked).json())
    with taker.ctx.session() as session:
        stored = session.get_one(FilingRow, filed["digest"]).envelope
    filing_service.take(holder.ctx, encode_envelope(decode_envelope(stored)))
    return str(filed["digest"])


def listed(node: Any) -> list[tuple[str, str | None]]:
    with node.ctx.session() as session:
        return [(row.kind, row.filing) for row in session.exec(select(ExcludedSubjectRow))]


@pytest.mark.parametrize("right", ["withdraw", "restrict", "refuse", "delete", "query"])
def test_a_granted_request_excludes_the_person_in_the_same_transaction(
    at: Any, right: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = at("institution")
    request = request_at(at, holder, right=right, note="电话受理 / by telephone")
    content = {"contract_id": holder.contract.contract_id, "request": request, "outcome": "done"}
    draft = holder.post("filing-drafts", {"kind": "subject_request_outcome", "content": content}).json()
    path, seen = f"filing-drafts/{draft['draft_id']}/approve", {"digest": draft["digest"]}

    def fail(*_: Any) -> None:
        raise Refusal(409, "broken", "", "")

    with monkeypatch.context() as broken:
        broken.setattr("hefu.node.exclusions._insert", fail)
        if right != "query":
            assert holder.post(path, seen, holder.approver).json()["code"] == "broken"
            with holder.ctx.session() as session:
                kinds = [row.kind for row in session.exec(select(FilingRow))]
            assert kinds == ["subject_request"], "neither outcome nor list entry"
            assert listed(holder) == []
    _approved(holder, draft)
    assert listed(holder) == ([] if right == "query" else [(right, request)])
    token = subject_token(holder.ctx.keys.subjects, IDENTIFIER)
    with holder.ctx.session() as session:
        assert [r.token for r in session.exec(select(ExcludedSubjectRow))] == [token] * (right != "query")


def test_a_refused_request_excludes_nobody_and_without_the_step_nobody_would_be(
    at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = at("institution")
    request = request_at(at, holder)
    content = {"contract_id": holder.contract.contract_id, "request": request}
    form = {"kind": "subject_request_outcome", "content": content}
    form["content"] = content | {"outcome": "refused", "reason": "法定义务"}
    _approved(holder, holder.post("filing-drafts", form).json())
    assert listed(holder) == []
    form["content"] = content | {"outcome": "done"}
    with monkeypatch.context() as without:
        without.setattr("hefu.node.subject_outcomes.apply_outcome", lambda *_: None)
        _approved(holder, holder.post("filing-drafts", form).json())
        assert listed(holder) == []
    _approved(holder, holder.post("filing-drafts", form).json())
    assert listed(holder) == [("restrict", request)]


@pytest.mark.parametrize("moved", ["due_on", "contract", "sender"])
def test_what_is_sealed_does_not_open_elsewhere(at: Any, cast: dict[str, Any], moved: str) -> None:
    """A sealed complaint that somebody moved to another deadline, contract or sender stays closed."""
    node = at("auditor")
    contract = node.contract
    bank = type(node.ctx)(**{**vars(node.ctx), "keys": cast["bank"].keys})
    bank.settings = node.ctx.settings.model_copy(update={"org_id": "bank"})
    due = (business_date(now()) + timedelta(days=5)).isoformat()
    elsewhere = contract.model_copy(update={"contract_id": "HF-2026-0002"})
    sealed = sealed_words.seal_words(
        bank, elsewhere if moved == "contract" else contract, "complaint", "投诉", ["auditor"], due
    )
    issuer = "institution" if moved == "sender" else "bank"
    later = (business_date(now()) + timedelta(days=6)).isoformat()
    filing = Complaint(
        issuer=issuer, contract_id=contract.contract_id, issued_at=now(), about="other", responsible="auditor", sealed=sealed,
        due_on=later if moved == "due_on" else due,
    )  # fmt: skip
    envelope = encode_envelope(sign_document(filing, FILING_TYPE, cast[issuer].keys.identity))
    filing_service.take(node.ctx, envelope)
    with pytest.raises(Refusal) as caught:
        sealed_words.open_words(node.ctx, filing.digest, "li")
    assert caught.value.body["code"] == "seal_invalid"
    assert isinstance(caught.value.__cause__, SealInvalid)


def test_words_that_are_too_long_are_refused(at: Any) -> None:
    node = at("bank")
    said = {"contract_id": node.contract.contract_id, "about": "other", "words": "长" * 1200}
    assert node.post("complaints", said).status_code == 201
    assert node.post("complaints", said | {"words": "长" * 1201}).status_code == 422
    asked = {"contract_id": node.contract.contract_id, "right": "sing", "identifier": "x"}
    assert node.post("subject-requests", asked).json()["code"] == "right_unknown"


WRITES = [
    ("filing-drafts", {"kind": "stage_judgement", "content": {}}),
    ("filing-drafts/x/approve", {"digest": "0" * 64}),
    ("filing-drafts/x/reject", {"reason": "x"}),
    ("complaints", {"contract_id": "HF-2026-0001", "about": "other", "words": "x"}),
    ("subject-requests", {"contract_id": "HF-2026-0001", "right": "know", "identifier": "x"}),
    (f"filings/{'0' * 64}/open", None),
    (f"contracts/{'0' * 64}/notices", {"kind": "suspend", "reason": "x"}),
]
READS = (
    "filings",
    "filing-drafts",
    "due-dates",
    "registers/processing",
    "registers/entrusted",
    "models",
    "sealed-cases",
    "todo",
)


def test_a_viewer_sees_all_and_changes_nothing(at: Any) -> None:
    node = at("auditor")
    for path in READS:
        assert node.get(path, node.viewer).status_code == 200, path
    assert node.get(f"contracts/{node.contract.digest}/cockpit", node.viewer).status_code == 200
    for path, body in WRITES:
        answer = node.post(path, body, node.viewer)
        assert (answer.status_code, answer.json()["code"]) == (403, "role_missing"), path
        assert node.http.post(f"/console/{path}", json=body).status_code == 401


def test_a_third_party_files_nothing_in_the_participants_place(at: Any) -> None:
    auditor, owner = at("auditor"), at("institution")
    content = FORM | {"contract_id": auditor.contract.contract_id}
    named = {"contract_id": auditor.contract.contract_id}
    for answer in (
        auditor.post("filing-drafts", {"kind": "use_authorisation", "content": content}),
        auditor.post("filing-drafts", {"kind": "impact_assessment", "content": {}}),
        auditor.get("filing-forms/supervision", **named),
        auditor.post("complaints", {**named, "about": "other", "words": "x"}),
        auditor.post("subject-requests", {**named, "right": "know", "identifier": "x"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "auditor_changes_nothing")
    assert owner.post("filing-drafts", {"kind": "stage_judgement", "content": content}).status_code == 201
    report = {"subject": "bank", "scope": "security", "passed": True, "report": "0" * 64, "summary": "通过"}
    assert (
        auditor.post("filing-drafts", {"kind": "third_party_assessment", "content": report}).status_code
        == 201
    )


def test_the_calendar_and_the_todo_follow_what_is_filed(at: Any) -> None:
    node = at("institution")
    soon = (business_date(now()) + timedelta(days=10)).isoformat()
    content = FORM | {"contract_id": node.contract.contract_id, "valid_until": soon}
    draft = node.post("filing-drafts", {"kind": "stage_judgement", "content": content}).json()
    waiting = [t for t in node.get("todo", node.approver).json() if t["kind"] == "approve_filing"]
    assert [t["subject"] for t in waiting] == [draft["draft_id"]]
    assert not [t for t in node.get("todo").json() if t["kind"] == "approve_filing"], (
        "a preparer approves nothing"
    )
    _approved(node, draft)
    assert not [t for t in node.get("todo", node.approver).json() if t["kind"] == "approve_filing"]
    due = node.get("due-dates").json()
    assert due == sorted(due, key=lambda d: d["on"])
    (found,) = [d for d in due if d["kind"] == "stage_judgement"]
    assert (found["on"], found["state"], found["party"]) == (soon, "soon", "institution")
    assert [t["due_at"][:10] for t in node.get("todo").json() if t["kind"] == "due_soon"] == [soon]
    deletions = {d["party"] for d in due if d["kind"] == "deletion"}
    assert deletions == set(node.contract.computation.compute_parties)


def test_the_registers_follow_the_contract(at: Any) -> None:
    node = at("institution")
    records = node.get("registers/processing").json()
    assert {(r["owner"], r["data_set_id"]) for r in records} == {
        (d.owner, d.data_set_id) for d in node.contract.data_sets
    }
    assert all(r["assessment"] is None for r in records)
    pairs = node.get("registers/entrusted").json()
    mine = [p for p in pairs if p["handler"] == "institution"]
    assert mine
    content = {"contract_id": node.contract.contract_id, "entrusted": mine[0]["entrusted"], "checked_on": "2026-03-01", "findings": "无", "satisfied": True}  # fmt: skip
    _approved(node, node.post("filing-drafts", {"kind": "supervision", "content": content}).json())
    again = node.get("registers/entrusted").json()
    with_record = [(p["handler"], p["entrusted"]) for p in again if p["records"]]
    assert with_record == [("institution", mine[0]["entrusted"])]


def test_the_stop_button_takes_two_persons_and_shows_what_is_prepared(at: Any) -> None:
    """Without the second person the contract goes on; the second sees the reason that the first gave."""
    node = at("institution")
    said = {"kind": "suspend", "reason": "节点异常"}
    first = node.post(f"contracts/{node.contract.digest}/notices", said)
    assert first.status_code == 200, first.text
    cockpit = node.get(f"contracts/{node.contract.digest}/cockpit").json()
    assert cockpit["state"] == "active"
    assert [w["party"] for w in cockpit["waits"] if "approve a decision" in w["what_en"]] == ["institution"]
    (waiting,) = node.get("preparations").json()
    assert json.loads(waiting["document"]) == ["suspend", "节点异常"]
    node.post(f"contracts/{node.contract.digest}/notices", said, node.approver)
    assert node.get(f"contracts/{node.contract.digest}/cockpit").json()["state"] == "suspended"
    assert node.get("preparations").json() == []
