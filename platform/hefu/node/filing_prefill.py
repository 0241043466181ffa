"""What a node can fill into a form itself: from the contract, its data sets and its code; the person adds the rest.

What the contract decides (triggers and scope of an assessment, digests) is fixed: the form shows it and does not ask.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from hefu.components.registry import COMPONENTS, code_digest
from hefu.domain.businessdays import business_date
from hefu.domain.contract import Contract
from hefu.domain.filings import KINDS
from hefu.domain.filings.admission import AdmissionDossier
from hefu.domain.filings.sources import SourceCheck
from hefu.domain.rules.impact_assessment import triggers_of
from hefu.domain.scope import scope_of
from hefu.engine import ENGINE_VERSION
from hefu.node import effect_view, filings
from hefu.node.compliance_models import PrefilledForm
from hefu.node.context import NodeContext
from hefu.node.live_contracts import all_filings
from hefu.node.refusals import refuse
from hefu.node.registers import entrusted_pairs
from hefu.store.base import now

Fill = tuple[dict[str, Any], dict[str, list[str]], list[str]]
"""Values, choices per field, fixed fields."""

CHECKS: dict[str, tuple[SourceCheck, ...]] = {
    "direct": (SourceCheck.NOTICE_GIVEN, SourceCheck.CONSENT_FREE, SourceCheck.POLICY_COMPLETE),
    "indirect": (
        SourceCheck.ORIGIN_STATED,
        SourceCheck.CONSENT_RANGE_KNOWN,
        SourceCheck.LAWFULNESS_CONFIRMED,
        SourceCheck.EXCEEDING_RENEWED,
    ),
    "public_place": (
        SourceCheck.PUBLIC_SECURITY_NEED,
        SourceCheck.SIGNS_SHOWN,
        SourceCheck.SEPARATE_CONSENT,
    ),
}
_MINORS = (SourceCheck.GUARDIAN_CONSENT, SourceCheck.MINOR_RULES)
_GENERAL = ("admission_dossier", "third_party_assessment", "component_review")


def prefill(ctx: NodeContext, kind: str, contract_id: str | None, subject: str | None) -> PrefilledForm:
    """The form of a kind; `subject` picks a data set, a component, a stage.

    raises  Refusal: kind_unknown (422), contract_needed (422), not_found (404)
    """
    if kind not in KINDS:
        raise refuse(
            422,
            "kind_unknown",
            f"没有“{kind[:40]}”这类备案文件",
            f"there is no filing of kind {kind[:40]!r}",
            "请从列表中选择类型",
            "choose a kind from the list",
            party=ctx.org_id,
        )
    contract: Contract | None = None
    if kind not in _GENERAL:
        if contract_id is None:
            raise refuse(
                422,
                "contract_needed",
                "此类备案文件属于某一份合约",
                "a filing of this kind belongs to a contract",
                "请先选择合约",
                "choose the contract first",
                party=ctx.org_id,
            )
        with ctx.session() as session:
            contract = filings.newest_version(session, contract_id)
    today = business_date(now())
    content: dict[str, Any] = {"valid_until": _years(today, 1)} if kind in _TERM else {}
    choices: dict[str, list[str]] = {}
    fixed: list[str] = []
    if contract is not None:
        content["contract_id"] = contract.contract_id
        fill = _BY_CONTRACT.get(kind)
        values, more, fixed = fill(ctx, contract, subject, today) if fill else ({}, {}, [])
        content |= values
        choices |= more
    elif kind == "admission_dossier":
        content |= _dossier(ctx, today)
    elif kind == "component_review":
        name = subject if subject is not None and subject in COMPONENTS else next(iter(COMPONENTS))
        content |= {"component": name, "code_digest": code_digest(name), "engine_version": ENGINE_VERSION}
        choices, fixed = {"component": list(COMPONENTS)}, ["code_digest", "engine_version"]
    return PrefilledForm(
        kind=kind,
        contract_id=None if contract is None else contract.contract_id,
        content=content,
        choices=choices,
        fixed=fixed,
    )


_TERM = (
    "admission_dossier", "third_party_assessment", "impact_assessment", "source_declaration", "stage_judgement",
    "component_review", "supervision",
)  # fmt: skip


def _impact_assessment(ctx: NodeContext, contract: Contract, subject: str | None, today: date) -> Fill:
    with ctx.session() as session:
        triggers = triggers_of(contract, filings.of_contract(ctx, session, contract), today)
    return (
        {
            "triggers": sorted(triggers),
            "scope": scope_of(contract).model_dump(mode="json"),
            "keep_until": _years(today, 3),
        },
        {},
        ["triggers", "scope"] if triggers else ["scope"],
    )


def _source_declaration(ctx: NodeContext, contract: Contract, subject: str | None, today: date) -> Fill:
    own = [d for d in contract.data_sets if d.owner == ctx.org_id]
    if not own:
        raise refuse(
            422,
            "no_data_set",
            "本机构在该合约中没有提供数据集",
            "this organisation puts no data set into the contract",
            "数据来源声明由数据提供方填写",
            "the data's provider makes the declaration",
            party=ctx.org_id,
        )
    chosen = next((d for d in own if d.data_set_id == subject), own[0])
    checks = [*CHECKS[chosen.source_kind.value], *(_MINORS if chosen.minors else ())]
    return (
        {
            "data_set_id": chosen.data_set_id,
            "schema_digest": chosen.schema_digest,
            "source_kind": chosen.source_kind.value,
            "minors": chosen.minors,
            "checks": {check.value: False for check in checks},
        },
        {"data_set_id": [d.data_set_id for d in own]},
        ["schema_digest", "source_kind", "minors"],
    )


def _stage_judgement(ctx: NodeContext, contract: Contract, subject: str | None, today: date) -> Fill:
    stage = subject if subject in ("transmission", "computation", "result") else "transmission"
    return {"stage": stage}, {}, []


def _risk_notice(ctx: NodeContext, contract: Contract, subject: str | None, today: date) -> Fill:
    notice = hashlib.sha256(contract.risk_notice.encode()).hexdigest()
    return {"notice": notice}, {}, ["notice"]


def _supervision(ctx: NodeContext, contract: Contract, subject: str | None, today: date) -> Fill:
    mine = [entrusted for handler, entrusted in entrusted_pairs(contract) if handler == ctx.org_id]
    content: dict[str, Any] = {"checked_on": today.isoformat()}
    if mine:
        content["entrusted"] = subject if subject in mine else mine[0]
    return content, {"entrusted": mine}, []


def _milestone(ctx: NodeContext, contract: Contract, subject: str | None, today: date) -> Fill:
    mine = [m.kind.value for m in contract.milestones if ctx.org_id in m.confirmed_by]
    content = {"milestone": subject if subject in mine else mine[0]} if mine else {}
    return content, {"milestone": mine}, []


def _use_authorisation(ctx: NodeContext, contract: Contract, subject: str | None, today: date) -> Fill:
    content = {
        "contract": contract.digest,
        "business_date": _day_before(today),
        "max_rows": contract.limits.max_rows,
        "job": subject or "",
    }
    return content, {}, ["contract"]


def _incident(ctx: NodeContext, contract: Contract, subject: str | None, today: date) -> Fill:
    moment = now().isoformat()
    return {"occurred_at": moment, "discovered_at": moment}, {}, []


def _complaint_outcome(ctx: NodeContext, contract: Contract, subject: str | None, today: date) -> Fill:
    return {"complaint": subject or ""}, {}, ["complaint"] if subject else []


def _request_outcome(ctx: NodeContext, contract: Contract, subject: str | None, today: date) -> Fill:
    return {"request": subject or ""}, {}, ["request"] if subject else []


def _signatory(ctx: NodeContext, contract: Contract, subject: str | None, today: date) -> Fill:
    return {"contract": contract.digest}, {}, ["contract"]


def _effect(ctx: NodeContext, contract: Contract, subject: str | None, today: date) -> Fill:
    """The figures of the last thirty days; what the results were worth is the person's to say."""
    told = effect_view.ask(ctx, contract, *effect_view.period(None, None, today))
    content = effect_view.view(ctx, contract, told).content
    return content, {}, [name for name in content if name not in ("contract_id", "utility")]


