"""K4, data-source compliance 数据源合规: every owner declares where its data comes from and what it checked (white paper A, 3.4).

Direct, indirect and public-place sources have a checklist each; important data, minors' data and sensitive categories add
theirs. Privacy computing does not mend a source that is not lawful.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hefu.domain.contract import ContractDataSet
from hefu.domain.dataset import LegalBasis, SensitiveCategory, SourceKind
from hefu.domain.filings.sources import SourceCheck, SourceDeclaration
from hefu.domain.rules.important_data import check_important
from hefu.domain.rules.matter import Matter, Rule
from hefu.domain.rules.pick import SOON, concerning, day, newest
from hefu.domain.rules.say import block, note, warn
from hefu.domain.rules.words import PART_ZH, SENSITIVE_ZH
from hefu.domain.verdict import Finding

C = SourceCheck
_LAW = {
    C.NOTICE_GIVEN: ("pipl-17",),
    C.POLICY_COMPLETE: ("pipl-17", "pipl-7"),
    C.CONSENT_FREE: ("pipl-14",),
    C.ORIGIN_STATED: ("dsl-33",),
    C.LAWFULNESS_CONFIRMED: ("dsl-32",),
    C.CONSENT_RANGE_KNOWN: ("pipl-14", "pipl-23"),
    C.EXCEEDING_RENEWED: ("pipl-14",),
    C.PUBLIC_SECURITY_NEED: ("pipl-26", "face-13"),
    C.SIGNS_SHOWN: ("pipl-26", "face-13"),
    C.SEPARATE_CONSENT: ("pipl-26", "pipl-29"),
    C.GUARDIAN_CONSENT: ("pipl-31", "minors-9"),
    C.MINOR_RULES: ("pipl-31", "minors-8"),
}
_NAMES_ZH = {
    C.NOTICE_GIVEN: "已告知处理规则",
    C.POLICY_COMPLETE: "隐私协议规范完整",
    C.CONSENT_FREE: "同意充分自主、清晰明确",
    C.ORIGIN_STATED: "提供方已说明来源",
    C.LAWFULNESS_CONFIRMED: "已确认合法性与真实性",
    C.CONSENT_RANGE_KNOWN: "已了解授权同意范围",
    C.EXCEEDING_RENEWED: "超出范围的已再次取得明示同意",
    C.PUBLIC_SECURITY_NEED: "为维护公共安全所必需",
    C.SIGNS_SHOWN: "设置显著的提示标识",
    C.SEPARATE_CONSENT: "取得个人单独同意",
    C.GUARDIAN_CONSENT: "取得监护人同意",
    C.MINOR_RULES: "制定未成年人专门处理规则",
}


def required_checks(data_set: ContractDataSet, answers: dict[SourceCheck, bool]) -> tuple[SourceCheck, ...]:
    """Which checks must be answered yes, by the source's kind, the legal basis, and whose data it is.

    A public place: needed for public security and with signs, or separate consent; sensitive information (faces, gaits)
    from there that is used beyond the place itself needs all three (PIPL art. 26, 29).
    """
    consent = data_set.legal_basis is LegalBasis.CONSENT
    if data_set.source_kind is SourceKind.DIRECT:
        due = [C.NOTICE_GIVEN, C.POLICY_COMPLETE, *([C.CONSENT_FREE] if consent else [])]
    elif data_set.source_kind is SourceKind.INDIRECT:
        due = [C.ORIGIN_STATED, C.LAWFULNESS_CONFIRMED]
        due += [C.CONSENT_RANGE_KNOWN, C.EXCEEDING_RENEWED] if consent else []
    elif sensitive_in(data_set):
        due = [C.PUBLIC_SECURITY_NEED, C.SIGNS_SHOWN, C.SEPARATE_CONSENT]
    elif answers.get(C.SEPARATE_CONSENT):
        due = [C.SEPARATE_CONSENT]
    else:
        due = [C.PUBLIC_SECURITY_NEED, C.SIGNS_SHOWN]
    return (*due, *((C.GUARDIAN_CONSENT, C.MINOR_RULES) if of_minors(data_set) else ()))


def sensitive_in(data_set: ContractDataSet) -> tuple[SensitiveCategory, ...]:
    """The sensitive categories of the fields that the contract uses, each once."""
    found = dict.fromkeys(f.sensitive for f in data_set.fields)
    return tuple(c for c in found if c is not SensitiveCategory.NONE)


def of_minors(data_set: ContractDataSet) -> bool:
    """Whether the contract says that these are data of people under fourteen."""
    return data_set.minors or SensitiveCategory.MINOR in sensitive_in(data_set)


def check_sources(matter: Matter) -> Iterator[Finding]:
    """Each data set has its owner's declaration in force, it fits the contract, and its checklist is answered (white paper A, 3.4)."""
    for data_set in matter.contract.data_sets:
        declaration = newest(
            d
            for d in concerning(matter, SourceDeclaration, issuer=data_set.owner)
            if d.data_set_id == data_set.data_set_id
        )
        if declaration is None:
            yield block(
                "source_not_declared",
                "K4",
                f"{data_set.owner} 没有数据集 {data_set.data_set_id} 的有效来源声明",
                f"{data_set.owner} has no source declaration in force for data set {data_set.data_set_id}",
                party=data_set.owner,
                seen="none",
                expected="a SourceDeclaration in force",
                mend_zh=f"由 {data_set.owner} 核查数据来源并备案来源声明",
                mend_en=f"{data_set.owner} checks the source and files its declaration",
                source="WP-A 3.4",
                law=("dsl-32", "pipl-13"),
            )
            continue
        yield from _fits(matter, data_set, declaration)
        for check in required_checks(data_set, declaration.checks):
            answer = declaration.checks.get(check)
            if answer is not True:
                yield block(
                    "source_check_failed",
                    "K4",
                    f"数据集 {data_set.data_set_id} 的来源核查未满足：{_NAMES_ZH[check]}",
                    f"data set {data_set.data_set_id}: source check not met: {check.value}",
                    party=data_set.owner,
                    seen=f"{check.value}: {'no' if answer is False else 'not answered'}",
                    expected=f"{check.value}: yes ({data_set.source_kind.value})",
                    mend_zh="补齐该项后重新声明；隐私计算不能解决来源的合规性问题",
                    mend_en="meet it and declare again; privacy computing does not mend the source",
                    source="WP-A 3.4",
                    law=_LAW[check],
                )
        yield from check_important(matter, data_set, declaration)


