"""What the white papers ask of a start, point by point, on the running platform: closed for one reason, then open.

Each case ends at the coordinator's check, and again at a node that a lying coordinator orders on regardless: the node's own
evidence says which gate it closed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hefu.coordinator import contracts
from hefu.coordinator.orders import send_order
from hefu.domain.businessdays import business_date
from hefu.domain.job import Stage
from hefu.local import bootstrap
from hefu.local.sample_filings import consented
from hefu.node.filings import newest_version
from hefu.node.sealed_words import seal_words
from hefu.store.base import now
from hefu.store.coordinator_tables import JobRow
from hefu.store.node_keeping import ExcludedSubjectRow
from hefu.store.node_tables import JournalRow, ResultRow
from hefu.store.signed import decode_envelope
from hefu.wire.errors import PeerRefused
from hefu_ledger.evidence import parse_evidence
from sqlmodel import select

pytestmark = pytest.mark.server
_days = itertools.count(2)


def draft(village: Any, contract_id: str) -> dict[str, Any]:
    return dict(
        village.form(
            contract_id,
            "逐点闸口",
            "Gates point by point",
            business_date(now()) - timedelta(days=60),
            max_uses=50,
            max_rows=1000,
        )
    )


class Case:
    """One contract on the village."""

    def __init__(self, village: Any, contract_id: str, digest: str) -> None:
        self.village, self.contract_id, self.digest = village, contract_id, digest

    def file(self, org: str, kind: str, **content: Any) -> str:
        """Prepared by one person, approved by another; held by every node before this returns. Answers the digest."""
        body = {"kind": kind, "content": {"contract_id": self.contract_id, **content}}
        prepared = self.village.at(org).post("/console/filing-drafts", body)
        path = f"/console/filing-drafts/{prepared['draft_id']}/approve"
        digest = str(self.village.at(org, reviewer=True).post(path)["digest"])
        same_filings(self.village)
        return digest

    def start(self) -> set[str]:
        """A new job to the end of the contract's check, then one order to each holder past it: the rules that refused everywhere."""
        job = self.village.request(self.contract_id, business_date(now()) - timedelta(days=next(_days)))
        assert self.village.advance(job, Stage.CHECK_PARTICIPANTS)["verdict"]["passed"]
        found = _stopping(self.village.advance(job, Stage.CHECK_CONTRACT)["verdict"])
        ctx = self.village.coordinator
        with ctx.session() as session:
            row = session.get_one(JobRow, job)
            contract = contracts.load(session, row.contract_digest)[1]
        for org in ("institution", "bank"):
            reply = send_order(ctx, "check_data", Stage.CHECK_DATA_SOURCES, row, contract, org)
            # No data are delivered; and what is on a list cannot be matched: the contract names no field that tells a person.
            at_node = _stopping(reply["verdict"]) - {"data_missing", "subject_field_missing"}
            assert at_node == found, (org, at_node, found)
            assert self.evidence(org, job) is (not found)
        if found:
            with pytest.raises(PeerRefused):
                send_order(ctx, "prepare", Stage.COMPUTE, row, contract, "exchange")
        return found

    def evidence(self, org: str, job: str) -> bool:
        """What the node signed about its gates for this job, newest."""
        ctx = self.village.nodes[org]
        with ctx.session() as session:
            rows = session.exec(
                select(JournalRow).where(JournalRow.job == job, JournalRow.kind == "gates_checked")
            ).all()
        return bool(parse_evidence(decode_envelope(rows[-1].envelope)).body["passed"])


def same_filings(village: Any) -> None:
    """Wait until every node holds the same filings."""

    def same() -> bool:
        held = {
            frozenset(f["digest"] for f in village.at(org).get("/console/filings"))
            for org in bootstrap.ORGANISATIONS
        }
        return len(held) == 1

    bootstrap.await_true("every node holds every filing", same, seconds=60)


def _stopping(verdict: dict[str, Any]) -> set[str]:
    return {f["rule"] for f in verdict["findings"] if f["severity"] in ("block", "wait")}


@pytest.fixture(scope="module")
def make(village: Any) -> Callable[..., Case]:
    """`make("T1-X", change, leave_out=…)`: a contract in force, with what was filed."""

    def build(
        contract_id: str,
        change: Callable[[dict[str, Any]], None] = lambda _: None,
        leave_out: tuple[str, ...] = (),
        *,
        consent: bool = True,
    ) -> Case:
        document = village.at("regulator").post("/console/contracts/draft", draft(village, contract_id))[
            "document"
        ]
        if consent:
            document = consented(document, datetime.now(UTC).date())
        change(document)
        with village.people():
            digest = bootstrap.conclude(village.system, document)
            bootstrap.file_everything(village.system, digest, leave_out=leave_out or ("none",))
        same_filings(village)
        return Case(village, contract_id, digest)

    return build


@pytest.fixture(scope="module")
def whole(make: Any) -> Case:
    """A contract with everything filed: every gate is open."""
    case: Case = make("T1-WHOLE")
    bootstrap.await_true("open", lambda: case.start() == set(), seconds=60)
    return case


