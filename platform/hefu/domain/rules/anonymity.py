"""K12, anonymisation 匿名化 as a recorded judgement with conditions, never as a property of the technique.

White paper B, 3.2.3: anonymity is relative to the effort of restoring: strength of the cryptography, custody of the key,
collusion, and a term (PRACTICE assumes ten years). White paper A, 1.2: privacy computing is not anonymisation by itself, and
shares are still personal information. A judgement binds nobody to a lower duty: it is one, with an assessor and an expiry.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from hefu.domain.contract import Output
from hefu.domain.filings.assessment import RiskLevel, StageJudgement
from hefu.domain.periods import BUSINESS_ZONE
from hefu.domain.rules.exaggeration import find_exaggeration
from hefu.domain.rules.exposure import STAGE_ZH
from hefu.domain.rules.matter import Matter, Rule
from hefu.domain.rules.pick import day, dossiers, of_contract
from hefu.domain.rules.risk_grade import assessors, grades_of
from hefu.domain.rules.say import block
from hefu.domain.rules.stages import colluding_parties
from hefu.domain.rules.words import PART_ZH
from hefu.domain.verdict import Finding

PRACTICE_YEARS = 10


def check_judgements(matter: Matter) -> Iterator[Finding]:
    """Every judgement in force has what it needs; `anonymous` most of all (white paper B, 3.2.3)."""
    for judgement in newest_judgements(matter):
        yield from _record(matter, judgement)
        if judgement.judgement == "anonymous":
            yield from _anonymous(matter, judgement)


def check_result_terms(matter: Matter) -> Iterator[Finding]:
    """A result that is not judged anonymous keeps its terms of use: purpose, range, time limit (white paper A, 3.7)."""
    judged = {j.judgement for j in newest_judgements(matter) if j.stage == "result"}
    if judged == {"anonymous"}:
        return
    for output in matter.contract.outputs:
        if not has_terms(output):
            yield block(
                "result_without_use_terms",
                "K12",
                f"给 {output.recipient} 的结果为{'去标识化信息' if judged == {'de_identified'} else '个人信息'}，合约未约定使用期限与范围",
                f"the result to {output.recipient} is {'de-identified' if judged == {'de_identified'} else 'personal'} "
                "information; the contract states no term and range of its use",
                party=output.recipient,
                seen="no use_terms",
                expected="use_terms with a time limit or addresses",
                mend_zh="在合约中约定结果的使用期限与地址范围",
                mend_en="state in the contract until when and from where the result may be used",
                source="WP-A 3.7",
                law=("pipl-19", "pipl-21"),
            )


def newest_judgements(matter: Matter) -> list[StageJudgement]:
    """The newest judgement in force of each assessor on each stage."""
    found = {(j.issuer, j.stage): j for j in of_contract(matter, StageJudgement)}
    able = assessors(matter)
    return [j for (issuer, _), j in found.items() if issuer in able]


def has_terms(output: Output) -> bool:
    """Whether the output states until when or from where it may be used."""
    terms = output.use_terms
    return terms is not None and (terms.valid_days is not None or bool(terms.addresses))


def _record(matter: Matter, judgement: StageJudgement) -> Iterator[Finding]:
    for part in ("assessor", "key_custody", "collusion_assumption", "conditions"):
        text = str(getattr(judgement, part))
        claim = find_exaggeration(text)
        if claim or not text.strip():
            yield _refuse(
                judgement,
                "judgement_equates_technique" if claim else "judgement_incomplete",
                f"{PART_ZH[part]}{'将隐私计算等同于匿名化或夸大其效果' if claim else '为空'}",
                f"{part} {'equates the technique with anonymisation, or overstates it' if claim else 'is blank'}",
                claim or "blank",
                f"{part}: facts and conditions",
            )


def _anonymous(matter: Matter, judgement: StageJudgement) -> Iterator[Finding]:
    if judgement.reidentification_test is None:
        yield _refuse(
            judgement,
            "no_reidentification_test",
            "没有重识别测试报告",
            "has no re-identification test",
            "none",
            "digest of the test's report",
        )
    issued = judgement.issued_at.astimezone(BUSINESS_ZONE).date()
    latest = _years_after(issued, PRACTICE_YEARS)
    if judgement.valid_until is None or day(judgement.valid_until) > latest:
        yield _refuse(
            judgement,
            "judgement_term_too_long",
            f"有效期须写明且不超过 {PRACTICE_YEARS} 年",
            f"must expire within {PRACTICE_YEARS} years",
            judgement.valid_until or "no expiry",
            f"<= {latest}",
        )
    pairs = colluding_parties(matter.contract, matter.applications, dossiers(matter))
    if pairs and judgement.stage in ("transmission", "computation"):
        yield _refuse(
            judgement,
            "anonymous_despite_common_control",
            f"计算方 {'、'.join('与'.join(p) for p in pairs)} 受共同控制或关系不明，合在一起即可还原分量",
            f"compute parties {', '.join(' and '.join(p) for p in pairs)} are under common control, or may be: "
            "together they restore what the shares hide",
            ", ".join("+".join(p) for p in pairs),
            "compute parties that are independent of each other",
        )
    graded = grades_of(matter).stage(judgement.stage)
    if graded.level is not RiskLevel.LOW:
        yield _refuse(
            judgement,
            "anonymous_despite_risk",
            f"该阶段为{'中' if graded.level is RiskLevel.MEDIUM else '高'}风险：{'；'.join(dict.fromkeys(g.zh for g in graded.worst))}",
            f"the stage is {graded.level.value} risk: {'; '.join(dict.fromkeys(g.en for g in graded.worst))}",
            graded.level.value,
            "low",
        )


def _refuse(judgement: StageJudgement, rule: str, zh: str, en: str, seen: str, expected: str) -> Finding:
    return block(
        rule,
        "K12",
        f"{judgement.issuer} 对{STAGE_ZH[judgement.stage]}的研判：{zh}",
        f"the judgement of {judgement.issuer} on {judgement.stage} {en}",
        party=judgement.issuer,
        seen=seen,
        expected=expected,
        mend_zh="补齐依据后重新研判，或改判为个人信息或去标识化信息；使用隐私计算不等同于匿名化",
        mend_en="judge again with what is missing, or as personal or de-identified information; "
        "the technique does not anonymise by itself",
        source="WP-B 3.2.3",
        law=("pipl-73", "pipl-4"),
    )


def _years_after(start: date, years: int) -> date:
    try:
        return start.replace(year=start.year + years)
    except ValueError:  # 29 February
        return start.replace(year=start.year + years, day=28)


RULES: tuple[Rule, ...] = (check_judgements, check_result_terms)
