"""Approvals: laws of the state machine over any sequence of steps, and each refusal for its one reason."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hefu.domain.approval import Approval, ApprovalKind, ApprovalState, ReleaseSubject
from hefu.domain.contract import Output
from hefu.domain.errors import TransitionRefused
from hefu.domain.job import ReleaseDecision
from hefu.domain.rules.output.review import review_verdict
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

START = datetime(2026, 3, 2, tzinfo=UTC)
ORGS = ("bank", "exchange", "regulator")
FINAL = set(ApprovalState) - {ApprovalState.OPEN}


def opened(**changes: Any) -> Approval:
    value = {
        "kind": ApprovalKind.CONTRACT_SIGNATURE,
        "subject": "a" * 64,
        "requested_by": "regulator",
        "asked": ORGS,
        "opened_at": START,
        "deadline": START + timedelta(days=7),
    }
    return Approval.model_validate({**value, **changes})


steps = st.lists(
    st.tuples(
        st.sampled_from(["approve", "refuse", "withdraw", "expire", "remind"]),
        st.sampled_from([*ORGS, "stranger"]),
        st.integers(0, 12),
    ),
    max_size=12,
)


def take(approval: Approval, kind: str, org: str, at: datetime) -> Approval:
    match kind:
        case "approve":
            return approval.answer(org, approved=True, at=at)
        case "refuse":
            return approval.answer(org, approved=False, at=at, reason="不同意")
        case "withdraw":
            return approval.withdraw(org, at=at, reason="撤回")
        case "expire":
            return approval.expire(at)
        case _:
            return approval.remind(at)


@given(steps)
def test_laws(sequence: list[tuple[str, str, int]]) -> None:
    approval, day = opened(), 0
    for kind, org, days in sequence:
        day = max(day, days)
        before = approval
        try:
            approval = take(approval, kind, org, START + timedelta(days=day))
        except TransitionRefused:
            assert approval == before
        if before.state in FINAL:
            assert approval == before  # final is final
        assert approval.subject == before.subject  # bound to one document
        assert Approval.from_bytes(approval.to_bytes()) == approval
        said = {a.org_id: a.approved for a in approval.answers}
        assert set(said) <= set(ORGS)
        match approval.state:
            case ApprovalState.APPROVED:
                assert said == dict.fromkeys(ORGS, True)
            case ApprovalState.REFUSED:
                assert [a.reason for a in approval.answers if not a.approved]
            case ApprovalState.OPEN:
                assert set(approval.waits_for()) == set(ORGS) - set(said)
                assert approval.waits_for()
            case ApprovalState.OVERDUE:
                assert approval.closed_at is not None
                assert approval.closed_at > approval.deadline
                assert not approval.waits_for()


def test_another_does_not_withdraw_nor_anybody_once_it_is_complete() -> None:
    with pytest.raises(TransitionRefused, match="only regulator"):
        opened().withdraw("bank", at=START, reason="x")
    with pytest.raises(TransitionRefused, match="why"):
        opened().withdraw("regulator", at=START, reason=" ")
    done = opened()
    for org in ORGS:
        done = done.answer(org, approved=True, at=START)
    assert done.state is ApprovalState.APPROVED
    with pytest.raises(TransitionRefused, match="approved"):
        done.withdraw("regulator", at=START, reason="x")


def test_a_refusal_carries_its_reason() -> None:
    with pytest.raises(ValidationError, match="says why"):
        opened().answer("bank", approved=False, at=START)
    assert (
        opened().answer("bank", approved=False, at=START, reason="期限过长").answers[0].reason == "期限过长"
    )


def test_after_the_deadline_nobody_answers() -> None:
    with pytest.raises(TransitionRefused, match="deadline"):
        opened().answer("bank", approved=True, at=START + timedelta(days=8))
    assert opened().expire(START + timedelta(days=7)).state is ApprovalState.OPEN
    assert opened().expire(START + timedelta(days=7, seconds=1)).state is ApprovalState.OVERDUE


def test_each_reminder_is_given_once() -> None:
    approval, given_at = opened(), []
    for hour in range(24 * 7 + 5):
        at = START + timedelta(hours=hour)
        if approval.reminder_due(at):
            approval = approval.remind(at)
            given_at.append(hour)
    assert given_at == [24 * 4, 24 * 6, 24 * 7 - 4]
    assert approval.days_left(START + timedelta(days=8)) == -1


RELEASE = ReleaseSubject(
    contract="a" * 64,
    job="J20260302AAAAAAAA",
    attempt=1,
    output=0,
    checked="c" * 64,
    halves={"bank": "b" * 64},
)


def release(quorum: int | None, **changes: Any) -> Approval:
    value = {"kind": ApprovalKind.RELEASE, "subject": RELEASE.digest, "release": RELEASE, "quorum": quorum}
    return opened(**{**value, **changes})


@given(
    st.one_of(st.none(), st.integers(1, 3)),
    st.lists(st.tuples(st.sampled_from(ORGS), st.booleans()), max_size=3, unique_by=lambda said: said[0]),
)
def test_the_approval_of_a_release_says_what_the_rule_of_the_review_says(
    quorum: int | None, said: list[tuple[str, bool]]
) -> None:
    output = Output(
        recipient="regulator",
        form="matches",
        reviewers=ORGS,
        quorum=quorum,
        review_hours=168,
        purpose_bound="x",
    )
    approval, decisions = release(quorum), []
    for org, approved in said:
        verdict = review_verdict(output, decisions, START, START)
        assert approval.state is ApprovalState.OPEN or not verdict.waiting
        if approval.state is not ApprovalState.OPEN:
            break
        approval = approval.answer(org, approved=approved, at=START, reason="行数异常")
        decisions.append(
            ReleaseDecision(
                contract="a" * 64, job=RELEASE.job, attempt=1, checked="c" * 64, org_id=org, approved=approved,
                reason="", decided_at=START,
            )
        )  # fmt: skip
    verdict = review_verdict(output, decisions, START, START)
    expected = ApprovalState.OPEN if verdict.waiting else ApprovalState.REFUSED
    assert approval.state is (ApprovalState.APPROVED if verdict.passed else expected)


def test_a_release_names_what_it_is_of() -> None:
    assert release(2).subject == RELEASE.digest
    for changes in (
        {"quorum": 4},
        {"quorum": 0},
        {"subject": "b" * 64},
        {"release": None},
        {"kind": ApprovalKind.AMENDMENT},
    ):
        with pytest.raises(ValidationError):
            release(**{"quorum": 2, **changes})