def test_k1_a_consent_chain_that_forgets_a_compute_party(make: Any) -> None:
    def forget(document: dict[str, Any]) -> None:
        for data_set in document["data_sets"]:
            for consent in data_set["consents"]:
                consent["participants"] = [p for p in consent["participants"] if p != "exchange"]

    found = make("T1-CHAIN", forget).start()
    assert any("consent" in rule for rule in found), found


def test_k2_no_start_without_an_impact_assessment(make: Any) -> None:
    case = make("T1-PIA", leave_out=("impact_assessment",))
    assert any(rule.startswith("pia_") for rule in case.start())
    with case.village.people():
        bootstrap.file_everything(case.village.system, case.digest)
    same_filings(case.village)
    assert case.start() == set()


def test_k3_an_incident_at_a_compute_party_stops_and_its_closing_lets_go(whole: Case) -> None:
    at = now().isoformat()
    said = {
        "occurred_at": at,
        "discovered_at": at,
        "categories": "访问日志 / access logs",
        "cause": "配置错误 / misconfiguration",
        "possible_harm": "无 / none known",
        "measures": "已隔离 / isolated",
        "individuals_told": "not_needed",
    }
    opened = whole.file("exchange", "incident_report", **said)
    assert whole.start()
    whole.file("exchange", "incident_report", **said, closed=True, replaces=opened)
    assert whole.start() == set()


def test_k3_milestones_are_gates(make: Any) -> None:
    due = (business_date(now()) + timedelta(days=5)).isoformat()

    def plan(document: dict[str, Any]) -> None:
        document["milestones"] = [
            {"kind": "initiation", "due_on": due, "evidence": "立项批复", "confirmed_by": ["regulator"]}
        ]

    case = make("T1-PLAN", plan)
    assert case.start()
    case.file(
        "regulator",
        "milestone_confirmation",
        milestone="initiation",
        evidence="ab" * 32,
        passed=True,
        note="",
    )
    assert case.start() == set()


def test_k5_a_failed_review_of_the_code_closes_it_and_two_passed_ones_are_needed(make: Any) -> None:
    case = make("T1-REVIEW")
    assert case.start() == set()
    document = case.village.at("regulator").get(f"/console/contracts/{case.digest}")["document"]
    step = document["computation"]["steps"][0]
    failed = case.file(
        "bank",
        "component_review",
        contract_id=None,
        component=step["component"],
        code_digest=step["code_digest"],
        engine_version=step["engine_version"],
        passed=False,
        report="cd" * 32,
        reasons="发现缺陷 / a flaw",
    )
    assert case.start()
    case.file(
        "bank",
        "component_review",
        contract_id=None,
        component=step["component"],
        code_digest=step["code_digest"],
        engine_version=step["engine_version"],
        passed=True,
        report="cd" * 32,
        reasons="已修复 / mended",
        replaces=failed,
    )
    assert case.start() == set()


def test_k11_medium_risk_needs_explicit_consent_or_a_mandate(make: Any) -> None:
    assert "risk_without_explicit_consent" in make("T1-RISK", consent=False).start()


def test_k13_a_withdrawal_is_honoured_before_the_next_input(whole: Case) -> None:
    due = (date.today() + timedelta(days=10)).isoformat()
    bank, holder = whole.village.nodes["bank"], whole.village.nodes["institution"]
    with bank.session() as session:
        contract = newest_version(session, whole.contract_id)
    request = whole.file(
        "bank",
        "subject_request",
        right="withdraw",
        responsible="institution",
        holders=["institution"],
        sealed=seal_words(bank, contract, "subject_request", "ID-13", ["institution"], due),
        due_on=due,
    )
    assert whole.start()
    whole.file("institution", "subject_request_outcome", request=request, outcome="done")
    assert whole.start() == set()
    with holder.session() as session:
        listed = session.exec(select(ExcludedSubjectRow).where(ExcludedSubjectRow.filing == request)).all()
    assert [(row.kind, row.contract_id) for row in listed] == [("withdraw", whole.contract_id)]


def test_the_gates_are_what_stops_it(make: Any, monkeypatch: Any) -> None:
    """With the rules taken out at the coordinator and at every node, what was refused is released."""
    case = make("T1-OPEN", leave_out=("impact_assessment", "risk_notice_acknowledgement"))
    day = business_date(now()) - timedelta(days=next(_days))
    for org, name in bootstrap.DATA_SETS.items():
        content = f"serial,type,amount,party_id,occurred_at\nG1,loan,1.00,ID1,{day}T10:00:00\n"
        case.village.at(org).upload(f"/console/data-sets/{name}/files?day={day}", "g.csv", content.encode())
    refused = case.village.request(case.contract_id, day)
    assert not case.village.carry(refused)["verdict"]["passed"]
    assert not _arrived(case.village, refused)
    monkeypatch.setattr("hefu.domain.rules.gates.BEFORE_COMPUTE", ())
    job = case.village.request(case.contract_id, day)
    answer = case.village.carry(job)
    assert answer["verdict"]["passed"], answer
    assert _arrived(case.village, job)


def _arrived(village: Any, job: str) -> bool:
    with village.nodes["regulator"].session() as session:
        return session.get(ResultRow, job) is not None
