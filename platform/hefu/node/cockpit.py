"""The compliance cockpit 合规驾驶舱 of a contract: gates, consent coverage, risk per stage, and whom everything waits for."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel import Session, col, select

from hefu.domain.contract import Contract, read_contract
from hefu.domain.dataset import LegalBasis
from hefu.domain.rules.coverage import consent_coverage
from hefu.domain.rules.gates import BEFORE_COMPUTE
from hefu.domain.rules.impact_assessment import triggers_of
from hefu.domain.rules.matter import Gate, Matter
from hefu.domain.verdict import Severity
from hefu.node import filings, two_persons
from hefu.node.compliance_models import Cockpit, CoverageCell, CoverageView, GateView, WaitsFor
from hefu.node.context import NodeContext
from hefu.node.filing_views import view_filing
from hefu.node.refusals import not_found
from hefu.node.risk_view import grade_stages
from hefu.store.node_tables import ContractRow, ContractSignatureRow, FilingDraftRow, FilingRow


def view_cockpit(ctx: NodeContext, digest: str) -> Cockpit:
    """One contract as this node judges it today. Raises Refusal (not_found)."""
    with ctx.session() as session:
        row = session.get(ContractRow, digest)
        if row is None:
            raise not_found("合约", "contract", digest)
        contract = read_contract(row.document)
        matter = filings.matter(ctx, session, contract)
        gates = [view_gate(gate, matter) for gate in BEFORE_COMPUTE]
        return Cockpit(
            contract_id=contract.contract_id,
            version=contract.version,
            digest=contract.digest,
            title=contract.title,
            title_en=contract.title_en,
            state=row.state,
            makes_model=contract.model_terms is not None or any(o.form == "model" for o in contract.outputs),
            triggers=sorted(triggers_of(contract, matter.filings, matter.today)),
            gates=gates,
            filings=[view_filing(r) for r in _filed(session, contract)],
            coverage=[_coverage(contract, matter, n) for n in range(len(contract.data_sets))],
            risk=grade_stages(matter),
            waits=[
                *_signatures(session, row, contract),
                *_drafts(ctx, session, contract),
                *_preparations(ctx, digest),
                *_gates(gates),
            ],
        )


def view_gate(gate: Gate, matter: Matter) -> GateView:
    """One gate with its light: red closed, amber something to do, green passed."""
    verdict = gate.verdict(matter)
    warned = any(f.severity is Severity.WARN for f in verdict.findings)
    return GateView(
        point=gate.point,
        name_zh=gate.name_zh,
        name_en=gate.name_en,
        light="red" if not verdict.passed else "amber" if warned else "green",
        verdict=verdict,
    )


def _filed(session: Session, contract: Contract) -> list[FilingRow]:
    """The contract's own filings and its parties' general ones, newest first."""
    parties = [p.org_id for p in contract.parties]
    rows = session.exec(
        select(FilingRow)
        .where(
            (col(FilingRow.contract_id) == contract.contract_id)
            | (col(FilingRow.contract_id).is_(None) & col(FilingRow.issuer).in_(parties))
        )
        .order_by(col(FilingRow.at).desc())
    )
    return list(rows)


def _coverage(contract: Contract, matter: Matter, n: int) -> CoverageView:
    data_set = contract.data_sets[n]
    return CoverageView(
        data_set_id=data_set.data_set_id,
        owner=data_set.owner,
        basis=data_set.legal_basis.value,
        consent=data_set.legal_basis is LegalBasis.CONSENT,
        cells=[
            CoverageCell(
                participant=cell.participant,
                operation=cell.operation.value,
                kinds=sorted(k.value for k in cell.kinds),
                missing=list(cell.missing),
            )
            for cell in consent_coverage(contract, data_set, matter.today).cells
        ],
    )


def _signatures(session: Session, row: ContractRow, contract: Contract) -> Iterator[WaitsFor]:
    if row.state != "signing":
        return
    signed = set(
        session.exec(
            select(ContractSignatureRow.org_id).where(ContractSignatureRow.digest == contract.digest)
        )
    )
    for party in contract.parties:
        if party.org_id not in signed:
            yield WaitsFor(
                party=party.org_id,
                what_zh="签署合约",
                what_en="sign the contract",
                due_on=contract.signing_deadline.date().isoformat(),
            )


def _drafts(ctx: NodeContext, session: Session, contract: Contract) -> Iterator[WaitsFor]:
    drafts = session.exec(
        select(FilingDraftRow).where(
            FilingDraftRow.state == "prepared", FilingDraftRow.contract_id == contract.contract_id
        )
    )
    for draft in drafts:
        yield WaitsFor(
            party=ctx.org_id,
            what_zh=f"复核备案文件（{draft.prepared_by} 经办）",
            what_en=f"approve a filing that {draft.prepared_by} prepared",
        )


def _preparations(ctx: NodeContext, digest: str) -> Iterator[WaitsFor]:
    for waiting in two_persons.listed(ctx, digest):
        yield WaitsFor(
            party=ctx.org_id,
            what_zh=f"复核对合约的决定（{waiting.prepared_by} 经办）",
            what_en=f"approve a decision that {waiting.prepared_by} prepared",
        )


def _gates(gates: list[GateView]) -> Iterator[WaitsFor]:
    """Whoever a closing finding names; each thing once."""
    said = set()
    for gate in gates:
        for finding in gate.verdict.findings:
            if finding.severity in (Severity.BLOCK, Severity.WAIT) and finding.party:
                key = (finding.party, finding.mend_zh or finding.message_zh, gate.point)
                if key not in said:
                    said.add(key)
                    yield WaitsFor(
                        party=finding.party,
                        what_zh=f"{gate.point} {gate.name_zh}：{finding.mend_zh or finding.message_zh}",
                        what_en=f"{gate.point} {gate.name_en}: {finding.mend_en or finding.message_en}",
                    )
