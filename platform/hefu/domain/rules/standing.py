"""K3, legal standing 参与方的法律定性 derived per contract, and the duties that follow (white paper A, 2.2 and 3.4).

A handler decides purpose and means by itself: data owners, and recipients that may influence the processing. Several of
them that decide together are joint handlers (3.4: 很可能会构成共同处理); where a supervisory authority alone receives the
result, the purpose is the authority's, and each owner stays the handler of its own data. Who only computes, schedules or
provides the platform is entrusted; a third party assesses and processes nothing. Whoever is a handler and computes on
others' data is entrusted with these too, unless all are joint handlers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import NamedTuple

from hefu.domain.contract import Contract, LegalStanding
from hefu.domain.filings.admission import Supervision
from hefu.domain.identity import Role
from hefu.domain.periods import BUSINESS_ZONE
from hefu.domain.rules.matter import Matter, Rule
from hefu.domain.rules.pick import day, newest_each, of_contract
from hefu.domain.rules.say import block, warn
from hefu.domain.rules.words import STANDING_ZH
from hefu.domain.verdict import Finding

GRACE = timedelta(days=30)
SUPERVISED_WITHIN = timedelta(days=365)
_WEIGHT = {
    LegalStanding.THIRD_PARTY: 0,
    LegalStanding.ENTRUSTED_PARTY: 1,
    LegalStanding.PI_HANDLER: 2,
    LegalStanding.JOINT_HANDLER: 3,
}


class Duty(NamedTuple):
    """What a standing obliges to, and the article it comes from."""

    zh: str
    en: str
    law: str


_HANDLER = (
    Duty(
        "确保合法性基础与授权链条完整",
        "a legal basis, and a consent chain without gaps, for each use",
        "pipl-13",
    ),
    Duty("告知处理的目的、方式、范围与参与方", "notice of purpose, means, range and participants", "pipl-17"),
    Duty(
        "事前开展个人信息保护影响评估并留存三年", "an impact assessment before, kept three years", "pipl-55"
    ),
    Duty("受理个人信息主体的权利请求", "answers to data subjects' requests", "pipl-50"),
    Duty("选任并监督受托人", "selects and supervises whom it entrusts", "pipl-21"),
    Duty("发生安全事件时补救并通知", "remedies an incident and tells those concerned", "pipl-57"),
)
DUTIES: Mapping[LegalStanding, tuple[Duty, ...]] = MappingProxyType(
    {
        LegalStanding.PI_HANDLER: _HANDLER,
        LegalStanding.JOINT_HANDLER: (
            *_HANDLER,
            Duty("约定各自的权利和义务", "agrees on each one's rights and duties", "pipl-20"),
            Duty("侵害个人信息权益的依法承担连带责任", "is jointly and severally liable", "pipl-20"),
        ),
        LegalStanding.ENTRUSTED_PARTY: (
            Duty("按约定处理，不得超出约定的目的和方式", "processes as agreed and no further", "pipl-21"),
            Duty(
                "合同终止后返还或者删除，不得保留",
                "returns or deletes when it ends, keeps nothing",
                "pipl-21",
            ),
            Duty("未经同意不得转委托", "entrusts nobody else without agreement", "pipl-21"),
            Duty("采取必要措施保障安全并协助处理者", "secures the data and assists the handler", "pipl-59"),
            Duty(
                "接受委托前审查处理需求是否合规（白皮书A 4.1）",
                "examines the request before accepting it",
                "ndsr-12",
            ),
        ),
        LegalStanding.THIRD_PARTY: (
            Duty("客观、独立地评估与审计", "assesses and audits objectively, independently", "pipl-54"),
            Duty("不使用所见数据，对其保密", "uses nothing of what it sees and keeps it secret", "csl-42"),
        ),
        LegalStanding.AUTHORITY: (
            Duty(
                "在法定职责、权限和程序内处理，不超出必需的范围",
                "stays within its statutory powers and procedure",
                "pipl-34",
            ),
            Duty("依法告知，法定情形除外", "gives notice unless a statute exempts it", "pipl-35"),
            Duty("对履职中知悉的信息保密", "keeps what it learns secret", "csl-42"),
        ),
    }
)


def duties_of(standing: LegalStanding) -> tuple[Duty, ...]:
    """The duties that follow from a standing."""
    return DUTIES[standing]


def derive_standings(contract: Contract) -> dict[str, LegalStanding]:
    """Each party's standing, from what it does in the contract."""
    authorities = {p.org_id for p in contract.parties if Role.REGULATOR in p.roles}
    if contract.mandate is not None:
        authorities.add(contract.mandate.authority)
    owners, recipients = contract.owners(), contract.recipients()
    handlers = [o for o in dict.fromkeys([*owners, *recipients]) if o not in authorities]
    joint = len(handlers) > 1 and not set(recipients) <= authorities
    entrusted = {*contract.computation.compute_parties, contract.platform.operator}
    found: dict[str, LegalStanding] = {}
    for party in contract.parties:
        org = party.org_id
        if org in authorities:
            found[org] = LegalStanding.AUTHORITY
        elif org in handlers:
            found[org] = LegalStanding.JOINT_HANDLER if joint else LegalStanding.PI_HANDLER
        elif org in entrusted or {Role.ALGORITHM_PROVIDER, Role.SCHEDULER} & set(party.roles):
            found[org] = LegalStanding.ENTRUSTED_PARTY
        else:
            found[org] = LegalStanding.THIRD_PARTY
    return found


