"""K2, prior assessment 事前评估: when a PIA is due, who holds one, and whether it covers the contract (white paper A, 3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from hefu.domain.contract import Contract
from hefu.domain.filings import Filings
from hefu.domain.filings.admission import AdmissionDossier
from hefu.domain.filings.assessment import ImpactAssessment, PiaTrigger, RiskLevel
from hefu.domain.rules.coverage import sensitive_of
from hefu.domain.rules.matter import Matter, Rule
from hefu.domain.rules.say import block
from hefu.domain.terms import Operation
from hefu.domain.verdict import Finding

KEEP_YEARS = 3


def triggers_of(contract: Contract, filings: Filings, today: date) -> frozenset[PiaTrigger]:
    """Why an assessment is due (white paper A, 3.2; PIPL art. 55).

    A party whose dossier places its node outside the country makes it a provision abroad. Decisions about people and
    look-ups in blacklists or of faces have a major impact, unless a statutory mandate orders them.
    """
    found: set[PiaTrigger] = set()
    if any(sensitive_of(d) for d in contract.data_sets):
        found.add(PiaTrigger.SENSITIVE)
    if contract.automated is not None or contract.automated_decision.strip():
        found.add(PiaTrigger.AUTOMATED_DECISION)
    for data_set in contract.data_sets:
        if any(org != data_set.owner for org in contract.computation.compute_parties):
            found.add(PiaTrigger.ENTRUSTING)
        if any(org != data_set.owner for org in contract.recipients()):
            found.add(PiaTrigger.PROVIDING)
        if any(Operation.PUBLISH in c.operations for c in data_set.consents):
            found.add(PiaTrigger.PUBLISHING)
    for party in contract.parties:
        dossier = filings.newest(AdmissionDossier, today, issuer=party.org_id)
        if dossier is not None and dossier.node_country != "CN":
            found.add(PiaTrigger.ABROAD)
    decides = any(o.form == "decision" for o in contract.outputs) or (
        contract.automated is not None and contract.automated.use == "decision"
    )
    looks_up = contract.template in ("blacklist_lookup", "face_matching")
    if contract.mandate is None and (decides or looks_up):
        found.add(PiaTrigger.MAJOR_IMPACT)
    return frozenset(found)


def assessors(contract: Contract) -> tuple[str, ...]:
    """Who must hold an assessment: every data owner, being a handler or joint handler of what it puts in (PIPL 20, 55)."""
    return contract.owners()


def kept_long_enough(assessment: ImpactAssessment) -> bool:
    """Kept three years at least after its issue (PIPL art. 56)."""
    issued = assessment.issued_at.date()
    leap = issued.month == 2 and issued.day == 29
    least = issued.replace(year=issued.year + KEEP_YEARS, day=28 if leap else issued.day)
    return date.fromisoformat(assessment.keep_until) >= least


def check_impact_assessment(matter: Matter) -> Iterator[Finding]:
    """Each assessor has an assessment in force that covers what the contract does (white paper A, 3.2; PIPL 55, 56)."""
    contract = matter.contract
    triggers = triggers_of(contract, matter.filings, matter.today)
    if not triggers:
        return
    for org in assessors(contract):
        filed = matter.filings.newest(
            ImpactAssessment, matter.today, issuer=org, contract_id=contract.contract_id
        )
        if filed is None:
            yield _refuse(
                org,
                "pia_missing",
                "没有有效的个人信息保护影响评估",
                "no impact assessment in force",
                "none",
                ", ".join(sorted(triggers)),
            )
            continue
        yield from _gaps(matter, org, filed, triggers)


def _gaps(
    matter: Matter, org: str, filed: ImpactAssessment, triggers: frozenset[PiaTrigger]
) -> Iterator[Finding]:
    contract, scope = matter.contract, filed.scope
    own = {d.data_set_id: {f.name for f in d.fields} for d in contract.data_sets if d.owner == org}
    wanted: tuple[tuple[str, str, str, set[str], set[str]], ...] = (
        ("pia_trigger_not_covered", "情形", "triggers", set(triggers), set(filed.triggers)),
        (
            "pia_code_not_covered",
            "代码摘要",
            "code digests",
            {s.code_digest for s in contract.computation.steps},
            set(scope.code_digests),
        ),
        (
            "pia_recipient_not_covered",
            "接收方",
            "recipients",
            set(contract.recipients()),
            set(scope.recipients),
        ),
        (
            "pia_compute_party_not_covered",
            "计算方",
            "compute parties",
            set(contract.computation.compute_parties),
            set(scope.compute_parties),
        ),
        ("pia_purpose_not_covered", "处理目的", "purpose", {contract.purpose_code}, {scope.purpose_code}),
        (
            "pia_field_not_covered",
            "字段",
            "fields",
            {f"{name}.{f}" for name, fields in own.items() for f in fields},
            {f"{name}.{f}" for name, fields in scope.fields.items() for f in fields},
        ),
    )
    for rule, zh, en, needed, covered in wanted:
        if needed - covered:
            yield _refuse(
                org,
                rule,
                f"影响评估未覆盖合约的{zh}",
                f"the assessment does not cover the contract's {en}",
                f"not covered: {', '.join(sorted(needed - covered))}",
                f"all {en} of the contract",
            )
    rows = max(contract.limits.max_rows, matter.rows or 0)
    if rows > scope.max_rows:
        yield _refuse(
            org,
            "pia_rows_not_covered",
            "数据量超过评估范围",
            "more rows than assessed",
            str(rows),
            f"at most {scope.max_rows}",
        )
    if filed.prepared_by == filed.approved_by:
        yield _refuse(
            org,
            "pia_self_approved",
            "评估的经办人与复核人为同一人",
            "the assessment was approved by who prepared it",
            "one person",
            "two persons",
        )
    if not kept_long_enough(filed):
        yield _refuse(
            org,
            "pia_kept_too_short",
            "评估报告保存不足三年",
            "the assessment is not kept for three years",
            filed.keep_until,
            f"{KEEP_YEARS} years after {filed.issued_at.date()}",
        )
    if filed.residual_risk is RiskLevel.HIGH:
        yield _refuse(
            org,
            "pia_residual_risk_high",
            "评估的剩余风险为高",
            "the residual risk is high",
            "high",
            "medium or low",
        )


def _refuse(org: str, rule: str, zh: str, en: str, seen: str, expected: str) -> Finding:
    return block(
        rule,
        "K2",
        f"{org}：{zh}",
        f"{org}: {en}",
        party=org,
        seen=seen,
        expected=expected,
        mend_zh="请按合约实际内容重新评估，由他人复核后备案，或修改合约",
        mend_en="assess again what the contract does, have it approved by another person and file it, or amend",
        source="WP-A 3.2",
        law=("pipl-55", "pipl-56"),
    )


RULES: tuple[Rule, ...] = (check_impact_assessment,)
