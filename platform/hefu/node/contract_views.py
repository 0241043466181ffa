"""A contract as a person sees it, from this node's own copy and the signatures that it has verified itself."""

from __future__ import annotations

from sqlalchemy import func
from sqlmodel import Session, col, select

from hefu.domain.contract import Contract, ContractState, read_contract
from hefu.domain.identity import Application
from hefu.domain.positions import check_positions
from hefu.domain.verdict import judge
from hefu.node import two_persons
from hefu.node.console_models import ContractSummary, ContractView, SignatureView
from hefu.node.context import NodeContext
from hefu.node.directory import UnknownPeer
from hefu.node.refusals import not_found
from hefu.store.base import now
from hefu.store.node_tables import ContractNoticeRow, ContractRow, ContractSignatureRow, UseRow


def view(ctx: NodeContext, digest: str, *, told: ContractSummary | None, approver: bool) -> ContractView:
    """One contract. `told` is the coordinator's summary: taken for the number of uses only. Raises Refusal (not_found)."""
    with ctx.session() as session:
        row = session.get(ContractRow, digest)
        if row is None:
            raise not_found("合约", "contract", digest)
        contract = read_contract(row.document)
        signatures = _signatures(session, digest, contract)
        summary = _summary(session, row, contract, signatures)
    if told is not None:
        uses = max(told.uses, summary.uses)
        summary = summary.model_copy(update={"uses": uses, "proposed_at": told.proposed_at})
    return _view(ctx, contract, summary, signatures, approver)


def view_draft(ctx: NodeContext, contract: Contract, *, approver: bool) -> ContractView:
    """A contract that nobody has proposed yet."""
    signatures = [
        SignatureView(org_id=party.org_id, legal_name=party.legal_name, state="waiting")
        for party in contract.parties
    ]
    moment = now()
    summary = ContractSummary(
        digest=contract.digest,
        contract_id=contract.contract_id,
        version=contract.version,
        title=contract.title,
        title_en=contract.title_en,
        template=contract.template,
        state=ContractState.SIGNING,
        proposed_by=ctx.org_id,
        proposed_at=moment,
        signing_deadline=contract.signing_deadline,
        waits_for=[party.org_id for party in contract.parties],
        uses=0,
        max_uses=contract.limits.max_uses,
        valid_until=contract.limits.valid_until,
    )
    return _view(ctx, contract, summary, signatures, approver)


def local_summaries(ctx: NodeContext) -> list[ContractSummary]:
    """This node's own copies, newest first."""
    with ctx.session() as session:
        rows = session.exec(select(ContractRow).order_by(col(ContractRow.received_at).desc())).all()
        found = []
        for row in rows:
            contract = read_contract(row.document)
            found.append(_summary(session, row, contract, _signatures(session, row.digest, contract)))
        return found


def signed_here(ctx: NodeContext) -> set[str]:
    """Digests of the contracts that this organisation has signed."""
    with ctx.session() as session:
        return set(
            session.exec(
                select(ContractSignatureRow.digest).where(ContractSignatureRow.org_id == ctx.org_id)
            ).all()
        )


def title_of(ctx: NodeContext, contract_id: str) -> str:
    """The title of a contract's newest version here, or "" where it is not known."""
    with ctx.session() as session:
        row = session.exec(
            select(ContractRow)
            .where(ContractRow.contract_id == contract_id)
            .order_by(col(ContractRow.version).desc())
        ).first()
    return "" if row is None else read_contract(row.document).title


def _view(
    ctx: NodeContext,
    contract: Contract,
    summary: ContractSummary,
    signatures: list[SignatureView],
    approver: bool,
) -> ContractView:
    prepared = two_persons.listed(ctx, summary.digest)
    found = ContractView(
        summary=summary,
        document=contract,
        canonical=contract.to_bytes().decode(),
        signatures=signatures,
        findings=[judge("contract_review", check_positions(contract, _applications(ctx, contract)))],
        can_sign=False,
        prepared=prepared,
    )
    return found.model_copy(update={"can_sign": approver and signable(found, ctx.org_id)})


def signable(view: ContractView, org_id: str) -> bool:
    """Does the contract still wait for this organisation's signature?"""
    own = [signature for signature in view.signatures if signature.org_id == org_id]
    return (
        bool(own)
        and own[0].state == "waiting"
        and view.summary.state is ContractState.SIGNING
        and view.document.signing_deadline > now()
    )


def _applications(ctx: NodeContext, contract: Contract) -> dict[str, Application]:
    found = {}
    for party in contract.parties:
        try:
            found[party.org_id] = ctx.directory.application(party.org_id)
        except UnknownPeer:
            continue
    return found


def _signatures(session: Session, digest: str, contract: Contract) -> list[SignatureView]:
    signed = {
        row.org_id: row
        for row in session.exec(select(ContractSignatureRow).where(ContractSignatureRow.digest == digest))
    }
    refused = {
        row.org_id: row
        for row in session.exec(
            select(ContractNoticeRow).where(
                ContractNoticeRow.digest == digest, ContractNoticeRow.kind == "refuse"
            )
        )
    }
    views = []
    for party in contract.parties:
        view = SignatureView(org_id=party.org_id, legal_name=party.legal_name, state="waiting")
        if party.org_id in refused:
            row = refused[party.org_id]
            view = view.model_copy(update={"state": "refused", "at": row.at, "reason": row.reason})
        elif party.org_id in signed:
            view = view.model_copy(update={"state": "signed", "at": signed[party.org_id].at})
        views.append(view)
    return views


def _summary(
    session: Session, row: ContractRow, contract: Contract, signatures: list[SignatureView]
) -> ContractSummary:
    uses = session.exec(
        select(func.count()).select_from(UseRow).where(UseRow.contract_id == contract.contract_id)
    ).one()
    return ContractSummary(
        digest=row.digest,
        contract_id=contract.contract_id,
        version=contract.version,
        title=contract.title,
        title_en=contract.title_en,
        template=contract.template,
        state=ContractState(row.state),
        proposed_by=row.proposed_by,
        proposed_at=row.received_at,
        signing_deadline=contract.signing_deadline,
        waits_for=[s.org_id for s in signatures if s.state == "waiting"] if row.state == "signing" else [],
        uses=uses,
        max_uses=contract.limits.max_uses,
        valid_until=contract.limits.valid_until,
    )