def entrusted_by(contract: Contract) -> dict[str, tuple[str, ...]]:
    """Entrusted organisation -> the data owners that entrust it and must supervise it (white paper A, 2.2)."""
    standings = derive_standings(contract)
    found = {}
    for org in dict.fromkeys([*contract.computation.compute_parties, contract.platform.operator]):
        entrusting = tuple(o for o in contract.owners() if o != org)
        if standings.get(org) in (LegalStanding.ENTRUSTED_PARTY, LegalStanding.PI_HANDLER) and entrusting:
            found[org] = entrusting
    return found


def check_standing(matter: Matter) -> Iterator[Finding]:
    """The contract states the standing that follows from what each party does; fewer duties than these are refused (white paper A, 2.2)."""
    derived = derive_standings(matter.contract)
    for party in matter.contract.parties:
        stated, due = party.legal_standing, derived[party.org_id]
        if stated is due:
            continue
        authority = LegalStanding.AUTHORITY in (stated, due)
        probable = (stated, due) == (LegalStanding.PI_HANDLER, LegalStanding.JOINT_HANDLER)
        fewer = authority or (not probable and _WEIGHT[stated] < _WEIGHT[due])
        yield (block if fewer else warn)(
            "standing_contradicts_role",
            "K3",
            f"合约写明 {party.org_id} 为{STANDING_ZH[stated]}，依其实际作用应为{STANDING_ZH[due]}",
            f"the contract states {party.org_id} as {stated.value}; what it does makes it {due.value}",
            party=party.org_id,
            seen=stated.value,
            expected=due.value,
            mend_zh="在合约中改正该方的法律定性，并约定相应的权利义务："
            + "；".join(d.zh for d in duties_of(due)),
            mend_en="correct the standing in the contract and agree on its duties: "
            + "; ".join(d.en for d in duties_of(due)),
            source="WP-A 2.2",
            law=tuple(dict.fromkeys(["pipl-73", *(d.law for d in duties_of(due))])),
        )


def check_supervision(matter: Matter) -> Iterator[Finding]:
    """Entrusting parties checked on each entrusted party within a year; 30 days' grace from the contract's start (white paper A, 2.2)."""
    start = matter.contract.limits.valid_from.astimezone(BUSINESS_ZONE).date()
    for org, entrusting in entrusted_by(matter.contract).items():
        made = newest_each(
            s
            for s in of_contract(matter, Supervision)
            if s.entrusted == org
            and s.issuer in entrusting
            and matter.today - SUPERVISED_WITHIN <= day(s.checked_on) <= matter.today
        )
        rest = {
            "party": org,
            "mend_zh": "由委托方核查受托方的处理情况并备案监督记录",
            "mend_en": "an entrusting party checks on it and files the record",
            "source": "WP-A 2.2",
            "law": ("pipl-21", "pipl-59", "ndsr-12"),
        }
        unsatisfied = [s.issuer for s in made.values() if not s.satisfied]
        if unsatisfied:
            yield block(
                "supervision_unsatisfied",
                "K3",
                f"{'、'.join(unsatisfied)} 对受托方 {org} 的监督结论为不满意",
                f"{', '.join(unsatisfied)} is not satisfied with entrusted party {org}",
                seen="not satisfied",
                expected="satisfied",
                **rest,
            )
        elif not made:
            yield (warn if matter.today <= start + GRACE else block)(
                "supervision_missing",
                "K3",
                f"近 365 天内没有对受托方 {org} 的监督记录",
                f"no record of supervision over entrusted party {org} within 365 days",
                seen="none",
                expected=f"a record by one of {', '.join(entrusting)}; by {start + GRACE} at the latest",
                **rest,
            )
        elif len(made) < len(entrusting):
            missing = [o for o in entrusting if o not in made]
            yield warn(
                "supervision_incomplete",
                "K3",
                f"委托方 {'、'.join(missing)} 没有对受托方 {org} 的监督记录",
                f"{', '.join(missing)} entrust {org} too and have no record of supervision",
                seen=", ".join(made),
                expected=", ".join(entrusting),
                **rest,
            )


RULES: tuple[Rule, ...] = (check_standing, check_supervision)
