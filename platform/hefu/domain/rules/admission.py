"""K3, participant management 参与方管理: who takes part was admitted, assessed, warned, and is independent enough.

White paper A, 3.3: admission criteria (first), technology providers that are secure (third), the risk notice without
exaggeration (fourth), third parties that assess (last). Standing and duties are `standing`, the project plan `milestones`.
"""

from __future__ import annotations

from collections.abc import Iterator

from hefu.domain.contract import Contract, ContractDataSet
from hefu.domain.dataset import DataGrade, SensitiveCategory
from hefu.domain.document import text_digest
from hefu.domain.filings.admission import RiskNoticeAcknowledgement, ThirdPartyAssessment
from hefu.domain.identity import Role
from hefu.domain.positions import check_positions, under_common_control
from hefu.domain.rules.dossier import review
from hefu.domain.rules.exaggeration import find_exaggeration
from hefu.domain.rules.matter import Matter, Rule
from hefu.domain.rules.pick import concerning, dossier_of, dossiers, newest_each, of_contract
from hefu.domain.rules.say import block, warn
from hefu.domain.rules.words import SCOPE_ZH
from hefu.domain.verdict import Finding


def roles_in(contract: Contract) -> dict[str, set[Role]]:
    """What each organisation is in the contract: the roles stated, and those that its clauses give it."""
    found: dict[str, set[Role]] = {party.org_id: set(party.roles) for party in contract.parties}
    for orgs, role in (
        (contract.owners(), Role.DATA_PROVIDER),
        (contract.computation.compute_parties, Role.COMPUTE_PARTY),
        (contract.recipients(), Role.RESULT_CONSUMER),
        ((contract.platform.operator,), Role.PLATFORM_PROVIDER),
    ):
        for org in orgs:
            found.setdefault(org, set()).add(role)
    return found


def is_guarded(data_set: ContractDataSet) -> bool:
    """Whether its holder needs the higher 等级保护 level: C2, C3 or sensitive fields, important data, minors."""
    return (
        data_set.important
        or data_set.minors
        or any(
            f.grade is not DataGrade.C1 or f.sensitive is not SensitiveCategory.NONE for f in data_set.fields
        )
    )


def check_dossiers(matter: Matter) -> Iterator[Finding]:
    """Every party has a dossier in force that meets its roles' criteria (white paper A, 3.3, first point)."""
    guarded = {d.owner for d in matter.contract.data_sets if is_guarded(d)}
    for org, roles in roles_in(matter.contract).items():
        dossier = dossier_of(matter, org)
        if dossier is None:
            yield block(
                "dossier_missing",
                "K3",
                f"{org} 没有有效的准入材料",
                f"{org} has no admission dossier in force",
                party=org,
                seen="none",
                expected="an AdmissionDossier in force",
                mend_zh=f"由 {org} 备案准入材料",
                mend_en=f"{org} files its admission dossier",
                source="WP-A 3.3",
                law=("pipl-9", "dsl-27"),
            )
            continue
        application = matter.applications.get(org)
        yield from review(
            dossier,
            roles,
            matter.today,
            guarded=org in guarded,
            qualifications=application.qualifications if application else (),
        )


