"""K2, continuing assessment 动态评估: what ran against what was filed, and the grade of fused data (white paper A, 3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hefu.domain.contract import Contract
from hefu.domain.dataset import DataGrade, IdentifierClass
from hefu.domain.filings.assessment import ImpactAssessment, Reevaluation
from hefu.domain.rules.impact_assessment import assessors
from hefu.domain.rules.matter import Matter, Rule
from hefu.domain.rules.say import block, warn
from hefu.domain.verdict import Finding

VERY_LARGE_ROWS = 10_000_000
_GRADES = tuple(DataGrade)


@dataclass(frozen=True)
class Ran:
    """What the jobs of a span really did: fields by data set, digests of the code, most rows of one job, purpose."""

    fields: Mapping[str, tuple[str, ...]]
    code_digests: tuple[str, ...]
    rows: int
    purpose_code: str


@dataclass(frozen=True)
class Comparison:
    """Drift, the grade of the fused data, and the findings."""

    drift: tuple[str, ...]
    fused_grade: DataGrade
    findings: tuple[Finding, ...]

    @property
    def conclusion(self) -> str:
        """`drifted` or `unchanged`, as `Reevaluation` files it."""
        return "drifted" if self.drift else "unchanged"


def fuse_grades(contract: Contract, ran: Ran) -> tuple[DataGrade, bool]:
    """The highest grade that went in, raised by one where quasi-identifiers of several owners meet or rows are very many.

    Returns the grade and whether it was raised (white paper A, 3.2, third and sixth points; JR/T 0197-2020).
    """
    used = [
        (d.owner, f)
        for d in contract.data_sets
        for f in d.fields
        if f.name in ran.fields.get(d.data_set_id, ())
    ]
    highest = max((_GRADES.index(f.grade) for _, f in used), default=0)
    owners = {owner for owner, f in used if f.identifier_class is IdentifierClass.QUASI}
    wanted = highest + (len(owners) > 1 or ran.rows >= VERY_LARGE_ROWS)
    fused = min(wanted, len(_GRADES) - 1)
    return _GRADES[fused], fused > highest


def reevaluate(contract: Contract, assessment: ImpactAssessment | None, ran: Ran) -> Comparison:
    """Compare what ran with the assessment that was filed (white paper A, 3.2, second and third points).

    Data sets that the assessment's issuer does not own are compared with the contract, the others with the assessment.
    Without an assessment everything has drifted.
    """
    drift: list[str] = []
    if assessment is None:
        drift.append("no_assessment")
    else:
        scope = assessment.scope
        for name, fields in sorted(ran.fields.items()):
            data_set = next((d for d in contract.data_sets if d.data_set_id == name), None)
            agreed = () if data_set is None else tuple(f.name for f in data_set.fields)
            owned = data_set is not None and data_set.owner == assessment.issuer
            allowed = set(scope.fields.get(name, ())) if owned else set(agreed)
            drift += [f"field:{name}.{extra}"[:200] for extra in sorted(set(fields) - allowed)]
        drift += [f"code:{d}" for d in sorted(set(ran.code_digests) - set(scope.code_digests))]
        if ran.rows > scope.max_rows:
            drift.append(f"rows:{ran.rows}>{scope.max_rows}")
        if ran.purpose_code != scope.purpose_code:
            drift.append(f"purpose:{ran.purpose_code}")
    grade, raised = fuse_grades(contract, ran)
    party = None if assessment is None else assessment.issuer
    findings = [drifted(party, tuple(drift))] if drift else []
    if raised:
        findings.append(
            warn(
                "fused_grade_raised",
                "K2",
                f"多源数据融合后安全级别升为 {grade.value}",
                f"the fused data are of grade {grade.value}",
                party=party,
                seen=f"{ran.rows} rows",
                expected="the grade of the data sets by themselves",
                mend_zh="请按融合后的级别复核技术方案与保护措施",
                mend_en="review technique and measures for this grade",
                source="WP-A 3.2",
                law=("jrt0197",),
            )
        )
    return Comparison(tuple(drift), grade, tuple(findings))


def check_reevaluation(matter: Matter) -> Iterator[Finding]:
    """Drift that was found blocks until the owner files a newer assessment (white paper A, 3.2, second point)."""
    contract = matter.contract
    for filed in matter.filings.all(Reevaluation, contract_id=contract.contract_id):
        if filed.conclusion != "drifted" and not filed.drift:
            continue
        newer = [
            a
            for org in assessors(contract)
            if filed.issuer in (org, contract.platform.operator)
            for a in matter.filings.all(ImpactAssessment, issuer=org, contract_id=contract.contract_id)
            if a.issued_at > filed.issued_at and a.in_force(matter.today) and a.digest != filed.assessment
        ]
        if not newer:
            yield drifted(filed.issuer, filed.drift)


def drifted(party: str | None, drift: tuple[str, ...]) -> Finding:
    """What ran under an owner's assessment is not what was assessed."""
    return block(
        "processing_drifted",
        "K2",
        "实际处理与备案的评估不一致，存在超范围使用数据的风险",
        "what ran is not what was assessed: data may be used beyond their range",
        party=party,
        seen=", ".join(drift),
        expected="fields, code, rows and purpose as filed",
        mend_zh="请暂停处理，按实际内容重新评估并备案，或恢复为已备案的处理",
        mend_en="stop, assess anew what really runs, or go back to what was filed",
        source="WP-A 3.2",
        law=("pipl-55", "pipl-6"),
    )


RULES: tuple[Rule, ...] = (check_reevaluation,)
