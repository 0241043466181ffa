"""Filings at a node: signed here, taken only under a key that the contract pins, never another's word for somebody."""

from __future__ import annotations

from typing import Any

import pytest
from hefu.domain.contract import Contract
from hefu.domain.errors import DocumentInvalid
from hefu.domain.filings import FILING_TYPE, Filings, read_filing
from hefu.domain.filings.admission import Supervision
from hefu.domain.filings.events import LegalHold
from hefu.node import filing_drafts, filings, preferences
from hefu.store.base import now
from hefu.store.node_tables import FilingRow, JournalRow
from hefu.store.signed import encode_envelope, sign_document
from hefu.wire.refusal import Refusal
from sqlmodel import select

HOLD = {"authority": "法院", "document_number": "〔2026〕1号"}


@pytest.fixture
def held(node: Any, world: Any) -> tuple[Any, Contract]:
    """The bank's node, holding a contract in force."""
    contract = world.contract()
    return node("bank", contract), contract


def _signed(world: Any, org: str, filing: Any, key: Any = None) -> str:
    return encode_envelope(sign_document(filing, FILING_TYPE, key or world.keys[org].identity))


def _hold(contract: Contract, issuer: str) -> LegalHold:
    return LegalHold(issuer=issuer, contract_id=contract.contract_id, issued_at=now(), **HOLD)


def test_own_filing_with_its_evidence(held: Any) -> None:
    ctx, contract = held
    content = {
        "contract_id": contract.contract_id,
        "entrusted": "operator",
        "checked_on": "2026-03-01",
        "findings": "无",
        "satisfied": True,
    }
    digest = filings.file(ctx, filings.build(ctx, "supervision", content), "li")
    with ctx.session() as session:
        row = session.get_one(FilingRow, digest)
        journal = session.exec(select(JournalRow).where(JournalRow.kind == "filing_made")).all()
        counted = filings.of_contract(ctx, session, contract)
    assert (row.issuer, row.handed_in, len(journal)) == ("bank", False, 1)
    assert isinstance(counted.filed[-1], Supervision)


def test_another_partys_filing(held: Any, world: Any) -> None:
    ctx, contract = held
    filing = _hold(contract, "institution")
    filings.take(ctx, _signed(world, "institution", filing))
    filings.take(ctx, _signed(world, "institution", filing))  # twice is no change
    with ctx.session() as session:
        assert [f.digest for f in filings.of_contract(ctx, session, contract).all(LegalHold)] == [
            filing.digest
        ]


@pytest.mark.parametrize("forger", ["stranger", "operator"])
def test_forged_filing(held: Any, world: Any, forger: str) -> None:
    """Signed by somebody else's key, in the institution's name."""
    ctx, contract = held
    key = world.stranger.identity if forger == "stranger" else world.keys[forger].identity
    with pytest.raises(DocumentInvalid, match="signature"):
        filings.take(ctx, _signed(world, "institution", _hold(contract, "institution"), key))


def test_stranger_files_about_a_contract(held: Any, world: Any) -> None:
    ctx, contract = held
    with pytest.raises(Refusal) as caught:
        filings.take(ctx, _signed(world, "bank", _hold(contract, "stranger-org"), world.stranger.identity))
    assert caught.value.body["code"] == "not_a_party"


def test_filing_under_a_key_that_is_not_pinned_does_not_count(held: Any, world: Any) -> None:
    """However it came into the table: the contract's pinned key decides again when rules read it."""
    ctx, contract = held
    filing = _hold(contract, "institution")
    envelope = sign_document(filing, FILING_TYPE, world.stranger.identity)
    with ctx.session() as session:
        session.add(
            FilingRow(
                digest=filing.digest,
                kind=filing.kind,
                issuer="institution",
                contract_id=contract.contract_id,
                key_id=envelope.signatures[0].key_id,
                envelope=envelope.to_bytes(),
                at=now(),
            )
        )
        session.commit()
        assert filings.of_contract(ctx, session, contract).all(LegalHold) == ()


def test_what_is_replaced_no_longer_counts(world: Any) -> None:
    contract = world.contract()
    first = _hold(contract, "bank")
    lifted = LegalHold(
        issuer="bank",
        contract_id=contract.contract_id,
        issued_at=now(),
        lifted=True,
        replaces=first.digest,
        **HOLD,
    )
    others = LegalHold(
        issuer="institution",
        contract_id=contract.contract_id,
        issued_at=now(),
        lifted=True,
        replaces=first.digest,
        **HOLD,
    )
    assert Filings.of([first, lifted]).filed == (lifted,)
    assert first in Filings.of([first, others]).filed, "nobody replaces another's filing"


def test_two_person_rule(held: Any) -> None:
    ctx, contract = held
    content = {**HOLD, "contract_id": contract.contract_id}
    draft = filing_drafts.prepare(ctx, "legal_hold", content, "wang")
    with pytest.raises(Refusal) as caught:
        filing_drafts.approve(ctx, draft.draft_id, "wang")
    assert caught.value.body["code"] == "same_person"
    digest = filing_drafts.approve(ctx, draft.draft_id, "li")
    with ctx.session() as session:
        assert session.get_one(FilingRow, digest).by == "li"
    with pytest.raises(Refusal) as again:
        filing_drafts.approve(ctx, draft.draft_id, "li")
    assert again.value.body["code"] == "decided_already"


def test_two_person_rule_switched_off(held: Any) -> None:
    """The guard is what refused: without it the same person may."""
    ctx, contract = held
    with ctx.session() as session:
        preferences.write(session, "two_person", {"enabled": False})
        session.commit()
    draft = filing_drafts.prepare(ctx, "legal_hold", {**HOLD, "contract_id": contract.contract_id}, "wang")
    assert filing_drafts.approve(ctx, draft.draft_id, "wang")


def test_the_form_cannot_say_who_signs(held: Any) -> None:
    ctx, contract = held
    content = {
        **HOLD,
        "contract_id": contract.contract_id,
        "issuer": "institution",
        "issued_at": "2020-01-01",
    }
    draft = filing_drafts.prepare(ctx, "legal_hold", content, "wang")
    digest = filing_drafts.approve(ctx, draft.draft_id, "li")
    with ctx.session() as session:
        filing = read_filing(_payload(session.get_one(FilingRow, digest)))
    assert filing.issuer == "bank"
    assert filing.issued_at.year >= 2026


@pytest.mark.parametrize(
    ("kind", "content", "named"),
    [
        ("legal_hold", {"authority": ""}, "authority"),
        ("legal_hold", {"authority": "法院"}, "document_number"),
        ("no_such_kind", {}, "kind_unknown"),
    ],
)
def test_bad_forms(held: Any, kind: str, content: dict[str, Any], named: str) -> None:
    with pytest.raises((Refusal, DocumentInvalid)) as caught:
        filing_drafts.prepare(held[0], kind, content, "wang")
    assert named in (str(caught.value) + str(getattr(caught.value, "body", "")))


def _payload(row: FilingRow) -> bytes:
    from hefu.store.signed import decode_envelope

    return decode_envelope(row.envelope).payload
