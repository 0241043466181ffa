"""K1, legal basis 合法性基础: consent with a complete chain, or another basis under its own conditions (white paper A, 3.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta

from hefu.domain.contract import Contract, ContractDataSet
from hefu.domain.dataset import LegalBasis, SourceKind
from hefu.domain.rules.coverage import consent_coverage, in_term, sensitive_of
from hefu.domain.rules.matter import Matter, Rule
from hefu.domain.rules.say import block, warn
from hefu.domain.verdict import Finding

SOON = timedelta(days=30)
_DOCUMENT = re.compile(r"《[^》]+》|[〔\[（(]\s*\d{4}\s*[〕\]）)]|\d+\s*号|\bNo\.?\s*\d+", re.IGNORECASE)
_LAW = {"participant": "pipl-23", "purpose": "pipl-14", "operation": "pipl-4", "not_in_term": "pipl-19"}
_KIND_LAW = {
    "kind:guardian": "pipl-31",
    "kind:separate": "pipl-29",
    "kind:written": "hgr-12",
    "kind:renewed": "pipl-14",
}


def check_legal_basis(matter: Matter) -> Iterator[Finding]:
    """Every data set has a legal basis whose conditions are met today (white paper A, 3.1; PIPL art. 13)."""
    for data_set in matter.contract.data_sets:
        if data_set.legal_basis is LegalBasis.CONSENT:
            yield from _consent(matter.contract, data_set, matter.today)
        else:
            yield from _other_basis(matter, data_set)


def _consent(contract: Contract, data_set: ContractDataSet, today: date) -> Iterator[Finding]:
    gaps: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for cell in consent_coverage(contract, data_set, today).cells:
        if not cell.covered:
            gaps.setdefault((cell.participant, cell.missing), []).append(cell.operation.value)
    for (participant, missing), operations in gaps.items():
        laws = {_LAW.get(m) or _KIND_LAW.get(m) or ("pipl-28" if ":" in m else "pipl-13") for m in missing}
        laws |= {"pipl-23"} if "provide" in operations else set()
        yield block(
            "consent_chain_broken",
            "K1",
            f"数据集 {data_set.data_set_id} 的授权链条未覆盖 {participant} 的 {'、'.join(operations)} 操作",
            f"data set {data_set.data_set_id}: consent does not cover {participant}: {', '.join(operations)}",
            party=data_set.owner,
            seen=f"{participant} x {','.join(operations)}: {', '.join(missing)}",
            expected="consent names every participant and operation for this purpose, of the kind needed, in term",
            mend_zh="请就所列参与方、操作与目的按所需形式取得同意，并更新合约中的授权条款",
            mend_en="obtain consent of the kind needed for what is named, and amend the contract's consent clause",
            source="WP-A 3.1",
            law=tuple(sorted(laws)),
        )
    party = contract.party(data_set.owner)
    names = {party.org_id, party.legal_name, party.legal_name_en}
    for consent in data_set.consents:
        if (consent.collector in names) != (data_set.source_kind is not SourceKind.INDIRECT):
            yield block(
                "consent_collector_contradicts_source",
                "K1",
                f"数据集 {data_set.data_set_id} 的授权收集方与数据来源类型不符",
                f"data set {data_set.data_set_id}: who collected the consent contradicts the kind of source",
                party=data_set.owner,
                seen=f"collector {consent.collector}, source {data_set.source_kind.value}",
                expected="the owner itself for a direct source, whoever it received the data from for an indirect one",
                mend_zh="请写明同意由谁取得：直接来源为数据提供方本身，间接来源为其上游",
                mend_en="name who obtained the consent",
                source="WP-A 3.4",
                law=("pipl-13", "dsl-32"),
            )
        ends = None if consent.expires_on is None else date.fromisoformat(consent.expires_on)
        if ends is not None and in_term(consent, today) and ends < today + SOON:
            yield warn(
                "consent_expires_soon",
                "K1",
                f"数据集 {data_set.data_set_id} 的一项授权将于 {ends} 到期",
                f"data set {data_set.data_set_id}: a consent expires on {ends}",
                party=data_set.owner,
                seen=str(ends),
                expected=f"later than {today + SOON}",
                mend_zh="请在到期前重新取得同意",
                mend_en="renew the consent before that day",
                source="WP-A 3.1",
                law=("pipl-14",),
            )


def _other_basis(matter: Matter, data_set: ContractDataSet) -> Iterator[Finding]:
    contract, basis, text = matter.contract, data_set.legal_basis, data_set.legal_basis_note.strip()

    def refuse(rule: str, zh: str, en: str, expected: str, *law: str) -> Finding:
        return block(
            rule,
            "K1",
            f"数据集 {data_set.data_set_id}：{zh}",
            f"data set {data_set.data_set_id}: {en}",
            party=data_set.owner,
            seen=f"{basis.value}, note: {text[:80] or 'none'}",
            expected=expected,
            mend_zh="请补充该合法性基础的依据或说明，或改以取得同意为基础",
            mend_en="state what the basis rests on, or rest it on consent",
            source="WP-A 3.1",
            law=("pipl-13", *law),
        )

    if basis is LegalBasis.STATUTORY_DUTY:
        mandate = contract.mandate
        mandated = mandate is not None and data_set.owner in (mandate.authority, *mandate.supervised)
        if not mandated and not _DOCUMENT.search(text):
            yield refuse(
                "statutory_duty_unnamed",
                "法定职责或义务没有指明依据文件",
                "the statutory duty names no document",
                "the contract's mandate over this owner, or a note that names the document",
                "pipl-34",
            )
        return
    if not text:
        yield refuse(
            "legal_basis_unexplained",
            "同意以外的合法性基础没有说明",
            "a basis other than consent is not explained",
            "legal_basis_note",
        )
        return
    weighty = contract.automated is not None or any(o.form == "decision" for o in contract.outputs)
    if basis is LegalBasis.OTHER_LAW and not _DOCUMENT.search(text):
        yield refuse(
            "other_law_unnamed", "没有指明所依据的法律文件", "no law is named", "a note that names the law"
        )
    if basis is LegalBasis.CONTRACT and data_set.subject_field is None:
        yield refuse(
            "contract_basis_without_subject",
            "合同必需仅适用于个人作为一方当事人的合同，未标明个人信息主体字段",
            "contract necessity holds only for the data subject's own contract, and no field names the subject",
            "subject_field",
        )
    if basis is LegalBasis.CONTRACT and any(r != data_set.owner for r in contract.recipients()):
        yield refuse(
            "contract_basis_with_other_recipient",
            "结果提供给个人合同以外的接收方，不属于为订立、履行该合同所必需",
            "a result goes to somebody who is no party to the data subject's own contract",
            "only the owner receives results, or consent",
            "pipl-23",
        )
    if basis is LegalBasis.NEWS_SUPERVISION and weighty:
        yield refuse(
            "news_basis_for_decisions",
            "新闻报道、舆论监督不能作为对个人作出决定的依据",
            "news reporting and public supervision is no basis for decisions about people",
            "public interest, within reason: no automated decision",
            "pipl-24",
        )
    if (
        basis is LegalBasis.ALREADY_PUBLIC
        and (weighty or sensitive_of(data_set))
        and not consent_coverage(contract, data_set, matter.today).complete
    ):
        yield refuse(
            "public_information_major_impact",
            "处理已公开的个人信息对个人权益有重大影响，应当取得同意",
            "processing public information with a major impact on people needs consent",
            "complete consent",
            "pipl-27",
        )
    if basis is LegalBasis.ALREADY_PUBLIC and data_set.subject_field is None:
        yield refuse(
            "public_information_without_subject",
            "未标明个人信息主体字段，无法落实个人的明确拒绝",
            "no field names the subject, so an express refusal could not be honoured",
            "subject_field",
            "pipl-27",
        )


RULES: tuple[Rule, ...] = (check_legal_basis,)
