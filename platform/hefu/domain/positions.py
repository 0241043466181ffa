"""Who is under common control, and does a contract's cast satisfy the protocol's assumption? (three compute parties)

N0 and N2 see which tokens pair: neither may own data, receive the result, or be under common control with such a
party. N1 sees nothing after the shuffle and may be an owner. No two of the three are under common control: any two
together undo the sharing. White paper A, 3.3 参与方管理.

Control runs over controlling shareholders and affiliates and is transitive: a and c are related when both name
something that b names. It rests on what applications and dossiers declare; nobody sees an undeclared shareholder.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from hefu.domain.contract import Contract
from hefu.domain.filings.admission import AdmissionDossier
from hefu.domain.identity import Application
from hefu.domain.verdict import Finding, Severity


def control_groups(
    applications: Mapping[str, Application], dossiers: Iterable[AdmissionDossier] = ()
) -> dict[str, str]:
    """Organisation -> name of its group: equal names are under common control.

    Nodes of the graph are organisations and declared names (shareholders, affiliates outside the platform), compared
    without regard to width, case and outer blanks; a shareholder written by a participant's legal name is that participant.
    """
    above: dict[str, str] = {}

    def root(name: str) -> str:
        while above.setdefault(name, name) != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    def join(left: str, right: str) -> None:
        above[root(_same(left))] = root(_same(right))

    for org, application in applications.items():
        root(_same(org))
        for name in (application.legal_name, application.legal_name_en):
            join(org, name)
        for name in _declared(application.controlling_shareholder, application.affiliates):
            join(org, name)
    for dossier in dossiers:
        root(_same(dossier.issuer))
        for name in _declared(dossier.controlling_shareholder, dossier.affiliates):
            join(dossier.issuer, name)
    known = {*applications, *(name for name in above)}
    return {name: root(_same(name)) for name in known}


def under_common_control(
    left: str,
    right: str,
    applications: Mapping[str, Application],
    dossiers: Iterable[AdmissionDossier] = (),
) -> bool:
    """True when a chain of declared shareholders and affiliates, of whatever length, leads from one to the other."""
    groups = control_groups(applications, dossiers)
    a, b = groups.get(_same(left)), groups.get(_same(right))
    return a is not None and a == b


def check_positions(
    contract: Contract,
    applications: Mapping[str, Application],
    dossiers: Iterable[AdmissionDossier] = (),
) -> Iterable[Finding]:
    """Findings (all blocking) where the compute parties break the protocol's assumption."""
    groups = control_groups(applications, dossiers)
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
        group = groups.get(_same(node))
        if node == other:
            seen = f"{node} is also {role}"
        elif group is not None and group == groups.get(_same(other)):
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
            point="K3",
            source="WP-A 3.3",
        )


def _declared(shareholder: str | None, affiliates: Iterable[str]) -> list[str]:
    return [*affiliates, *([shareholder] if shareholder and shareholder.strip() else [])]


def _same(name: str) -> str:
    """One spelling of a name: width, case and blanks don't make another company."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())
