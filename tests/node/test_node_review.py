"""The review of a result at N2: quorum, refusals, deadline, each by what the reviewers themselves signed."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hefu.domain.job import ORDER_TYPE, Order
from hefu.domain.rules.output import review
from hefu.domain.verdict import judge
from hefu.node import review_checks
from hefu.store.base import now
from hefu.store.signed import encode_envelope, read_unverified
from hefu.wire.refusal import Refusal
from hefu_ledger.evidence import Evidence

pytestmark = pytest.mark.server

REVIEWERS = ("auditor", "bank", "institution")
HOUR = timedelta(hours=1)


class Keeper:
    """The exchange's node (N2); the output check was `began` hours ago, the reviewers had ten."""

    def __init__(self, world: Any, kit: Any, ctx: Any, began: float, **clauses: Any) -> None:
        self.world, self.kit, self.ctx = world, kit, ctx
        value = {"reviewers": REVIEWERS, "quorum": 2, "review_hours": 10, **clauses}
        self.contract = world.contract(outputs=[{**world.contract_value()["outputs"][0], **value}])
        self.order = read_unverified(world.order(self.contract, "release", "exchange"), Order, ORDER_TYPE)
        self.began = now() - began * HOUR
        self.checked = self.evidence(self.began)

    def evidence(self, at: datetime) -> Any:
        return Evidence(
            kind="output_checked",
            actor="coordinator",
            at=at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            contract=self.contract.digest,
            job=self.kit.JOB,
            attempt=1,
            stage="check_output",
            body={"passed": True, "halves": {"exchange": "0" * 64}},
            signer_seq=1,
            prev=None,
            checkpoint=None,
        ).sign(self.world.coordinator.identity)

    def check_own(self, monkeypatch: Any, at: datetime, *, passed: bool = True, attempt: int = 1) -> None:
        """This node's own output check, at that time by its clock."""
        monkeypatch.setattr("hefu.store.journal.now", lambda: at)
        with self.ctx.session() as session:
            self.ctx.record(
                session, "output_checked", {"passed": passed}, contract=self.contract.digest, job=self.kit.JOB,
                attempt=attempt, stage="check_output",
            )  # fmt: skip
            session.commit()

    def said(self, org: str, approved: bool = True, hours: float = 1, **changes: Any) -> str:
        return str(
            self.world.decision(
                self.contract,
                org_id=org,
                approved=approved,
                **{"checked": self.checked.id, "at": self.began + hours * HOUR, **changes},
            )
        )

    def verify(self, *decisions: str) -> str:
        """ok, or the reason code."""
        checked = encode_envelope(self.checked)
        try:
            review_checks.verify_review(self.ctx, self.order, self.contract, list(decisions), checked)
        except Refusal as refusal:
            return str(refusal.body["code"])
        return "ok"


@pytest.fixture
def keeper(world: Any, world_kit: Any, node: Any, monkeypatch: Any) -> Any:
    def make(began: float = 5, **clauses: Any) -> Keeper:
        made = Keeper(world, world_kit, node("exchange"), began, **clauses)
        made.check_own(monkeypatch, made.began)
        return made

    return make


def test_two_of_three_with_one_refusal(keeper: Any) -> None:
    k = keeper()
    refusal, one, two = k.said("bank", False), k.said("auditor"), k.said("institution")
    assert k.verify(refusal, one) == "not_reviewed"
    assert k.verify(refusal, one, two) == "ok"
    assert k.verify(one, two) == "ok"


def test_no_quorum_given_is_everybody(keeper: Any) -> None:
    k = keeper(quorum=None)
    decisions = [k.said(org) for org in REVIEWERS]
    assert k.verify(*decisions[:2]) == "not_reviewed"
    assert k.verify(*decisions) == "ok"


def test_a_quorum_that_is_out_of_reach(keeper: Any, monkeypatch: Any) -> None:
    k = keeper()
    decisions = [k.said("bank", False), k.said("auditor", False), k.said("institution")]
    assert k.verify(*decisions) == "review_refused"
    monkeypatch.setattr(review, "review_verdict", lambda *_: judge("review", ()))
    assert k.verify(*decisions) == "ok"  # the rule is what stopped it