def check_assessments(matter: Matter) -> Iterator[Finding]:
    """A third party assessed the compute parties and the platform, and none failed them (white paper A, 2.1 and 3.3)."""
    contract, related = matter.contract, dossiers(matter)
    assessors = {org for org, roles in roles_in(contract).items() if Role.AUDITOR in roles}
    filed = [a for a in concerning(matter, ThirdPartyAssessment) if a.issuer in assessors]
    for org in dict.fromkeys([*contract.computation.compute_parties, contract.platform.operator]):
        independent = [
            a
            for a in filed
            if a.subject == org
            and a.issuer != org
            and not under_common_control(a.issuer, org, matter.applications, related)
        ]
        admission = newest_each(a for a in independent if a.scope == "admission").values()
        failed = [a.issuer for a in admission if not a.passed]
        if failed or not admission:
            yield block(
                "assessment_failed" if failed else "assessment_missing",
                "K3",
                f"{org} {'未通过第三方准入评估' if failed else '没有第三方机构的准入评估'}",
                f"{org} {'failed' if failed else 'lacks'} a third party's admission assessment",
                party=org,
                seen=f"failed by {', '.join(failed)}" if failed else "none by an independent third party",
                expected="passed, by a third party that is not under common control with it",
                mend_zh="由独立第三方机构完成准入评估并备案",
                mend_en="have an independent third party assess it and file the report",
                source="WP-A 3.3",
                law=("pipl-54", "pipl-21"),
            )
        for scope in ("security", "compliance", "data_quality", "algorithm"):
            for other in newest_each(a for a in independent if a.scope == scope).values():
                if not other.passed:
                    yield warn(
                        "assessment_with_failures",
                        "K3",
                        f"{other.issuer} 对 {org} 的{SCOPE_ZH[scope]}评估未通过",
                        f"{other.issuer} did not pass {org} in its assessment of {scope}",
                        party=org,
                        seen=f"{scope}: failed",
                        expected="passed",
                        mend_zh="整改后重新评估",
                        mend_en="mend what the report names and be assessed again",
                        source="WP-A 3.3",
                        law=("pipl-54",),
                    )


def check_risk_notice(matter: Matter) -> Iterator[Finding]:
    """The notice is there, claims nothing that is untrue, and every party acknowledged exactly it (white paper A, 3.3)."""
    text = matter.contract.risk_notice
    claim = find_exaggeration(text)
    if claim or not text.strip():
        yield block(
            "risk_notice_exaggerates" if claim else "risk_notice_blank",
            "K3",
            "风险提示夸大隐私计算的效果" if claim else "合约没有风险提示",
            "the risk notice overstates what the technique does"
            if claim
            else "the contract has no risk notice",
            seen=claim or "blank",
            expected="limits and remaining risks, without exaggeration",
            mend_zh="修改风险提示：隐私计算不等同于匿名化，也不免除告知与授权义务",
            mend_en="reword it: privacy computing is not anonymisation and replaces neither notice nor consent",
            source="WP-A 3.3",
            law=("pipl-73",),
        )
    digest = text_digest(text)
    for party in matter.contract.parties:
        given = [a.notice for a in of_contract(matter, RiskNoticeAcknowledgement, issuer=party.org_id)]
        if digest not in given:
            yield block(
                "risk_notice_not_acknowledged",
                "K3",
                f"{party.org_id} 未确认本合约的风险提示",
                f"{party.org_id} has not acknowledged this contract's risk notice",
                party=party.org_id,
                seen=given[-1][:16] if given else "none",
                expected=digest[:16],
                mend_zh=f"由 {party.org_id} 阅读并确认现行版本的风险提示",
                mend_en=f"{party.org_id} reads and acknowledges the notice as it stands",
                source="WP-A 3.3",
            )


def check_common_control(matter: Matter) -> Iterator[Finding]:
    """The compute parties' independence over the whole graph of control, from applications and dossiers (white paper A, 3.3)."""
    for org in matter.contract.computation.compute_parties:
        if org not in matter.applications:
            yield block(
                "control_unknown",
                "K3",
                f"计算方 {org} 的准入申请未知，无法核查共同控制关系",
                f"the application of compute party {org} is not known: common control cannot be checked",
                party=org,
                seen="no application",
                expected="an admitted application",
                mend_zh="核对参与方登记",
                mend_en="look into the registry of participants",
                source="WP-A 3.3",
            )
    yield from check_positions(matter.contract, matter.applications, dossiers(matter))


RULES: tuple[Rule, ...] = (check_dossiers, check_assessments, check_risk_notice, check_common_control)
