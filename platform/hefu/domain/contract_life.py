"""What a notice does to a contract, and the duties that are left when it is over (white paper A, 3.3 and 4.4).

Under a statutory mandate 法定监管 a supervised party cannot suspend or end the supervision: what it signs is kept as its
refusal and changes nothing. The authority itself can. Withdrawal is the proposer's alone, before everybody has signed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict

from hefu.domain.contract import Contract, ContractNotice, ContractState, NoticeKind
from hefu.domain.verdict import Finding, Severity

_STOPS = (NoticeKind.SUSPEND, NoticeKind.TERMINATE)


def resists_mandate(contract: Contract, kind: NoticeKind, org_id: str) -> bool:
    """Is this a supervised party's attempt to stop a statutory supervision?"""
    mandate = contract.mandate
    return (
        mandate is not None
        and kind in (*_STOPS, NoticeKind.REFUSE)
        and org_id in mandate.supervised
        and org_id != mandate.authority
    )


def is_void(contract: Contract, kind: NoticeKind, org_id: str) -> bool:
    """Has the notice no effect on the contract's state? A refusal to sign does: nobody's signature can be forced."""
    return kind in _STOPS and resists_mandate(contract, kind, org_id)


def effective(contract: Contract, notices: Iterable[ContractNotice]) -> list[ContractNotice]:
    """The notices that count, in their order."""
    return [n for n in notices if not is_void(contract, n.kind, n.org_id)]


def supervision_refused(contract: Contract, notice: ContractNotice) -> Finding:
    """The finding that the authority sees. Raises ValueError where there is no mandate."""
    if contract.mandate is None:
        raise ValueError("the contract has no statutory mandate")
    number = contract.mandate.document_number
    return Finding(
        rule="supervision_refused",
        severity=Severity.WARN,
        party=notice.org_id,
        seen=notice.kind.value,
        expected=number,
        message_zh=f"被监管方 {notice.org_id} 试图以“{notice.kind.value}”拒绝法定监管（{number}）",
        message_en=f"{notice.org_id}, under supervision, tries to refuse the statutory mandate {number} ({notice.kind.value})",
        mend_zh="监管方核查原因；仅监管方可以暂停或终止",
        mend_en="the authority looks into it; only the authority may suspend or end it",
        point="K3",
        source="WP-A 4.4",
        law=("dsl-35", "pipl-13"),
    )


class Duty(BaseModel):
    """Something a party still owes after the contract is over."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    org_id: str
    duty: Literal["stop_processing", "delete", "deletion_certificate", "keep_records", "stop_using_result"]
    text_zh: str
    text_en: str
    law: tuple[str, ...]


def duties_after(contract: Contract, state: ContractState) -> list[Duty]:
    """Each party's duties once the contract has been terminated or has expired; none before (PIPL art. 21, 47; WP-A 3.3)."""
    if state not in (ContractState.TERMINATED, ContractState.EXPIRED):
        return []
    duties = []
    kept = max(contract.retention_days, *(d.minimum_retention_days for d in contract.data_sets))
    for party in contract.parties:
        org = party.org_id

        def owe(duty: str, zh: str, en: str, *law: str, org: str = org) -> None:
            duties.append(
                Duty.model_validate({"org_id": org, "duty": duty, "text_zh": zh, "text_en": en, "law": law})
            )

        owe(
            "stop_processing",
            "停止本合约下的一切新任务",
            "start no more jobs under this contract",
            "pipl-47",
        )
        if org in contract.owners() or org in contract.computation.compute_parties:
            owe(
                "delete",
                "删除为本合约生成的中间数据、份额与标记",
                "delete intermediate data, shares and tokens made for this contract",
                "pipl-47",
            )
        if org in contract.computation.compute_parties and org not in contract.owners():
            owe(
                "deletion_certificate",
                "作为受托方出具签名的删除证明",
                "as an entrusted party, sign a deletion certificate",
                "pipl-21",
            )
        if org in contract.recipients():
            owe(
                "stop_using_result",
                "结果仅在用途和期限内继续使用，期满删除",
                "use the result within its purpose and term only, then delete it",
                "pipl-19",
            )
        owe(
            "keep_records",
            f"处理记录和存证保存 {kept} 天，影响评估记录至少三年",
            f"keep processing records and evidence for {kept} days, impact assessments for three years at least",
            "pipl-56",
        )
    return duties