def test_an_organisation_counts_once(keeper: Any, monkeypatch: Any) -> None:
    k = keeper()
    twice = [k.said("auditor", hours=1), k.said("auditor", hours=2), k.said("auditor", hours=1)]
    assert k.verify(*twice) == "not_reviewed"
    changed = k.said("auditor", False, hours=3)
    assert k.verify(*twice, changed, k.said("bank")) == "not_reviewed"  # its last word


def test_who_signs_and_on_what(keeper: Any) -> None:
    k = keeper()
    one, other = k.said("auditor"), k.evidence(k.began + HOUR)
    for name, decision in {
        "no reviewer": k.said("exchange"),
        "in a reviewer's name": k.said("bank", signed_by="exchange"),
        "on another result": k.said("bank", checked=other.id),
        "of another attempt": k.said("bank", attempt=2),
        "garbage": "AAAA",
    }.items():
        assert k.verify(one, decision) == "not_reviewed", name
    assert k.verify(one, k.said("bank")) == "ok"


def test_the_binding_is_what_stops_a_decision_on_other_halves(keeper: Any, monkeypatch: Any) -> None:
    k = keeper()
    decisions = [k.said("auditor", checked="d" * 64), k.said("bank", checked="d" * 64)]
    assert k.verify(*decisions) == "not_reviewed"
    honest = review_checks.read_decisions
    monkeypatch.setattr(review_checks, "read_decisions", lambda e, c, j, a, _: honest(e, c, j, a, "d" * 64))
    assert k.verify(*decisions) == "ok"


def test_the_deadline(keeper: Any) -> None:
    k = keeper(began=20)
    one = k.said("auditor")
    assert k.verify(one) == "review_overdue"
    assert k.verify(one, k.said("bank", hours=10.05)) == "review_overdue"
    assert k.verify(one, k.said("bank", hours=10)) == "ok"  # in time, though the release comes later
    without = keeper(began=20, review_hours=None)
    assert without.verify(without.said("auditor"), without.said("bank", hours=19)) == "ok"


def test_a_later_date_does_not_prolong_the_review(keeper: Any, monkeypatch: Any) -> None:
    """The coordinator dates its output check sixteen hours after this node's own, and has the check ordered once more."""
    k = keeper(began=20)
    k.checked = k.evidence(k.began + 16 * HOUR)
    k.check_own(monkeypatch, k.began + 16 * HOUR)
    decisions = [k.said("auditor", hours=17), k.said("bank", hours=17)]
    assert k.verify(*decisions) == "review_overdue"
    monkeypatch.setattr(review_checks, "_CHECKED_WITHIN", timedelta(days=1))
    assert k.verify(*decisions) == "ok"


def test_what_this_node_never_checked_is_not_released(
    world: Any, world_kit: Any, node: Any, monkeypatch: Any
) -> None:
    k = Keeper(world, world_kit, node("exchange"), 5)
    decisions = [k.said("auditor"), k.said("bank")]
    assert k.verify(*decisions) == "output_not_checked"
    k.check_own(monkeypatch, k.began, passed=False)
    k.check_own(monkeypatch, k.began, attempt=2)
    assert k.verify(*decisions) == "output_not_checked"
    k.check_own(monkeypatch, k.began)
    assert k.verify(*decisions) == "ok"


def test_each_output_has_its_own_reviewers(keeper: Any) -> None:
    k = keeper()
    first = k.world.contract_value()["outputs"][0]
    outputs = [
        {**first, "reviewers": ["auditor"]},
        {**first, "reviewers": ["bank", "institution"], "quorum": 1},
    ]
    k.contract = k.world.contract(outputs=outputs)
    assert k.verify(k.said("bank"), k.said("institution")) == "not_reviewed"
    assert k.verify(k.said("auditor")) == "not_reviewed"
    assert k.verify(k.said("auditor"), k.said("institution")) == "ok"
