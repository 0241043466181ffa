"""Registers kept for the law, derived from the contracts: processing activities 处理活动记录, entrusted parties 受托方登记.

White paper A, 2.2 (standing of the parties), 3.2 (record of handling); PIPL art. 21 (supervision), 55 and 56.
"""

from __future__ import annotations

from sqlmodel import col, select

from hefu.domain.businessdays import business_date
from hefu.domain.contract import Contract, read_contract
from hefu.domain.filings.assessment import ImpactAssessment
from hefu.domain.filings.events import DeletionCertificate
from hefu.domain.rules.coverage import sensitive_of
from hefu.domain.rules.standing import entrusted_by
from hefu.node.compliance_models import EntrustedView, ProcessingRecord
from hefu.node.context import NodeContext
from hefu.node.filing_views import view_filing
from hefu.node.live_contracts import all_filings, newest_rows
from hefu.store.base import now
from hefu.store.node_tables import FilingRow


def processing_activities(ctx: NodeContext) -> list[ProcessingRecord]:
    """One line per contract and data set."""
    today = business_date(now())
    found = []
    with ctx.session() as session:
        filed = all_filings(session)
        for row in newest_rows(session):
            contract = read_contract(row.document)
            for data_set in contract.data_sets:
                assessment = filed.newest(
                    ImpactAssessment, today, issuer=data_set.owner, contract_id=contract.contract_id
                )
                found.append(
                    ProcessingRecord(
                        contract_id=contract.contract_id,
                        title=contract.title,
                        title_en=contract.title_en,
                        state=row.state,
                        owner=data_set.owner,
                        data_set_id=data_set.data_set_id,
                        purpose=contract.purpose,
                        categories=[f.name for f in data_set.fields],
                        sensitive=sorted(c.value for c in sensitive_of(data_set)),
                        basis=data_set.legal_basis.value,
                        basis_note=data_set.legal_basis_note,
                        compute_parties=list(contract.computation.compute_parties),
                        recipients=list(contract.recipients()),
                        retention_days=contract.retention_days,
                        minimum_retention_days=data_set.minimum_retention_days,
                        valid_until=contract.limits.valid_until,
                        assessment=None if assessment is None else assessment.digest,
                    )
                )
    return found


def entrusted_pairs(contract: Contract) -> list[tuple[str, str]]:
    """(handler, entrusted), as the standing of the parties follows from what they do."""
    return [(owner, org) for org, owners in entrusted_by(contract).items() for owner in owners]


def entrusted_parties(ctx: NodeContext) -> list[EntrustedView]:
    """One line per contract, handler and entrusted party, with the handler's supervision records, newest first."""
    found = []
    with ctx.session() as session:
        filed = all_filings(session)
        rows = session.exec(
            select(FilingRow).where(FilingRow.kind == "supervision").order_by(col(FilingRow.at).desc())
        ).all()
        records = [view_filing(row) for row in rows]
        for row in newest_rows(session):
            contract = read_contract(row.document)
            certified = {c.issuer for c in filed.all(DeletionCertificate, contract_id=contract.contract_id)}
            for handler, entrusted in entrusted_pairs(contract):
                found.append(
                    EntrustedView(
                        contract_id=contract.contract_id,
                        handler=handler,
                        entrusted=entrusted,
                        purpose=contract.purpose,
                        retention_days=contract.retention_days,
                        valid_until=contract.limits.valid_until,
                        records=[
                            r
                            for r in records
                            if r.issuer == handler
                            and r.contract_id == contract.contract_id
                            and r.content["entrusted"] == entrusted
                        ],
                        certified_deletion=entrusted in certified,
                    )
                )
    return found
