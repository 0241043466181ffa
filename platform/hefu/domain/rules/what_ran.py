"""What a re-evaluation 动态评估 looks at: the jobs that ran since the assessment in force (white paper A, 3.2, second point).

Everybody who re-evaluates, the coordinator and each data owner, gathers jobs from its own records and compares them here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import NamedTuple

from hefu.domain.businessdays import business_date
from hefu.domain.contract import Contract
from hefu.domain.dataset import DataGrade
from hefu.domain.filings import Filings
from hefu.domain.filings.assessment import ImpactAssessment
from hefu.domain.rules.impact_assessment import triggers_of
from hefu.domain.rules.reevaluation import Comparison, Ran, reevaluate
from hefu.domain.verdict import Finding

_GRADES = tuple(DataGrade)


class JobRan(NamedTuple):
    """A job that used data: the contract version that it ran under, its day, when its use was counted, rows that went in."""

    contract: Contract
    day: date
    at: datetime
    rows: int


class Reevaluated(NamedTuple):
    """The assessment that was compared with (null: none in force), the span of business dates, and what came out."""

    assessment: ImpactAssessment | None
    first: date
    last: date
    jobs: int
    comparison: Comparison


def ran(contract: Contract, rows: Iterable[int]) -> Ran:
    """What jobs under one contract version did: a node admits only its fields, its code and its purpose."""
    return Ran(
        fields={d.data_set_id: tuple(f.name for f in d.fields) for d in contract.data_sets},
        code_digests=tuple(sorted({step.code_digest for step in contract.computation.steps})),
        rows=max(rows, default=0),
        purpose_code=contract.purpose_code,
    )


def compare_jobs(
    contract: Contract, filings: Filings, jobs: Iterable[JobRan], owner: str, today: date
) -> Reevaluated | None:
    """Compare what ran since an owner's assessment with it; each contract version by itself.

    contract  the newest version in force: what decides whether an assessment is due at all
    jobs      of all versions; those before the assessment are none of its business. Where none is in force, those that
              ran since the last one ended
    returns   None where nothing ran, or where no assessment is due
    """
    if not triggers_of(contract, filings, today):
        return None
    assessment = filings.newest(ImpactAssessment, today, issuer=owner, contract_id=contract.contract_id)
    since, after = None if assessment is None else assessment.issued_at, date.min
    if assessment is None:
        for ended in filings.all(ImpactAssessment, issuer=owner, contract_id=contract.contract_id):
            after = max(after, date.fromisoformat(ended.valid_until or "9999-12-31"))
    concerned = [job for job in jobs if (since is None or job.at >= since) and business_date(job.at) > after]
    if not concerned:
        return None
    versions = {job.contract.digest: job.contract for job in concerned}
    found = [
        reevaluate(
            version, assessment, ran(version, (j.rows for j in concerned if j.contract.digest == digest))
        )
        for digest, version in versions.items()
    ]
    days = [job.day for job in concerned]
    return Reevaluated(assessment, min(days), max(days), len(concerned), _together(found))


def _together(found: list[Comparison]) -> Comparison:
    findings: list[Finding] = []
    for comparison in found:
        findings += [f for f in comparison.findings if f not in findings]
    return Comparison(
        drift=tuple(dict.fromkeys(d for comparison in found for d in comparison.drift)),
        fused_grade=max((c.fused_grade for c in found), key=_GRADES.index),
        findings=tuple(findings),
    )
