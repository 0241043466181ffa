"""The contracts and filings that the compliance pages are derived from: newest versions, verified when they were taken."""

from __future__ import annotations

from sqlmodel import Session, col, select

from hefu.domain.contract import Contract, ContractState, read_contract
from hefu.domain.filings import Filings, read_filing
from hefu.keys.public import key_id, load_public_ed25519
from hefu.store.node_tables import ContractRow, FilingRow
from hefu.store.signed import decode_envelope

OVER = (ContractState.REFUSED, ContractState.SUPERSEDED)


def newest_rows(session: Session) -> list[ContractRow]:
    """The newest version of every contract that was not refused or replaced, newest first."""
    rows = session.exec(select(ContractRow).order_by(col(ContractRow.version).desc())).all()
    newest: dict[str, ContractRow] = {}
    for row in rows:
        if row.state not in OVER:
            newest.setdefault(row.contract_id, row)
    return sorted(newest.values(), key=lambda row: row.received_at, reverse=True)


def live_contracts(session: Session) -> list[Contract]:
    """As `newest_rows`, read."""
    return [read_contract(row.document) for row in newest_rows(session)]


def all_filings(session: Session) -> Filings:
    """Every filing of this node that still counts; under a contract only those signed by the key that it pins."""
    pinned = {
        (contract.contract_id, party.org_id): key_id(load_public_ed25519(party.identity_key))
        for contract in live_contracts(session)
        for party in contract.parties
    }
    return Filings.of(
        read_filing(decode_envelope(row.envelope).payload)
        for row in session.exec(select(FilingRow))
        if row.contract_id is None or pinned.get((row.contract_id, row.issuer), row.key_id) == row.key_id
    )
