"""What a form adds to a draft: consent chain, row filters, authorisation, trial; what is wrong is told by clause and party."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hefu.domain.contract import Contract
from hefu.domain.dataset import LegalBasis
from hefu.domain.filings import Filings
from hefu.domain.rules.consent import check_legal_basis
from hefu.domain.rules.matter import Matter
from hefu.domain.terms import MilestoneKind
from hefu.domain.verdict import Severity
from hefu.store.base import now

pytestmark = pytest.mark.server
TODAY = now().date()
CONSENT: dict[str, Any] = {
    "notice_digest": "a" * 64,
    "notice_version": "2026-1",
    "kinds": ["explicit", "separate"],
    "operations": ["collect", "store", "use", "process", "transmit", "provide", "delete"],
    "obtained_on": (TODAY - timedelta(days=30)).isoformat(),
    "expires_on": (TODAY + timedelta(days=365)).isoformat(),
}
BASES = {org: {"legal_basis": "consent", "consents": [CONSENT]} for org in ("institution", "bank")}
TRIAL = {
    "max_rows": 1000,
    "max_uses": 3,
    "acceptance_due": "2098-01-01",
    "evidence": "验收报告",
    "confirmed_by": ["regulator"],
}


@pytest.fixture
def node(make_node: Callable[[str], Any], know_registry: Callable[[Any], None]) -> Any:
    made = make_node("regulator")
    know_registry(made)
    made.both = made.person("preparer", "approver")
    return made


def draft(node: Any, form: dict[str, Any], terms: dict[str, Any]) -> Any:
    plain = {**form, "mandate_number": None, "mandate_digest": None, "terms": terms}
    return node.http.post("/console/contracts/draft", json=plain, headers=node.both)


def read(answer: Any) -> Contract:
    assert answer.status_code == 200, answer.text
    return Contract.model_validate(answer.json()["document"])


def broken(contract: Contract) -> set[str]:
    matter = Matter(contract=contract, filings=Filings(), today=TODAY, applications={})
    return {f.rule for f in check_legal_basis(matter) if f.severity is Severity.BLOCK}


def test_a_form_with_consents_makes_a_contract_that_passes_the_legal_basis(
    node: Any, draft_form: dict[str, Any]
) -> None:
    assert broken(read(draft(node, draft_form, {}))) == {"statutory_duty_unnamed"}
    made = read(draft(node, draft_form, {"data_sets": BASES}))
    assert {d.legal_basis for d in made.data_sets} == {LegalBasis.CONSENT}
    assert broken(made) == set()
    for data_set in made.data_sets:
        (consent,) = data_set.consents
        assert consent.collector == data_set.owner
        assert set(consent.participants) == {p.org_id for p in made.parties}
        assert consent.purposes == (made.purpose_code,)


def test_a_consent_that_leaves_a_party_out_is_taken_as_said(node: Any, draft_form: dict[str, Any]) -> None:
    narrow = {**CONSENT, "participants": ["institution", "bank", "regulator"]}
    terms = {"data_sets": {**BASES, "bank": {"legal_basis": "consent", "consents": [narrow]}}}
    assert broken(read(draft(node, draft_form, terms))) == {"consent_chain_broken"}


def test_authorisation_row_filter_subject_and_trial_stand_in_the_contract(
    node: Any, draft_form: dict[str, Any]
) -> None:
    terms = {
        "authorisation": "per_use",
        "trial": TRIAL,
        "data_sets": {"bank": {"row_filter": " amount >= 100.00 ", "subject_field": "serial"}},
    }
    made = read(draft(node, draft_form, terms))
    assert made.limits.authorisation == "per_use"
    assert made.trial is not None
    assert (made.trial.max_rows, made.trial.max_uses) == (1000, 3)
    (acceptance,) = [m for m in made.milestones if m.kind is MilestoneKind.ACCEPTANCE]
    assert acceptance.confirmed_by == ("regulator",)
    bank = next(d for d in made.data_sets if d.owner == "bank")
    assert (bank.row_filter, bank.subject_field) == ("amount >= 100.00", "serial")
    assert bank.legal_basis is LegalBasis.STATUTORY_DUTY, "what the form does not name stays"


@pytest.mark.parametrize(
    ("terms", "clause", "party"),
    [
        ({"data_sets": {"exchange": {}}}, "data_sets", "exchange"),
        ({"data_sets": {"bank": {"row_filter": "amount > many"}}}, "data_sets.row_filter", "bank"),
        ({"data_sets": {"bank": {"row_filter": "customer = 'x'"}}}, "data_sets.row_filter", "bank"),
        ({"data_sets": {"bank": {"subject_field": "customer"}}}, "data_sets.subject_field", "bank"),
        ({"data_sets": {"bank": {"legal_basis": "consent"}}}, "data_sets.consents", "bank"),
        (
            {"data_sets": {"bank": {"legal_basis": "consent", "consents": [CONSENT | {"participants": ["x"]}]}}},
            "data_sets.consents.participants",
            "bank",
        ),
        (
            {
                "data_sets": {
                    "bank": {"legal_basis": "consent", "consents": [CONSENT | {"expires_on": "2020-01-01"}]}
                }
            },
            "data_sets.consents.expires_on",
            "bank",
        ),
        ({"trial": TRIAL | {"max_uses": 10_000_000}}, "trial", None),
        ({"trial": TRIAL | {"confirmed_by": ["nobody"]}}, "milestones", None),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_by_clause_and_party(
    node: Any, draft_form: dict[str, Any], terms: dict[str, Any], clause: str, party: str | None
) -> None:
    answer = draft(node, draft_form, terms)
    assert answer.status_code == 422, answer.text
    told = answer.json()
    assert (told["limit"], told["party"]) == (clause, party)
    assert told["mend_zh"]


def test_a_mandate_leaves_no_other_basis(node: Any, draft_form: dict[str, Any]) -> None:
    form = {**draft_form, "mandate_number": "监发〔2026〕1 号", "mandate_digest": "b" * 64, "terms": {"data_sets": BASES}}  # fmt: skip
    answer = node.http.post("/console/contracts/draft", json=form, headers=node.both)
    assert (answer.status_code, answer.json()["limit"]) == (422, "data_sets.legal_basis")


def test_published_data_sets_are_shown_without_rows(node: Any) -> None:
    answer = node.http.get("/console/data-sets/published", headers=node.both)
    assert answer.status_code == 200, answer.text
    assert {(d["owner"], d["definition"]["data_set_id"]) for d in answer.json()} == {
        ("institution", "loans"),
        ("bank", "flows"),
    }


def test_limits_per_period_quorum_hours_and_what_the_rows_are(node: Any, draft_form: dict[str, Any]) -> None:
    form = {**draft_form, "reviewers": ["regulator", "auditor"], "max_uses": 40}
    more = {
        "per_period": {"month": 20, "day": 1},
        "quorum": 1,
        "review_hours": 48,
        "data_sets": {
            "bank": {**BASES["bank"], "minors": True, "events": True},
            "institution": BASES["institution"],
        },
    }
    made = read(draft(node, form, more))
    assert [(limit.period, limit.max_uses) for limit in made.limits.per_period] == [("day", 1), ("month", 20)]
    assert (made.outputs[0].quorum, made.outputs[0].review_hours) == (1, 48)
    said = {d.owner: (d.important, d.minors, d.events) for d in made.data_sets}
    assert said == {"bank": (False, True, True), "institution": (False, False, False)}


@pytest.mark.parametrize(
    ("reviewers", "terms", "clause"),
    [
        (["regulator"], {"quorum": 2}, "outputs.quorum"),
        ([], {"review_hours": 48}, "outputs.quorum"),
        ([], {"per_period": {"day": 10_000}}, "limits.per_period"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_its_clause(
    node: Any, draft_form: dict[str, Any], reviewers: list[str], terms: dict[str, Any], clause: str
) -> None:
    answer = draft(node, {**draft_form, "reviewers": reviewers}, {"data_sets": BASES, **terms})
    assert answer.status_code == 422
    assert answer.json()["limit"] == clause
