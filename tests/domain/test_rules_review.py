"""Human review before release, and the terms that stay attached to what was released."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hefu.domain.contract import Output
from hefu.domain.job import ReleaseDecision
from hefu.domain.rules.output import review, terms
from hefu.domain.rules.output.review import review_verdict
from hefu.domain.rules.output.terms import check_use
from hefu.domain.terms import UseTerms
from hefu.domain.verdict import Verdict

ASKED, HOUR = datetime(2026, 3, 1, tzinfo=UTC), timedelta(hours=1)
REVIEWERS = ("bank", "auditor", "institution")


def decide(*said: tuple[str, bool, float], quorum: int | None = 2, after: float = 5) -> Verdict:
    """Decisions as (organisation, approved, hours after the request)."""
    output = Output(
        recipient="regulator",
        form="decision",
        purpose_bound="x",
        reviewers=REVIEWERS,
        review_hours=10,
        quorum=quorum,
    )
    decisions = [
        ReleaseDecision.model_validate(
            {
                "contract": "a" * 64,
                "job": "J20260302AAAAAAAA",
                "attempt": 1,
                "checked": "c" * 64,
                "org_id": org,
                "approved": approved,
                "reason": "seen",
                "decided_at": ASKED + hours * HOUR,
            }
        )
        for org, approved, hours in said
    ]
    return review_verdict(output, decisions, ASKED, ASKED + after * HOUR)


def rules(verdict: Verdict) -> list[str]:
    return [f.rule for f in verdict.findings]


def test_the_quorum_approves() -> None:
    assert decide(("bank", True, 1), ("auditor", True, 2)).passed
    assert rules(decide(("bank", True, 1))) == ["awaiting_review"]
    assert decide(("bank", True, 1)).waiting
    all_three = [(org, True, 1.0) for org in REVIEWERS]
    assert decide(*all_three, quorum=None).passed
    assert not decide(*all_three[:2], quorum=None).passed


def test_a_refusal_blocks_once_the_quorum_is_out_of_reach() -> None:
    assert decide(("bank", False, 1)).waiting
    assert decide(("bank", False, 1), ("auditor", True, 1), ("institution", True, 1)).passed
    refused = decide(("bank", False, 1), ("auditor", False, 1))
    assert rules(refused) == ["review_refused"]
    assert not refused.waiting
    assert rules(decide(("bank", False, 1), quorum=None)) == ["review_refused"]


def test_only_reviewers_in_time_count_and_the_last_word_does() -> None:
    assert rules(decide(("bank", True, 1), ("exchange", True, 1))) == ["awaiting_review"]
    assert rules(decide(("bank", True, 1), ("bank", True, 2))) == ["awaiting_review"]
    assert decide(("bank", False, 1), ("bank", True, 2), ("auditor", True, 2)).passed
    assert rules(decide(("bank", True, 1), ("auditor", True, -1))) == ["awaiting_review"]
    assert rules(decide(("bank", True, 1), ("auditor", True, 6), after=5)) == ["awaiting_review"]


def test_the_deadline_ends_it() -> None:
    assert decide(("bank", True, 1), ("auditor", True, 10), after=50).passed
    assert rules(decide(("bank", True, 1), ("auditor", True, 10.1), after=50)) == ["review_overdue"]
    assert rules(decide(after=10)) == ["awaiting_review"]


def test_without_review_a_refused_result_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review, "_findings", lambda *_: ())
    assert decide(("bank", False, 1), ("auditor", False, 1)).passed


def test_no_reviewers_no_wait() -> None:
    output = Output(recipient="regulator", form="row_status", purpose_bound="x")
    assert review_verdict(output, (), ASKED, ASKED).passed


DAY = date(2026, 3, 1)
RANGES = UseTerms(addresses=("10.0.0.0/8", "2001:db8::/32"))


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.0.0.0", True),
        ("10.255.255.255", True),
        ("11.0.0.1", False),
        ("9.255.255.255", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:11.1.2.3", False),
        ("2001:db8:ffff::1", True),
        ("2001:db9::1", False),
        ("10.0.0.1/8", False),
        ("x", False),
        (None, False),
    ],
)
def test_use_from_the_range_only(address: str | None, inside: bool) -> None:
    expected = [] if inside else ["use_outside_range"]
    assert rules(check_use(RANGES, DAY, DAY, address)) == expected


def test_a_range_that_cannot_be_read_holds_nothing() -> None:
    assert not check_use(UseTerms(addresses=("10.0.0.0/99",)), DAY, DAY, "10.0.0.1").passed


def test_the_last_day_counts_and_the_next_does_not() -> None:
    ten = UseTerms(valid_days=10)
    assert check_use(ten, DAY, DAY, None).passed
    assert check_use(ten, DAY, date(2026, 3, 11), None).passed
    assert rules(check_use(ten, DAY, date(2026, 3, 12), None)) == ["use_after_term"]
    assert rules(check_use(ten, DAY, date(2026, 2, 28), None)) == ["use_after_term"]
    assert check_use(None, DAY, date(2030, 1, 1), None).passed


def test_without_the_terms_a_late_use_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terms, "_findings", lambda *_: ())
    assert check_use(UseTerms(valid_days=1), DAY, date(2030, 1, 1), None).passed
