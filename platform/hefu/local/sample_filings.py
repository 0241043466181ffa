"""The filings that the demo's organisations make, each in its own name: what a contract cannot run without.

A demo is the real system with sample data: the gates are the real ones, and these are the forms filled in.
"""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from typing import Any, NamedTuple

from hefu.domain.contract import Contract
from hefu.domain.filings import Filings
from hefu.domain.identity import Role
from hefu.domain.rules.impact_assessment import triggers_of
from hefu.domain.rules.standing import entrusted_by
from hefu.domain.scope import scope_of

_COMPUTES = (Role.COMPUTE_PARTY, Role.SCHEDULER, Role.PLATFORM_PROVIDER)


class SampleFiling(NamedTuple):
    """A form: who fills it in, of which kind, with what."""

    issuer: str
    kind: str
    content: dict[str, Any]


def general_filings(parties: dict[str, tuple[Role, ...]], today: date) -> list[SampleFiling]:
    """What organisations file about themselves and each other, before any contract.

    parties  organisation → its roles; one of them is an auditor
    """
    year = (today + timedelta(days=365)).isoformat()
    found = [
        SampleFiling(
            org_id,
            "admission_dossier",
            {
                "mlps_level": 3,
                "mlps_certificate": f"示备〔2026〕{number:04d}",
                "mlps_expires_on": year,
                "pi_officer": "个人信息保护负责人",
                "pi_officer_contact": f"privacy@{org_id}.example",
                "last_training_on": (today - timedelta(days=60)).isoformat(),
                "emergency_plan": _digest(f"{org_id} 应急预案"),
                "last_drill_on": (today - timedelta(days=90)).isoformat(),
                "management_rules": _digest(f"{org_id} 管理制度"),
                "qualifications": ({"name": "示例资质", "number": f"{number:04d}", "expires_on": year},),
                "node_country": "CN",
                "node_region": "上海",
                "storage_encrypted": True,
                "backup": True,
                "valid_until": year,
            },
        )
        for number, org_id in enumerate(sorted(parties), 1)
    ]
    auditor = next(org_id for org_id, roles in parties.items() if Role.AUDITOR in roles)
    found += [
        SampleFiling(
            auditor,
            "third_party_assessment",
            {
                "subject": org_id,
                "scope": "admission",
                "passed": True,
                "report": _digest(f"{org_id} 准入评估报告"),
                "summary": "材料齐全，核验通过 / complete and verified",
                "valid_until": year,
            },
        )
        for org_id, roles in parties.items()
        if set(roles) & set(_COMPUTES)
    ]
    return found


def contract_filings(contract: Contract, today: date) -> list[SampleFiling]:
    """What the parties of a contract file about it."""
    year = (today + timedelta(days=365)).isoformat()
    three_years = (today + timedelta(days=3 * 366)).isoformat()
    about: dict[str, Any] = {"contract_id": contract.contract_id}
    auditor = next((p.org_id for p in contract.parties if Role.AUDITOR in p.roles), None)
    reviewers = [auditor, *(p.org_id for p in contract.parties if p.org_id != auditor)]
    found = [
        SampleFiling(
            reviewer,
            "component_review",
            {
                "component": step.component,
                "code_digest": step.code_digest,
                "engine_version": step.engine_version,
                "passed": True,
                "report": _digest(f"{reviewer} 代码审查 {step.code_digest}"),
                "reasons": "协议实现、常数时间比较与清零已审查 / protocol, constant-time comparison and clearing reviewed",
                "valid_until": year,
            },
        )
        for step in contract.computation.steps
        for reviewer in [r for r in reviewers if r is not None][:2]
    ]
    found += [
        SampleFiling(
            party.org_id, "risk_notice_acknowledgement", {**about, "notice": _digest(contract.risk_notice)}
        )
        for party in contract.parties
    ]
    found += [
        SampleFiling(
            data_set.owner,
            "source_declaration",
            {
                **about,
                "data_set_id": data_set.data_set_id,
                "schema_digest": data_set.schema_digest,
                "source_kind": data_set.source_kind.value,
                "origin": "本机构办理业务时直接形成 / made in this organisation's own business",
                "checks": dict.fromkeys(("notice_given", "consent_free", "policy_complete"), True),
                "valid_until": year,
            },
        )
        for data_set in contract.data_sets
    ]
    for owner in contract.owners():
        form = _assessment(contract, about, today, year, three_years)
        found.append(SampleFiling(owner, "impact_assessment", form))
        found += [
            SampleFiling(owner, "stage_judgement", _judgement(stage, about, year))
            for stage in ("transmission", "computation", "result")
        ]
        found += [
            SampleFiling(
                owner,
                "supervision",
                {
                    **about,
                    "entrusted": entrusted,
                    "checked_on": today.isoformat(),
                    "findings": "已核查访问控制、密钥保管与删除记录 / access control, key custody and deletion checked",
                    "satisfied": True,
                    "valid_until": year,
                },
            )
            for entrusted, entrusting in entrusted_by(contract).items()
            if owner in entrusting
        ]
    return found


def _assessment(
    contract: Contract, about: dict[str, Any], today: date, year: str, keep: str
) -> dict[str, Any]:
    return {
        **about,
        "triggers": sorted(trigger.value for trigger in triggers_of(contract, Filings(), today)),
        "necessity": "依法向监管方报送资金流水核对结果，字段限于配对与比较所需 / reported by statute; only fields that pairing and comparing need",
        "impact": "标记在计算方处为假名，金额以秘密分享参与；主要风险为计算方合谋 / tokens are pseudonyms at compute nodes, amounts are shared; the main risk is collusion",
        "measures": "三方不合谋核查、双向认证信道、结果封装至监管方、密钥销毁 / non-collusion checked, authenticated channels, results sealed to the supervisor, keys destroyed",
        "residual_risk": "low",
        "scope": scope_of(contract).model_dump(mode="json"),
        "keep_until": keep,
        "valid_until": year,
    }


def _judgement(stage: str, about: dict[str, Any], year: str) -> dict[str, Any]:
    return {
        **about,
        "stage": stage,
        "judgement": "personal" if stage == "result" else "de_identified",
        "key_custody": "令牌密钥由接收方一次一换，计算方不持有 / token keys are fresh at the recipient; compute nodes hold none",
        "collusion_assumption": "任意两计算方不合谋，无共同控制 / no two compute nodes collude or are under common control",
        "conditions": "仅限本合约目的，按期删除 / for this contract's purpose only, deleted when due",
        "valid_until": year,
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def consented(document: dict[str, Any], today: date) -> dict[str, Any]:
    """The contract document (JSON) resting on consent instead of a statute: explicit and separate, from every data subject,
    for every party and operation of this purpose."""
    parties = [party["org_id"] for party in document["parties"]]
    data_sets = [
        {
            **data_set,
            "legal_basis": "consent",
            "legal_basis_note": "",
            "consents": [
                {
                    "collector": data_set["owner"],
                    "notice_digest": _digest(f"{data_set['data_set_id']} 告知书"),
                    "notice_version": "2026-1",
                    "kinds": ["explicit", "separate"],
                    "participants": parties,
                    "operations": ["collect", "store", "use", "process", "transmit", "provide", "delete"],
                    "purposes": [document["purpose_code"]],
                    "sensitive": sorted(
                        {f["sensitive"] for f in data_set["fields"] if f["sensitive"] != "none"}
                    ),
                    "obtained_on": (today - timedelta(days=30)).isoformat(),
                    "expires_on": (today + timedelta(days=365)).isoformat(),
                }
            ],
        }
        for data_set in document["data_sets"]
    ]
    return {**document, "data_sets": data_sets}