_BY_CONTRACT: dict[str, Callable[[NodeContext, Contract, str | None, date], Fill]] = {
    "impact_assessment": _impact_assessment,
    "source_declaration": _source_declaration,
    "stage_judgement": _stage_judgement,
    "risk_notice_acknowledgement": _risk_notice,
    "supervision": _supervision,
    "milestone_confirmation": _milestone,
    "use_authorisation": _use_authorisation,
    "incident_report": _incident,
    "complaint_outcome": _complaint_outcome,
    "subject_request_outcome": _request_outcome,
    "signatory": _signatory,
    "effect_evaluation": _effect,
}


def _dossier(ctx: NodeContext, today: date) -> dict[str, Any]:
    """The dossier in force to start from, else what the application already says."""
    with ctx.session() as session:
        old = all_filings(session).newest(AdmissionDossier, today, issuer=ctx.org_id)
    if old is not None:
        kept = old.model_dump(mode="json", exclude={"kind", "issuer", "issued_at", "replaces", "contract_id"})
        return kept | {"valid_until": _years(today, 1)}
    return {"node_country": "CN"}


def _years(today: date, years: int) -> str:
    return (today + timedelta(days=366 * years)).isoformat()


def _day_before(today: date) -> str:
    return (today - timedelta(days=1)).isoformat()
