"""K13 and K3: data subjects' requests, retention and deletion, incidents and complaints."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hefu.domain.dataset import LegalBasis
from hefu.domain.filings import Filings
from hefu.domain.filings.events import (
    Complaint,
    ComplaintOutcome,
    DeletionCertificate,
    IncidentReport,
    LegalHold,
    SubjectRequest,
    SubjectRequestOutcome,
)
from hefu.domain.rules import incidents, retention, subject_rights
from hefu.domain.rules.matter import Gate, Matter

TODAY = date(2026, 11, 25)
BASE: dict[str, Any] = {"contract_id": "HF-TEST-1", "issued_at": datetime(2026, 11, 20, tzinfo=UTC)}
MANDATE = {
    "document_number": "〔2026〕1号",
    "file_digest": "ef" * 32,
    "authority": "regulator",
    "supervised": ["institution", "bank"],
}


def of(contract: Any, *filed: Any, today: date = TODAY) -> Matter:
    return Matter(contract, Filings.of(filed), {}, today)


def request(right: str = "withdraw", **changes: Any) -> SubjectRequest:
    return SubjectRequest.model_validate(
        {
            **BASE,
            "issuer": "institution",
            "right": right,
            "responsible": "institution",
            "holders": ["institution"],
            "sealed": {},
            "due_on": "2026-12-05",
            **changes,
        }
    )


def outcome(asked: SubjectRequest, what: str = "done", **changes: Any) -> SubjectRequestOutcome:
    value = {**BASE, "issuer": "institution", "request": asked.digest, "outcome": what, **changes}
    return SubjectRequestOutcome.model_validate(value)


def with_consent(world: Any) -> Any:
    sets = world.contract_value()["data_sets"]
    sets[0]["legal_basis"] = "consent"
    return world.contract(data_sets=sets)


def seen(found: Any) -> list[tuple[str, str]]:
    return [(f.rule, f.severity.value) for f in found]


@pytest.mark.parametrize("right", ["withdraw", "refuse", "restrict", "delete"])
def test_a_request_is_applied_before_the_next_input(world: Any, right: str) -> None:
    contract, asked = with_consent(world), request(right)
    check = subject_rights.check_subject_requests
    assert seen(check(of(contract, asked))) == [("subject_request_not_applied", "block")]
    assert seen(check(of(contract, asked, outcome(asked)))) == []
    assert seen(check(of(contract, asked, outcome(asked, issuer="bank")))) == [
        ("subject_request_not_applied", "block")
    ]
    assert Gate("K13", "个人信息主体权利", "rights", ()).verdict(of(contract, asked)).passed


def test_a_refusal_needs_a_reason_and_withdrawal_cannot_be_refused(world: Any) -> None:
    contract, check = with_consent(world), subject_rights.check_subject_requests
    for right, reason, passes in (
        ("delete", "", False),
        ("delete", "法定保存", True),
        ("withdraw", "不", False),
    ):
        asked = request(right)
        assert (seen(check(of(contract, asked, outcome(asked, "refused", reason=reason)))) == []) is passes


def test_an_overdue_answer_blocks_the_responsible_but_no_supervision(world: Any) -> None:
    asked = request("query", due_on="2026-11-24")
    check = subject_rights.check_subject_requests
    assert seen(check(of(world.contract(), asked))) == [("subject_request_overdue", "block")]
    assert seen(check(of(world.contract(mandate=MANDATE), asked))) == [("subject_request_overdue", "warn")]
    assert seen(check(of(world.contract(), asked, today=date(2026, 11, 24)))) == []


def test_rights_against_a_statutory_duty_leave_inputs_alone() -> None:
    assert subject_rights.effect_on_input("withdraw")
    assert not subject_rights.effect_on_input("withdraw", LegalBasis.STATUTORY_DUTY)
    assert not subject_rights.effect_on_input("correct")


def hold(lifted: bool = False, day: int = 1) -> LegalHold:
    at = datetime(2026, 11, day, tzinfo=UTC)
    return LegalHold(
        issuer="regulator",
        contract_id="HF-TEST-1",
        issued_at=at,
        authority="法院",
        document_number="1",
        lifted=lifted,
    )


@pytest.mark.parametrize(
    ("filed", "minimum", "ended", "expected"),
    [
        ((), 0, None, (date(2026, 1, 31), "retention")),
        ((), 60, None, (date(2026, 3, 2), "minimum")),
        ((), 0, date(2026, 1, 11), (date(2026, 1, 11), "termination")),
        ((), 20, date(2026, 1, 11), (date(2026, 1, 21), "minimum")),
        ((hold(),), 0, date(2026, 1, 11), (None, "hold")),
        ((hold(), hold(True, 2)), 0, None, (date(2026, 1, 31), "retention")),
    ],
)
def test_hold_and_minimum_come_first(world: Any, filed: Any, minimum: int, ended: Any, expected: Any) -> None:
    sets = world.contract_value()["data_sets"]
    sets[0]["minimum_retention_days"] = minimum
    contract = world.contract(data_sets=sets)
    made = date(2026, 1, 1)
    assert (
        tuple(retention.due(contract, Filings.of(filed), TODAY, made_on=made, terminated_on=ended))
        == expected
    )


def test_entrusted_parties_certify_their_deletion(world: Any) -> None:
    """WP-A 4.1: when the service ends the technical provider deletes what it retained."""
    contract = world.contract()
    ended = contract.limits.valid_until
    after = ended.date() + timedelta(days=1)
    certificates = [
        DeletionCertificate.model_validate(
            {
                **BASE,
                "issuer": org,
                "things": [{"key_digest": "ab" * 32, "what": "job_half"}],
                "deleted_at": ended,
                "reason": "terminated",
            }
        )
        for org in ("operator", "bank", "exchange")
    ]
    check = retention.check_deletion
    assert list(check(of(contract, *certificates, today=after))) == []
    assert [f.party for f in check(of(contract, *certificates[:2], today=after))] == ["exchange"]
    assert list(check(of(contract, today=ended.date()))) == []
    assert list(check(of(contract, hold(), today=after))) == []


@pytest.mark.parametrize(
    ("issuer", "mandate", "closed", "severity"),
    [
        ("exchange", None, False, "block"),
        ("institution", None, False, "block"),
        ("institution", MANDATE, False, "warn"),
        ("exchange", MANDATE, False, "block"),
        ("auditor", None, False, "warn"),
        ("exchange", None, True, None),
    ],
)
def test_open_incidents(world: Any, issuer: str, mandate: Any, closed: bool, severity: str | None) -> None:
    report = IncidentReport.model_validate(
        {
            **BASE,
            "issuer": issuer,
            "occurred_at": BASE["issued_at"],
            "discovered_at": BASE["issued_at"],
            "categories": "c",
            "cause": "",
            "possible_harm": "",
            "measures": "m",
            "individuals_told": "not_yet",
            "closed": closed,
        }
    )
    found = seen(incidents.check_incidents(of(world.contract(mandate=mandate), report)))
    assert found == ([] if severity is None else [("incident_open", severity)])


def test_overdue_complaints_warn(world: Any) -> None:
    value = {
        **BASE,
        "issuer": "operator",
        "about": "security",
        "responsible": "bank",
        "sealed": {},
        "due_on": "2026-11-24",
    }
    complaint = Complaint.model_validate(value)
    answer = {**BASE, "complaint": complaint.digest, "upheld": True, "outcome": "o"}
    done, other = (ComplaintOutcome.model_validate({**answer, "issuer": o}) for o in ("bank", "exchange"))
    check = incidents.check_complaints
    assert seen(check(of(world.contract(), complaint))) == [("complaint_overdue", "warn")]
    assert seen(check(of(world.contract(), complaint, other))) == [("complaint_overdue", "warn")]
    assert seen(check(of(world.contract(), complaint, done))) == []
