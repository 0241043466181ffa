"""K4, important data 重要数据: risk assessment, backup, encryption, domestic storage, or else 场内; consent cures none of it.

White paper A, 3.4: data that may seriously affect the state, society or livelihoods meets all of these duties, or is fused on
the platform of the competent authority under its supervision. What the declaration says must agree with the dossiers:
the owner's own, and those of the compute parties, where its shares will lie.
"""

from __future__ import annotations

from collections.abc import Iterator

from hefu.domain.contract import ContractDataSet
from hefu.domain.filings.sources import SourceDeclaration
from hefu.domain.rules.matter import Matter
from hefu.domain.rules.pick import dossier_of
from hefu.domain.rules.say import block
from hefu.domain.verdict import Finding

HOME = "CN"
_LAW = {
    "risk_assessment": ("dsl-30", "ndsr-31", "ndsr-33"),
    "backup": ("dsl-27", "csl-23"),
    "encrypted": ("dsl-27", "csl-23"),
    "stored_in_country": ("dsl-31", "csl-39"),
}
_ZH = {
    "risk_assessment": "风险评估",
    "backup": "备份",
    "encrypted": "加密",
    "stored_in_country": "境内存储",
    "on_supervised_site": "场内",
}


def check_important(
    matter: Matter, data_set: ContractDataSet, declaration: SourceDeclaration
) -> Iterator[Finding]:
    """What important data lacks; nothing where neither contract nor declaration calls it important."""
    name, owner, said = data_set.data_set_id, data_set.owner, declaration.important

    def refuse(
        rule: str, zh: str, en: str, seen: str, expected: str, *law: str, party: str = owner
    ) -> Finding:
        return block(
            rule,
            "K4",
            f"重要数据 {name}：{zh}",
            f"important data {name}: {en}",
            party=party,
            seen=seen,
            expected=expected,
            mend_zh="补齐安全保障义务，或在主管机构提供的平台（场内）进行；取得同意不能替代",
            mend_en="meet the duty, or compute on the authority's platform; consent does not replace it",
            source="WP-A 3.4",
            law=law,
        )

    if not data_set.important and said is None:
        return
    if said is None or not data_set.important:
        yield refuse(
            "important_data_not_agreed",
            "合约与来源声明对是否为重要数据的说法不一致",
            "contract and declaration disagree on whether the data is important",
            f"contract {data_set.important}, declaration {said is not None}",
            "both say so, with its measures",
            "dsl-21",
            "ndsr-29",
        )
        return
    dossier = dossier_of(matter, owner)
    if said.on_supervised_site:
        if dossier is None or dossier.supervised_site is None:
            yield refuse(
                "supervised_site_not_filed",
                "声明在场内处理，准入材料未载明主管机构提供的平台",
                "declared on a supervised site; the owner's dossier names none",
                "no supervised_site",
                "the dossier names the authority's platform",
                "dsl-30",
            )
        return
    if set(said.risk_assessment) == {"0"}:
        yield refuse(
            "important_data_duty",
            "缺少风险评估报告",
            "there is no risk assessment",
            "no document",
            "digest of the report",
            *_LAW["risk_assessment"],
        )
    filed = {
        "backup": dossier is not None and dossier.backup,
        "encrypted": dossier is not None and dossier.storage_encrypted,
        "stored_in_country": dossier is not None and dossier.node_country == HOME,
    }
    for duty, agrees in filed.items():
        declared = bool(getattr(said, duty))
        if not declared:
            yield refuse(
                "important_data_duty",
                f"未满足{_ZH[duty]}",
                f"{duty} is not met",
                f"{duty}: no",
                f"{duty}: yes",
                *_LAW[duty],
            )
        elif not agrees:
            yield refuse(
                "important_data_contradicts_dossier",
                f"声明已满足{_ZH[duty]}，准入材料不支持",
                f"{duty} is declared; the owner's dossier does not bear it out",
                f"dossier: not {duty}",
                f"dossier: {duty}",
                *_LAW[duty],
            )
    for node in matter.contract.computation.compute_parties:
        at = dossier_of(matter, node)
        if at is None or at.node_country != HOME:
            yield refuse(
                "important_data_leaves_country",
                f"计算方 {node} 的节点位置为 {at.node_country if at else '未知'}，分片将离开境内",
                f"the node of compute party {node} lies in {at.node_country if at else 'an unknown place'}",
                at.node_country if at else "unknown",
                HOME,
                "dsl-31",
                "csl-39",
                party=node,
            )
