"""Which of the data subjects' refusals bind a data set (K1, K8, K13; white paper A, 3.1 and 3.8; PIPL art. 15, 24, 44, 47).

Withdrawing consent 撤回同意 ends the processing that rests on consent, and no other (PIPL art. 15, 13). Restriction, refusal,
deletion and the refusal of automated decisions bind "unless a law or administrative regulation provides otherwise"
(art. 44): a statutory duty 法定职责 is such a provision, so nobody leaves supervision by refusing it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from hefu.domain.dataset import LegalBasis
from hefu.domain.rules.say import block, note
from hefu.domain.verdict import Finding

ExclusionKind = Literal["withdraw", "restrict", "refuse", "delete", "opt_out"]
KINDS: tuple[ExclusionKind, ...] = get_args(ExclusionKind)


def binding_kinds(basis: LegalBasis) -> frozenset[ExclusionKind]:
    """The kinds of entries that keep a subject out of data processed on this basis."""
    if basis is LegalBasis.STATUTORY_DUTY:
        return frozenset()
    if basis is LegalBasis.CONSENT:
        return frozenset(KINDS)
    return frozenset(kind for kind in KINDS if kind != "withdraw")


def judge_exclusions(
    party: str, basis: LegalBasis, entries: Mapping[str, int], subject_field: str | None
) -> list[Finding]:
    """What an owner's list means for a job.

    entries  kind → entries on the list for this data set and contract
    returns  a note where entries do not bind here; a block where binding ones can't be matched
    """
    binding = binding_kinds(basis)
    idle = sum(count for kind, count in entries.items() if kind not in binding)
    bound = sum(count for kind, count in entries.items() if kind in binding)
    found = []
    if idle:
        found.append(
            note(
                "exclusion_not_applicable",
                "K13",
                f"{party} 的清单中有 {idle} 条撤回、限制或拒绝不适用于以“{basis.value}”为合法性基础的处理，未排除",
                f"{idle} entries of the list of {party} do not apply to processing on the basis {basis.value}: nobody is left out for them",
                party=party,
                seen=str(idle),
                expected="0",
                mend_zh="无需处理；请在答复个人时说明法律依据",
                mend_en="nothing to mend; name the law when answering the person",
                source="WP-A 3.1",
                law=("pipl-13", "pipl-15", "pipl-44"),
            )
        )
    if bound and subject_field is None:
        found.append(
            block(
                "subject_field_missing",
                "K13",
                f"{party} 有 {bound} 条撤回、限制或拒绝须执行，但合约未指明标识个人的字段",
                f"{party} has {bound} entries to honour, and the contract names no field that tells the data subject",
                party=party,
                seen="subject_field: null",
                expected="subject_field",
                mend_zh="请签署指明 subject_field 的合约新版本",
                mend_en="sign a new version of the contract that names subject_field",
                source="WP-A 3.1",
                law=("pipl-15", "pipl-44", "pipl-47"),
            )
        )
    return found
