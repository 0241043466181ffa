"""The limits of a contract, each alone: what fits, what is one too much, and what a mandate or acceptance changes."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hefu.domain import limits
from hefu.domain.filings import Filings
from hefu.domain.filings.reviews import MilestoneConfirmation, UseAuthorisation
from hefu.domain.limits import Spent, check_authorisation, check_limits, tally, trial_over
from hefu.domain.verdict import Severity

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
VALID = {"valid_from": "2026-01-01T00:00:00Z", "valid_until": "2026-12-31T00:00:00Z"}
MANDATE = {
    "document_number": "〔2026〕1号",
    "file_digest": "0" * 64,
    "authority": "regulator",
    "supervised": ("institution",),
}
TODAY = date(2026, 3, 4)
JOB = "J20260302AAAAAAAA"


def said(contract: Any, spent: Spent = Spent(), rows: int | None = 10, **changes: Any) -> dict[str, Any]:
    """Rule → finding of everything that blocks."""
    asked = {"accepted": False, "party": "bank", **changes}
    moment = asked.pop("moment", NOON)
    found = check_limits(contract, spent, moment, rows=rows, **asked)
    return {f.rule: f for f in found if f.severity is Severity.BLOCK}


@pytest.fixture
def make(world: Any) -> Any:
    def contract(limits: dict[str, Any] | None = None, **changes: Any) -> Any:
        return world.contract(limits={**VALID, **(limits or {})}, **changes)

    return contract


CASES = {
    "uses_exhausted": ({"max_uses": 3}, {}, Spent(uses=2), Spent(uses=3), 10, 10, "3", "3"),
    "rows_exceeded": ({"max_rows": 10}, {}, Spent(), Spent(), 10, 11, "11", "10"),
    "rows_total_exceeded": (
        {"max_rows_total": 100}, {}, Spent(rows=90), Spent(rows=91), 10, 10, "101", "100",
    ),
    "trial_uses_exhausted": (
        {}, {"trial": {"max_rows": 50, "max_uses": 2}}, Spent(uses=1), Spent(uses=2), 10, 10, "2", "2",
    ),
    "trial_rows_exceeded": (
        {}, {"trial": {"max_rows": 50, "max_uses": 2}}, Spent(), Spent(), 50, 51, "51", "50",
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", CASES)
def test_the_last_that_fits_and_the_first_that_does_not(make: Any, rule: str) -> None:
    clauses, more, fits, too_much, few, many, seen, expected = CASES[rule]
    contract = make(clauses, **more)
    assert said(contract, fits, few) == {}
    found = said(contract, too_much, many)
    assert list(found) == [rule]
    one = found[rule]
    assert (one.seen, one.expected, one.party) == (seen, expected, "bank")
    assert one.message_zh
    assert one.mend_zh
    assert one.mend_en


@pytest.mark.parametrize(
    ("rule", "guard"),
    [
        ("uses_exhausted", "_uses"),
        ("rows_exceeded", "_volume"),
        ("rows_total_exceeded", "_volume"),
        ("trial_uses_exhausted", "_trial"),
        ("trial_rows_exceeded", "_trial"),
    ],
)
def test_without_its_guard_it_passes(
    make: Any, rule: str, guard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clauses, more, _, too_much, _, many, _, _ = CASES[rule]
    monkeypatch.setattr(limits, guard, lambda *_: [])
    assert said(make(clauses, **more), too_much, many) == {}


@pytest.mark.parametrize(
    ("period", "seen"), [("day", 1), ("week", 2), ("month", 3), ("year", 4)], ids=lambda v: str(v)
)
def test_a_period_names_its_own_limit(make: Any, period: str, seen: int) -> None:
    """Wednesday 4 March 2026 in Shanghai; one use each this day, Monday, on 1 March, in January."""
    uses = [
        (datetime(2026, 3, 3, 16, tzinfo=UTC), 1),  # 00:00 of the 4th in Shanghai
        (datetime(2026, 3, 1, 16, tzinfo=UTC), 1),  # Monday 00:00
        (datetime(2026, 2, 28, 16, tzinfo=UTC), 1),  # 1 March 00:00
        (datetime(2025, 12, 31, 16, tzinfo=UTC), 1),  # 1 January 00:00
        (datetime(2025, 12, 31, 15, 59, tzinfo=UTC), 1),  # last year
    ]
    open_ = make({"max_uses": 100, "per_period": [{"period": period, "max_uses": seen + 1}]})
    assert said(open_, tally(uses, open_, NOON)) == {}
    full = make({"max_uses": 100, "per_period": [{"period": period, "max_uses": seen}]})
    found = said(full, tally(uses, full, NOON))["uses_exhausted"]
    assert (found.seen, found.expected) == (str(seen), f"{seen} per {period}")
    assert "100" not in found.message_en


@pytest.mark.parametrize("moment", [datetime(2025, 12, 31, 23, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)])
def test_outside_its_validity(make: Any, moment: datetime) -> None:
    assert list(said(make(), moment=moment)) == ["contract_expired"]
    assert list(said(make(mandate=MANDATE), moment=moment)) == ["contract_expired"]


def test_a_retry_is_no_further_use(make: Any) -> None:
    contract = make({"max_uses": 1, "max_rows": 10}, trial={"max_rows": 50, "max_uses": 1})
    assert set(said(contract, Spent(uses=1))) == {"uses_exhausted", "trial_uses_exhausted"}
    assert said(contract, Spent(uses=1), counted=True) == {}
    assert list(said(contract, Spent(uses=1), 11, counted=True)) == ["rows_exceeded"]


def test_a_mandate_cannot_be_exhausted_but_its_trial_binds(make: Any) -> None:
    tight = {
        "max_uses": 1,
        "max_rows": 1,
        "max_rows_total": 1,
        "per_period": [{"period": "day", "max_uses": 1}],
    }
    spent = Spent(uses=9, rows=9, periods={"day": 9})
    contract = make(tight, mandate=MANDATE)
    assert said(contract, spent, 10) == {}
    (note,) = check_limits(contract, spent, NOON, rows=10, accepted=True)
    assert (note.rule, note.severity) == ("mandate_unlimited", Severity.NOTE)
    assert set(said(make(tight), spent, 10)) == {"uses_exhausted", "rows_exceeded", "rows_total_exceeded"}
    trial = make(tight, mandate=MANDATE, trial={"max_rows": 5, "max_uses": 2})
    assert set(said(trial, spent, 10)) == {"trial_uses_exhausted", "trial_rows_exceeded"}
    assert said(trial, spent, 10, accepted=True) == {}


def test_acceptance_is_confirmed_by_everybody_named(make: Any) -> None:
    milestone = {
        "kind": "acceptance", "due_on": "2026-06-01", "evidence": "验收报告", "confirmed_by": ["bank", "regulator"],
    }  # fmt: skip
    contract = make(milestones=[milestone])

    def confirmed(*parties: str, passed: bool = True, hours: int = 0, **changes: Any) -> list[Any]:
        return [
            MilestoneConfirmation(
                **{
                    "issuer": party,
                    "contract_id": contract.contract_id,
                    "issued_at": NOON + timedelta(hours=hours),
                    "milestone": "acceptance",
                    "evidence": "0" * 64,
                    "passed": passed,
                    "note": "",
                    **changes,
                }
            )
            for party in parties
        ]

    def over(*filed: Any) -> bool:
        return trial_over(contract, Filings.of(filed), TODAY)

    both = confirmed("bank", "regulator")
    assert over(*both)
    assert not over()
    assert not over(*confirmed("bank"))
    assert not over(*confirmed("bank", "auditor"))
    assert not over(*both, *confirmed("bank", passed=False, hours=1))
    assert not over(*confirmed("bank", "regulator", milestone="midterm_test"))
    assert not over(*confirmed("bank", "regulator", contract_id="HF-TEST-OTHER"))
    assert not over(*confirmed("bank", "regulator", valid_until="2026-03-03"))
    assert not trial_over(make(), Filings.of(both), TODAY)  # no milestone, no end


class TestAuthorisation:
    def given(self, under: Any, **changes: Any) -> UseAuthorisation:
        value = {
            "issuer": "bank",
            "contract_id": under.contract_id,
            "issued_at": NOON,
            "contract": under.digest,
            "job": JOB,
            "business_date": "2026-03-02",
            "max_rows": 10,
            "authorised_by": "li",
            **changes,
        }
        return UseAuthorisation(**value)

    def waits(self, contract: Any, *filed: Any, rows: int | None = 10) -> list[str | None]:
        found = check_authorisation(
            contract,
            Filings.of(filed),
            job=JOB,
            business_date="2026-03-02",
            rows={"bank": rows, "institution": rows},
            today=TODAY,
        )
        assert all((f.rule, f.severity) == ("use_not_authorised", Severity.WAIT) for f in found)
        return [f.party for f in found]

    def test_every_holder_for_exactly_this_use(self, make: Any) -> None:
        contract = make({"authorisation": "per_use"})
        assert self.waits(contract) == ["bank", "institution"]
        assert self.waits(contract, self.given(contract)) == ["institution"]
        both = self.given(contract), self.given(contract, issuer="institution")
        assert self.waits(contract, *both) == []
        assert self.waits(make()) == []  # a standing one

    @pytest.mark.parametrize(
        "change",
        [
            {"contract": "1" * 64},
            {"job": "J20260302BBBBBBBB"},
            {"business_date": "2026-03-03"},
            {"max_rows": 9},
            {"valid_until": "2026-03-03"},
            {"issuer": "auditor"},
        ],
        ids=str,
    )
    def test_another_one_is_none(self, make: Any, change: dict[str, Any]) -> None:
        contract = make({"authorisation": "per_use"})
        rest = self.given(contract, issuer="institution")
        assert self.waits(contract, rest, self.given(contract)) == []
        assert self.waits(contract, rest, self.given(contract, **change)) == ["bank"]

    def test_rows_are_asked_once_they_are_known(self, make: Any) -> None:
        contract = make({"authorisation": "per_use"})
        both = self.given(contract, max_rows=1), self.given(contract, issuer="institution", max_rows=1)
        assert self.waits(contract, *both, rows=None) == []
        assert self.waits(contract, *both, rows=2) == ["bank", "institution"]

    def test_the_supervised_do_not_hold_a_mandate_up(self, make: Any) -> None:
        contract = make({"authorisation": "per_use"}, mandate=MANDATE)
        assert self.waits(contract) == ["bank"]
