"""The calendar of what falls due 到期日历: assessments, qualifications, certificates, declarations, consents, judgements, deletions.

Derived at every request from this node's own copies of contracts and filings; nothing is stored, so nothing can be stale.
White paper A, 3.1 (consent's term), 3.2 (assessment, retention), 3.3 (qualifications, deadlines), 3.4 (declarations).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta

from sqlmodel import Session, select

from hefu.domain.businessdays import business_date
from hefu.domain.contract import Contract
from hefu.domain.filings import Filing, Filings
from hefu.domain.filings.admission import AdmissionDossier
from hefu.domain.filings.reviews import MilestoneConfirmation
from hefu.domain.rules.retention import due
from hefu.keys.certificates import load_certificate
from hefu.keys.errors import CertificateInvalid
from hefu.node import sealed_cases
from hefu.node.compliance_models import DueDate
from hefu.node.context import NodeContext
from hefu.node.directory import UnknownPeer
from hefu.node.live_contracts import all_filings, live_contracts
from hefu.store.base import now
from hefu.store.node_tables import PeerRow

SOON_DAYS = 30

_TITLES = {
    "impact_assessment": ("个人信息保护影响评估", "impact assessment"),
    "source_declaration": ("数据来源声明", "source declaration"),
    "stage_judgement": ("阶段判断", "judgement of a stage"),
    "admission_dossier": ("准入材料", "admission dossier"),
}
_KINDS = {"impact_assessment", "source_declaration", "stage_judgement"}


def list_due_dates(ctx: NodeContext) -> list[DueDate]:
    """Everything that falls due, the earliest first."""
    today = business_date(now())
    with ctx.session() as session:
        filed = all_filings(session)
        contracts = live_contracts(session)
        found = [
            *_filings(filed, today),
            *_organisations(ctx, session, contracts, filed, today),
            *(item for contract in contracts for item in _contract(contract, filed, today)),
        ]
    found += [
        _item(
            case.due_on,
            "subject_request" if case.filing.kind == "subject_request" else "complaint",
            case.filing.content["responsible"],
            case.filing.contract_id,
            "答复个人信息主体请求" if case.filing.kind == "subject_request" else "处理投诉",
            "answer a data subject" if case.filing.kind == "subject_request" else "decide a complaint",
            today,
        )
        for case in sealed_cases.list_cases(ctx)
        if case.state != "done"
    ]
    return sorted(found, key=lambda d: (d.on, d.kind, d.party, d.title_en))


def _filings(filed: Filings, today: date) -> Iterator[DueDate]:
    newest: dict[tuple[object, ...], Filing] = {}
    for filing in filed:
        about = [getattr(filing, name, None) for name in ("data_set_id", "stage", "entrusted", "component", "subject", "scope")]  # fmt: skip
        newest[(filing.kind, filing.issuer, filing.contract_id, *map(str, about))] = filing
    for filing in newest.values():
        if filing.valid_until is None:
            continue
        zh, en = _TITLES.get(filing.kind, ("备案文件", filing.kind.replace("_", " ")))
        named = getattr(filing, "data_set_id", None) or getattr(filing, "stage", None)
        kind = filing.kind if filing.kind in _KINDS else "filing"
        tail = f" {named}" if named else ""
        yield _item(
            filing.valid_until,
            kind,
            filing.issuer,
            filing.contract_id,
            f"{zh}{tail}到期",
            f"{en}{tail} ends",
            today,
        )


def _organisations(
    ctx: NodeContext, session: Session, contracts: list[Contract], filed: Filings, today: date
) -> Iterator[DueDate]:
    parties = dict.fromkeys([ctx.org_id, *(p.org_id for contract in contracts for p in contract.parties)])
    for org_id in parties:
        qualifications = {}
        with suppress(UnknownPeer):  # an organisation that this node has no reason to know yet
            qualifications = {q.number: q for q in ctx.directory.application(org_id).qualifications}
        dossier = filed.newest(AdmissionDossier, today, issuer=org_id)
        if dossier is not None:
            qualifications |= {q.number: q for q in dossier.qualifications}
            yield _item(
                dossier.mlps_expires_on,
                "qualification",
                org_id,
                None,
                f"等级保护证书 {dossier.mlps_certificate} 到期",
                f"MLPS certificate {dossier.mlps_certificate} ends",
                today,
            )
        for q in qualifications.values():
            yield _item(
                q.expires_on, "qualification", org_id, None, f"{q.name} 到期", f"{q.name} ends", today
            )
    for row in session.exec(select(PeerRow)):
        if row.certificate and row.org_id in parties:
            try:
                until = load_certificate(row.certificate).not_valid_after_utc.date()
            except (CertificateInvalid, ValueError):
                continue
            yield _item(
                until.isoformat(),
                "certificate",
                row.org_id,
                None,
                "节点通信证书到期",
                "node certificate ends",
                today,
            )


def _contract(contract: Contract, filed: Filings, today: date) -> Iterator[DueDate]:
    until, named = contract.limits.valid_until.date(), contract.contract_id

    def item(on: date | str, kind: str, party: str, zh: str, en: str) -> DueDate:
        day = on if isinstance(on, str) else on.isoformat()
        return _item(day, kind, party, named, zh, en, today)

    yield item(until, "contract", contract.platform.operator, "合约到期", "contract ends")
    for data_set in contract.data_sets:
        for consent in data_set.consents:
            if consent.expires_on is not None:
                yield item(
                    consent.expires_on,
                    "consent",
                    data_set.owner,
                    f"{data_set.data_set_id} 的授权到期（告知书 {consent.notice_version}）",
                    f"consent for {data_set.data_set_id} ends (notice {consent.notice_version})",
                )
    passed = {
        (m.milestone, m.issuer) for m in filed.all(MilestoneConfirmation, contract_id=named) if m.passed
    }
    for milestone in contract.milestones:
        for org_id in milestone.confirmed_by:
            if (milestone.kind, org_id) not in passed:
                yield item(
                    milestone.due_on,
                    "milestone",
                    org_id,
                    f"确认里程碑：{milestone.evidence}",
                    f"confirm a milestone: {milestone.evidence}",
                )
    planned = due(contract, filed, today, made_on=until)
    if planned.on is not None:
        for org_id in contract.computation.compute_parties:
            yield item(
                planned.on, "deletion", org_id, "删除并出具删除证明", "delete, and certify the deletion"
            )


def _item(on: str, kind: str, party: str, contract_id: str | None, zh: str, en: str, today: date) -> DueDate:
    day = date.fromisoformat(on)
    state = "overdue" if day < today else "soon" if day <= today + timedelta(days=SOON_DAYS) else "later"
    return DueDate.model_validate(
        {
            "on": on,
            "kind": kind,
            "party": party,
            "contract_id": contract_id,
            "title_zh": zh,
            "title_en": en,
            "state": state,
        }
    )
