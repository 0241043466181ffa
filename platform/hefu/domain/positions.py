"""Does a contract's cast satisfy the protocol's assumption? (three-party reconciliation, design F)

N0 and N2 see which tokens pair: neither may own data, receive the result, or be under common control with such a
party. N1 sees nothing after the shuffle and may be an owner. No two of the three are under common control: any two
together undo the sharing. White paper A, 3.3 参与方管理.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hefu.domain.contract import Contract
from hefu.domain.identity import Application
from hefu.domain.verdict import Finding, Severity


def _control(application: Application | None) -> set[str]:
    if application is None:
        return set()
    names = set(application.affiliates)
    if application.controlling_shareholder:
        names.add(application.controlling_shareholder)
    return names


def under_common_control(left: str, right: str, applications: Mapping[str, Application]) -> bool:
    """True when one names the other as affiliate, or both name the same shareholder or affiliate."""
    a, b = _control(applications.get(left)), _control(applications.get(right))
    return left in b or right in a or bool(a & b)


def check_positions(contract: Contract, applications: Mapping[str, Application]) -> Iterable[Finding]:
    """Findings (all blocking) where the compute parties break the protocol's assumption."""
    n0, n1, n2 = contract.computation.compute_parties
    exposed = {
        **dict.fromkeys(contract.owners(), "data owner"),
        **dict.fromkeys(contract.recipients(), "recipient"),
    }
    pairs = [(n, other, role) for n in (n0, n2) for other, role in exposed.items()] + [
        (n0, n2, "other compute node"),
        (n0, n1, "other compute node"),  # two together hold both shares of every row
        (n2, n1, "other compute node"),
    ]
    for node, other, role in pairs:
        if node == other:
            seen = f"{node} is also {role}"
        elif under_common_control(node, other, applications):
            seen = f"{node} and {other} ({role}) are under common control"
        else:
            continue
        yield Finding(
            rule="protocol_assumption",
            severity=Severity.BLOCK,
            party=node,
            seen=seen,
            expected="N0 and N2 are neither data owner nor recipient, nor under common control with one, nor any two compute nodes",
            message_zh=f"计算方 {node} 不满足协议的安全假设",
            message_en=f"compute party {node} breaks the protocol's security assumption",
            mend_zh="在合约中更换计算方 N0/N2",
            mend_en="name another organisation as N0/N2 in the contract",
            source="WP-A 3.3",
        )
