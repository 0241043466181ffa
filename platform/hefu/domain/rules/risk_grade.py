"""K11, what follows from the risk grade 分类分级: consent, a statute, or a stronger technique; a judgement where it is low.

White paper B, 3.2.2: 对于高、中风险，需要获取用户明示同意，或者考虑进一步提高隐私保护计算技术的强度；对于低风险，需对其是否包含个人信息进行研判.
White paper A, 3.1 lists other legal bases beside consent: a statutory duty under the contract's mandate therefore stands
in the place of explicit consent, and the finding says so. No other basis does.
"""

from __future__ import annotations

from collections.abc import Iterator

from hefu.domain.contract import ContractDataSet
from hefu.domain.dataset import LegalBasis
from hefu.domain.filings.assessment import RiskLevel, StageJudgement
from hefu.domain.identity import Role
from hefu.domain.rules.exposure import STAGE_ZH, RiskGrade
from hefu.domain.rules.matter import Matter, Rule
from hefu.domain.rules.pick import day, dossiers, of_contract
from hefu.domain.rules.say import block, note
from hefu.domain.rules.stage_grades import StageGrade, StageGrades
from hefu.domain.rules.stages import grade
from hefu.domain.terms import ConsentKind
from hefu.domain.verdict import Finding

__all__ = ["RULES", "RiskGrade", "StageGrades", "check_risk", "grade", "grades_of"]

EXPLICIT = frozenset({ConsentKind.EXPLICIT, ConsentKind.SEPARATE, ConsentKind.WRITTEN})
LEVEL_ZH = {RiskLevel.LOW: "低风险", RiskLevel.MEDIUM: "中风险", RiskLevel.HIGH: "高风险"}


def grades_of(matter: Matter) -> StageGrades:
    """The grades of the contract as it stands, with the job's rows where they are known."""
    return grade(matter.contract, matter.applications, matter.rows, dossiers(matter))


def assessors(matter: Matter) -> set[str]:
    """Whose judgement counts: data owners, recipients and auditors; not who merely computes."""
    contract = matter.contract
    auditors = (p.org_id for p in contract.parties if Role.AUDITOR in p.roles)
    return {*contract.owners(), *contract.recipients(), *auditors}


def check_risk(matter: Matter) -> Iterator[Finding]:
    """Each stage's grade, and whether what the grade asks for is there (white paper B, 3.2.2)."""
    grades = grades_of(matter)
    yield note(
        "risk_grade",
        "K11",
        f"整体为{LEVEL_ZH[grades.overall]}，最弱一环：{'、'.join(STAGE_ZH[s] for s in grades.weakest)}",
        f"{grades.overall.value} risk as a whole; weakest link: {', '.join(grades.weakest)}",
        seen=", ".join(f"{s.stage}={s.level.value}" for s in grades.stages),
        source="WP-B 3.2.2",
        law=("pipl-51",),
    )
    for stage in grades.stages:
        if stage.level is RiskLevel.LOW:
            yield from _judged(matter, stage)
        else:
            yield from _based(matter, stage)


def _judged(matter: Matter, stage: StageGrade) -> Iterator[Finding]:
    able = assessors(matter)
    if any(j.stage == stage.stage and j.issuer in able for j in of_contract(matter, StageJudgement)):
        return
    yield block(
        "stage_not_judged",
        "K11",
        f"{STAGE_ZH[stage.stage]}为低风险，须研判其是否包含个人信息，尚无有效研判记录",
        f"{stage.stage} is low risk: whether it holds personal information must be judged, and no judgement is in force",
        seen="none",
        expected=f"a StageJudgement for {stage.stage} by {', '.join(sorted(able))}",
        mend_zh="由数据提供方、结果使用方或第三方机构备案该阶段的研判",
        mend_en="a data owner, recipient or third party files its judgement of the stage",
        source="WP-B 3.2.2",
        law=("pipl-4", "pipl-73"),
    )


def _based(matter: Matter, stage: StageGrade) -> Iterator[Finding]:
    reasons_zh = "；".join(dict.fromkeys(g.zh for g in stage.worst))
    reasons_en = "; ".join(dict.fromkeys(g.en for g in stage.worst))
    concerned = {name for g in stage.worst for name in g.exposure.data_sets}
    concerned |= {n for g in stage.graded if g.level is not RiskLevel.LOW for n in g.exposure.data_sets}
    for data_set in matter.contract.data_sets:
        if data_set.data_set_id not in concerned:
            continue
        if under_mandate(matter, data_set):
            yield note(
                "statute_in_place_of_consent",
                "K11",
                f"{STAGE_ZH[stage.stage]}为{LEVEL_ZH[stage.level]}；数据集 {data_set.data_set_id} 依法定职责或义务处理，替代明示同意",
                f"{stage.stage} is {stage.level.value} risk; a statutory duty under the mandate stands in the place of "
                f"explicit consent for data set {data_set.data_set_id}",
                party=data_set.owner,
                seen=reasons_en,
                source="WP-A 3.1",
                law=("pipl-13", "pipl-34"),
            )
        elif not explicitly_consented(matter, data_set):
            lower_zh = "；".join(dict.fromkeys(g.lower_zh for g in stage.worst if g.lower_zh))
            lower_en = "; ".join(dict.fromkeys(g.lower_en for g in stage.worst if g.lower_en))
            yield block(
                "risk_without_explicit_consent",
                "K11",
                f"{STAGE_ZH[stage.stage]}为{LEVEL_ZH[stage.level]}（{reasons_zh}），数据集 {data_set.data_set_id} 没有明示同意",
                f"{stage.stage} is {stage.level.value} risk ({reasons_en}); data set {data_set.data_set_id} "
                "has no explicit consent",
                party=data_set.owner,
                seen=f"{stage.level.value}; basis {data_set.legal_basis.value}",
                expected="explicit, separate or written consent for this purpose, in term; or a statutory mandate; or low risk",
                mend_zh=f"取得明示同意，或提高技术强度：{lower_zh}",
                mend_en=f"obtain explicit consent, or use a stronger technique: {lower_en}",
                source="WP-B 3.2.2",
                law=("pipl-13", "pipl-14", "pipl-29"),
            )


def under_mandate(matter: Matter, data_set: ContractDataSet) -> bool:
    """Whether the data set rests on a statutory duty that the contract's mandate names its owner for."""
    mandate = matter.contract.mandate
    return (
        data_set.legal_basis is LegalBasis.STATUTORY_DUTY
        and mandate is not None
        and data_set.owner in (mandate.authority, *mandate.supervised)
    )


def explicitly_consented(matter: Matter, data_set: ContractDataSet) -> bool:
    """Whether an explicit, separate or written consent for this purpose is in term today."""
    return data_set.legal_basis is LegalBasis.CONSENT and any(
        EXPLICIT & set(c.kinds)
        and matter.contract.purpose_code in c.purposes
        and day(c.obtained_on) <= matter.today
        and (c.expires_on is None or day(c.expires_on) >= matter.today)
        for c in data_set.consents
    )


RULES: tuple[Rule, ...] = (check_risk,)
