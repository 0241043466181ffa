"""Filings at the coordinator: kept as they were signed, and handed to those whom they concern. Nobody believes it about them."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session, col, or_, select

from hefu.components.registry import COMPONENTS, code_digest
from hefu.coordinator.context import CoordinatorContext
from hefu.domain.businessdays import business_date
from hefu.domain.contract import Contract, read_contract
from hefu.domain.errors import DocumentInvalid
from hefu.domain.filings import FILING_TYPE, Filings, read_filing
from hefu.domain.rules.matter import Matter
from hefu.engine import ENGINE_VERSION
from hefu.store.base import now
from hefu.store.coordinator_tables import ContractRow, FilingRow
from hefu.store.signed import decode_envelope, encode_envelope, read_signed
from hefu.wire.refusal import Refusal, not_found


def take(ctx: CoordinatorContext, envelope: str, sender: str) -> str:
    """Keep a filing of its sender; filing and evidence commit together. The same one again is no change.

    raises  Refusal: issuer_differs (403) · not_a_party (403) · not_found (404); DocumentInvalid
    """
    opened = decode_envelope(envelope)
    claimed = read_filing(opened.payload)
    filing = read_signed(opened, type(claimed), FILING_TYPE, ctx.directory.registered(sender).key)
    if filing.issuer != sender:
        raise Refusal(
            403,
            "issuer_differs",
            "备案文件的出具方不是提交方",
            "a filing is handed in by its issuer",
            party=sender,
            limit=filing.issuer,
            mend_zh="请由出具方提交",
            mend_en="let its issuer hand it in",
        )
    with ctx.session() as session:
        if session.get(FilingRow, filing.digest) is not None:
            return filing.digest
        newest: str | None = None
        if filing.contract_id is not None:
            newest = _newest_version(ctx, session, filing.contract_id, sender)
        elif filing.audience != "everybody":
            raise DocumentInvalid(filing.kind, "contract_id", "names no contract")
        session.add(
            FilingRow(
                digest=filing.digest,
                kind=filing.kind,
                issuer=sender,
                contract_id=filing.contract_id,
                envelope=opened.to_bytes(),
                at=now(),
            )
        )
        ctx.record(
            session,
            "filing_received",
            {"kind": filing.kind, "by": sender, "filing": filing.digest},
            contract=newest,
        )
        session.commit()
    return filing.digest


def listed(ctx: CoordinatorContext, party: str) -> list[dict[str, Any]]:
    """What this organisation may read: what concerns everybody, and what belongs to its contracts. Oldest first."""
    with ctx.session() as session:
        own = _contracts_of(ctx, session, party)
        rows = session.exec(
            select(FilingRow)
            .where(or_(col(FilingRow.contract_id).is_(None), col(FilingRow.contract_id).in_(own)))
            .order_by(col(FilingRow.at))
        ).all()
    return [
        {"digest": r.digest, "kind": r.kind, "issuer": r.issuer, "contract_id": r.contract_id} for r in rows
    ]


def one(ctx: CoordinatorContext, digest: str, party: str) -> str:
    """The envelope of a filing that this organisation may read. Raises Refusal 404."""
    with ctx.session() as session:
        row = session.get(FilingRow, digest)
        if row is not None and (
            row.contract_id is None or row.contract_id in _contracts_of(ctx, session, party)
        ):
            return encode_envelope(decode_envelope(row.envelope))
    raise not_found("备案文件", "filing")


def of_contract(session: Session, contract: Contract) -> Filings:
    """What counts under a contract: its own filings, and organisations' general ones."""
    stored = session.exec(
        select(FilingRow).where(
            or_(col(FilingRow.contract_id).is_(None), FilingRow.contract_id == contract.contract_id)
        )
    ).all()
    return Filings.of(read_filing(decode_envelope(row.envelope).payload) for row in stored)


def matter(
    ctx: CoordinatorContext, contract: Contract, *, rows: int | None = None, job: str | None = None
) -> Matter:
    """What the compliance rules judge, as the coordinator knows it."""
    with ctx.session() as session:
        filed = of_contract(session, contract)
    known = ctx.directory.all()
    return Matter(
        contract=contract,
        filings=filed,
        applications={p.org_id: known[p.org_id].application for p in contract.parties if p.org_id in known},
        today=business_date(now()),
        rows=rows,
        job=job,
        installed={
            s.component: code_digest(s.component)
            for s in contract.computation.steps
            if s.component in COMPONENTS
        },
        engine_version=ENGINE_VERSION,
    )


def _newest_version(ctx: CoordinatorContext, session: Session, contract_id: str, sender: str) -> str:
    """The digest of the contract's newest version; its parties alone, and auditors, file about it."""
    row = session.exec(
        select(ContractRow)
        .where(ContractRow.contract_id == contract_id)
        .order_by(col(ContractRow.version).desc())
    ).first()
    if row is None:
        raise not_found(f"合约 {contract_id}", f"contract {contract_id}")
    if contract_id not in _contracts_of(ctx, session, sender):
        raise Refusal(
            403,
            "not_a_party",
            "提交方不是合约参与方",
            "only a party of the contract files about it",
            party=sender,
        )
    return row.digest


def _contracts_of(ctx: CoordinatorContext, session: Session, party: str) -> set[str]:
    """The contracts that an organisation is a party of, in any version."""
    rows = session.exec(select(ContractRow.contract_id, ContractRow.document))
    return {
        contract_id
        for contract_id, document in rows
        if party in [p.org_id for p in read_contract(document).parties]
    }