def check_sensitive(matter: Matter) -> Iterator[Finding]:
    """Sensitive categories are flagged, so that everybody sees which of them enter (white paper A, 3.4)."""
    for data_set in matter.contract.data_sets:
        categories = sensitive_in(data_set)
        if categories or of_minors(data_set):
            yield note(
                "sensitive_categories",
                "K4",
                f"数据集 {data_set.data_set_id} 含敏感个人信息：{'、'.join(SENSITIVE_ZH[c] for c in categories) or '不满十四周岁未成年人'}",
                f"data set {data_set.data_set_id} holds sensitive information: "
                f"{', '.join(c.value for c in categories) or 'minor'}",
                party=data_set.owner,
                seen=", ".join(
                    f"{f.name}={f.sensitive.value}"
                    for f in data_set.fields
                    if f.sensitive is not SensitiveCategory.NONE
                )
                or "under fourteen",
                source="WP-A 3.4",
                law=("pipl-28", "pipl-29", "pipl-30"),
            )


def _fits(matter: Matter, data_set: ContractDataSet, declaration: SourceDeclaration) -> Iterator[Finding]:
    name, owner = data_set.data_set_id, data_set.owner

    def refuse(rule: str, zh: str, en: str, seen: object, expected: object, *law: str) -> Finding:
        return block(
            rule, "K4", f"数据集 {name}：{zh}", f"data set {name}: {en}", **_rest(owner, seen, expected, law)
        )

    for what, zh, seen, due in (
        ("schema_digest", "结构摘要", declaration.schema_digest, data_set.schema_digest),
        ("source_kind", "来源类型", declaration.source_kind.value, data_set.source_kind.value),
    ):
        if seen != due:
            yield refuse(
                f"{what}_differs",
                f"来源声明的{zh}与合约不符",
                f"the declaration's {what} differs from the contract's",
                seen,
                due,
                "dsl-32",
            )
    if declaration.minors and not of_minors(data_set):
        yield refuse(
            "minors_not_in_contract",
            "声明含未成年人数据，合约未载明",
            "declared to hold minors' data; the contract does not say so",
            "declared",
            "minors: true in the contract",
            "pipl-31",
            "minors-9",
        )
    if declaration.prepared_by.strip().casefold() == declaration.approved_by.strip().casefold():
        yield refuse(
            "declaration_not_reviewed",
            "来源声明的经办人与复核人为同一人",
            "the person who prepared the declaration approved it",
            "one person",
            "two different people",
            "pipl-51",
        )
    blank = [
        part
        for part, text in (("origin", declaration.origin), ("consent_range", declaration.consent_range))
        if not text.strip()
        and (
            part == "origin"
            or (data_set.source_kind is SourceKind.INDIRECT and data_set.legal_basis is LegalBasis.CONSENT)
        )
    ]
    for part in blank:
        yield refuse(
            "declaration_incomplete",
            f"来源声明的{PART_ZH[part]}为空",
            f"{part} is blank",
            "blank",
            part,
            "dsl-33",
        )
    if declaration.valid_until is None:
        yield refuse(
            "declaration_without_term",
            "来源声明未写明有效期",
            "the declaration has no expiry",
            "none",
            "valid_until",
        )
    elif day(declaration.valid_until) <= matter.today + SOON:
        yield warn(
            "declaration_expires_soon",
            "K4",
            f"数据集 {name} 的来源声明将于 {declaration.valid_until} 到期",
            f"data set {name}: the source declaration expires on {declaration.valid_until}",
            **_rest(owner, declaration.valid_until, f"> {matter.today + SOON}", ()),
        )


def _rest(owner: str, seen: object, expected: object, law: tuple[str, ...]) -> dict[str, Any]:
    return {
        "party": owner,
        "seen": str(seen),
        "expected": str(expected),
        "mend_zh": "核查后重新备案来源声明，或修订合约",
        "mend_en": "check and declare again, or amend the contract",
        "source": "WP-A 3.4",
        "law": law,
    }


RULES: tuple[Rule, ...] = (check_sources, check_sensitive)
