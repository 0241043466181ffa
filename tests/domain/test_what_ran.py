"""Which jobs a re-evaluation looks at: those since the assessment in force, each under the contract version it ran under."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hefu.domain.filings import Filings
from hefu.domain.rules import what_ran
from hefu.domain.rules.what_ran import JobRan, compare_jobs
from hefu.domain.scope import scope_of
from hefu.store.base import now

OWNER = "institution"


@pytest.fixture
def contract(world: Any) -> Any:
    return world.contract()


def pia(contract: Any, issued: datetime, *, until: str | None = None, **scope: Any) -> Any:
    from hefu.domain.filings.assessment import ImpactAssessment

    covered = scope_of(contract).model_dump(mode="json")
    return ImpactAssessment.model_validate(
        {
            "issuer": OWNER,
            "contract_id": contract.contract_id,
            "issued_at": issued,
            "valid_until": until,
            "triggers": ["providing"],
            "necessity": "n",
            "impact": "i",
            "measures": "m",
            "residual_risk": "low",
            "scope": {**covered, **scope},
            "prepared_by": "a",
            "approved_by": "b",
            "keep_until": "2036-01-01",
        }
    )


def compare(contract: Any, filed: list[Any], *jobs: JobRan) -> Any:
    return compare_jobs(contract, Filings.of(filed), jobs, OWNER, now().date())


def job(contract: Any, at: datetime, rows: int = 10, day: str = "2026-03-02") -> JobRan:
    return JobRan(contract, date.fromisoformat(day), at, rows)


def test_what_ran_as_assessed_is_unchanged(contract: Any) -> None:
    moment = now()
    found = compare(contract, [pia(contract, moment)], job(contract, moment), job(contract, moment, 20))
    assert found is not None
    assert (found.jobs, found.comparison.conclusion, found.comparison.drift) == (2, "unchanged", ())


def test_one_job_over_the_assessed_volume_is_drift(contract: Any) -> None:
    moment = now()
    filed = [pia(contract, moment, max_rows=15)]
    assert compare(contract, filed, job(contract, moment, 15)).comparison.drift == ()
    assert compare(
        contract, filed, job(contract, moment, 15), job(contract, moment, 16)
    ).comparison.drift == ("rows:16>15",)


def test_jobs_before_the_assessment_are_none_of_its_business(contract: Any) -> None:
    moment = now()
    filed = [pia(contract, moment, max_rows=5)]
    assert compare(contract, filed, job(contract, moment - timedelta(seconds=1))) is None
    later = job(contract, moment, 5, "2026-03-04")
    found = compare(contract, filed, job(contract, moment - timedelta(seconds=1)), later)
    assert (found.jobs, found.first, found.comparison.drift) == (1, later.day, ())


def test_each_version_is_compared_by_itself(world: Any, contract: Any) -> None:
    """Fields and purpose of a later version that nobody assessed are drift, whatever the first version's were."""
    moment = now()
    second = world.contract(version=2, previous=contract.digest, purpose_code="marketing", title="另一版本")
    filed = [pia(contract, moment)]
    assert compare(second, filed, job(contract, moment)).comparison.drift == ()
    assert compare(second, filed, job(contract, moment), job(second, moment)).comparison.drift == (
        "purpose:marketing",
    )


def test_where_none_is_in_force_only_what_ran_since_it_ended_counts(contract: Any) -> None:
    moment = now()
    ended = (moment - timedelta(days=5)).date().isoformat()
    filed = [pia(contract, moment - timedelta(days=90), until=ended)]
    before, after = moment - timedelta(days=20), moment - timedelta(days=1)
    assert compare(contract, filed, job(contract, before)) is None
    found = compare(contract, filed, job(contract, before), job(contract, after))
    assert (found.assessment, found.jobs, found.comparison.drift) == (None, 1, ("no_assessment",))


def test_without_any_assessment_everything_has_drifted(contract: Any) -> None:
    assert compare(contract, [], job(contract, now())).comparison.drift == ("no_assessment",)


def test_where_no_assessment_is_due_nothing_is_compared(
    contract: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(what_ran, "triggers_of", lambda *_: frozenset())
    assert compare(contract, [], job(contract, now())) is None
