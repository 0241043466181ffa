"""Filings 备案文件 at a node: signed here, taken from others under their own keys, and what the rules may rely on.

Our own filing, its evidence and its place in the queue commit together; it goes to the coordinator, and events go to every
party of the contract directly as well, so that nobody can hold them back. Another's filing is kept only when it is
signed by a key that this node has reason to believe; under a contract it counts only under the key that the contract pins.
"""

from __future__ import annotations

import logging
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlmodel import Session, col, or_, select

from hefu.components.registry import COMPONENTS, code_digest
from hefu.domain.businessdays import business_date
from hefu.domain.contract import Contract, read_contract
from hefu.domain.errors import DocumentInvalid
from hefu.domain.filings import FILING_TYPE, KINDS, Filing, Filings, assessment, events, read_filing
from hefu.domain.rules.matter import Matter
from hefu.domain.rules.reevaluation import drifted
from hefu.engine import ENGINE_VERSION
from hefu.keys.public import key_id, load_public_ed25519
from hefu.node import alarms, peer_outbox, registry
from hefu.node.context import COORDINATOR, NodeContext
from hefu.node.directory import UnknownPeer
from hefu.node.refusals import not_found, refuse
from hefu.store.base import now
from hefu.store.node_tables import ContractRow, FilingRow
from hefu.store.signed import decode_envelope, encode_envelope, read_signed, sign_document
from hefu.wire.errors import PeerRefused
from hefu.wire.refusal import Refusal

log = logging.getLogger("hefu.node")

DIRECT = (
    events.IncidentReport,
    events.Complaint,
    events.ComplaintOutcome,
    events.SubjectRequest,
    events.SubjectRequestOutcome,
    events.LegalHold,
    events.DeletionCertificate,
    assessment.Reevaluation,
)
"""Filings that go to every party directly: nobody in between may hold them back."""


class FilingMessage(BaseModel):
    """A signed filing in base64, as it travels."""

    model_config = ConfigDict(extra="forbid")
    envelope: str = Field(max_length=1_500_000)


def build(ctx: NodeContext, kind: str, content: dict[str, Any]) -> Filing:
    """A filing of this organisation from what a form says. Raises Refusal (kind_unknown), DocumentInvalid naming the field."""
    model = KINDS.get(kind)
    if model is None:
        raise refuse(
            422,
            "kind_unknown",
            f"没有“{kind[:40]}”这类备案文件",
            f"there is no filing of kind {kind[:40]!r}",
            "请从列表中选择类型",
            "choose a kind from the list",
            party=ctx.org_id,
            limit=", ".join(KINDS),
        )
    try:
        return model.model_validate({**content, "kind": kind, "issuer": ctx.org_id, "issued_at": now()})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        clause = ".".join(str(part) for part in first["loc"])
        raise DocumentInvalid(kind, clause, first["msg"]) from error


def file(ctx: NodeContext, filing: Filing, user: str, session: Session | None = None) -> str:
    """Sign and keep a filing; in the caller's transaction where one is given. Answers its digest.

    raises  Refusal: not_a_party (403), not_found (404) where it names a contract that is not ours
    """
    if session is None:
        with ctx.session() as own:
            digest = file(ctx, filing, user, own)
            own.commit()
        ctx.wake_sync.set()
        return digest
    parties: tuple[str, ...] = ()
    contract: Contract | None = None
    if filing.contract_id is not None:
        contract = newest_version(session, filing.contract_id)
        parties = tuple(p.org_id for p in contract.parties)
        if ctx.org_id not in parties:
            raise refuse(
                403,
                "not_a_party",
                "本机构不是该合约的参与方",
                "this organisation is not a party of the contract",
                party=ctx.org_id,
            )
    envelope = sign_document(filing, FILING_TYPE, ctx.keys.identity)
    if session.get(FilingRow, filing.digest) is not None:
        return filing.digest
    session.add(_row(filing, envelope.to_bytes(), key_id(ctx.keys.identity.public_key()), by=user))
    ctx.record(
        session,
        "filing_made",
        {"kind": filing.kind, "filing": filing.digest, "by": user},
        contract=contract.digest if contract else None,
    )
    if isinstance(filing, DIRECT):
        message = FilingMessage(envelope=encode_envelope(envelope))
        for party in parties:
            if party != ctx.org_id:
                peer_outbox.put(session, party, "/peer/filings", message)
    session.flush()
    return filing.digest


def take(ctx: NodeContext, envelope: str) -> Filing:
    """Keep another organisation's filing, verified under its own key. Known ones are no change.

    raises  DocumentInvalid, Refusal: contract_unknown, not_a_party, issuer_unknown
    """
    opened = decode_envelope(envelope)
    claimed = read_filing(opened.payload)
    with ctx.session() as session:
        if session.get(FilingRow, claimed.digest) is not None:
            return claimed
        if claimed.contract_id is not None:
            pinned = newest_version(session, claimed.contract_id)
            if claimed.issuer not in [p.org_id for p in pinned.parties]:
                raise refuse(
                    403,
                    "not_a_party",
                    f"{claimed.issuer} 不是该合约的参与方",
                    f"{claimed.issuer} is not a party of the contract",
                    party=claimed.issuer,
                )
            key = load_public_ed25519(pinned.party(claimed.issuer).identity_key)
        else:
            key = _key_of(ctx, claimed.issuer)
        filing = read_signed(opened, type(claimed), FILING_TYPE, key)
        session.add(_row(filing, opened.to_bytes(), key_id(key), handed_in=True))
        if isinstance(filing, DIRECT):
            ctx.record(
                session,
                "filing_taken",
                {"kind": filing.kind, "filing": filing.digest, "from": filing.issuer},
            )
        if isinstance(filing, assessment.Reevaluation) and filing.drift:
            _warn_authority(ctx, session, filing)
        session.commit()
    return filing


def _warn_authority(ctx: NodeContext, session: Session, filing: assessment.Reevaluation) -> None:
    """Drift under a statutory mandate stops nothing by itself: the authority has to see it."""
    mandate = newest_version(session, filing.contract_id or "").mandate
    if mandate is not None and mandate.authority == ctx.org_id:
        alarms.raise_finding(ctx, session, filing.contract_id or "", drifted(filing.issuer, filing.drift))


def sync(ctx: NodeContext) -> bool:
    """Hand in what the coordinator has not got, and take what is new there. What does not verify is left out.

    False while something is left for a later round, on either side.
    """
    all_taken = True
    with ctx.session() as session:
        waiting = session.exec(select(FilingRow).where(col(FilingRow.handed_in).is_(False))).all()
        known = set(session.exec(select(FilingRow.digest)).all())
    for row in waiting:
        body = {"envelope": encode_envelope(decode_envelope(row.envelope))}
        try:
            ctx.client.post(COORDINATOR, "/api/filings", body)
        except PeerRefused as error:
            all_taken = False
            if error.status != 404:  # the contract is not there yet: the next round
                log.error("filing %s (%s) is refused: %s", row.digest[:12], row.kind, error)
            continue
        with ctx.session() as session:
            stored = session.get_one(FilingRow, row.digest)
            stored.handed_in = True
            session.add(stored)
            session.commit()
    for entry in ctx.client.get(COORDINATOR, "/api/filings"):
        if entry["digest"] in known or entry["issuer"] == ctx.org_id:
            continue
        try:
            take(ctx, ctx.client.get(COORDINATOR, f"/api/filings/{entry['digest']}")["envelope"])
        except (DocumentInvalid, Refusal, UnknownPeer) as error:
            all_taken = False
            log.warning("filing %s of %s is not taken: %s", entry["digest"][:12], entry["issuer"], error)
    return all_taken


def of_contract(ctx: NodeContext, session: Session, contract: Contract) -> Filings:
    """What counts under a contract: its own filings, and organisations' general ones, each under the pinned key of its issuer."""
    rows = session.exec(
        select(FilingRow).where(
            or_(col(FilingRow.contract_id).is_(None), FilingRow.contract_id == contract.contract_id)
        )
    ).all()
    pinned = {p.org_id: key_id(load_public_ed25519(p.identity_key)) for p in contract.parties}
    return Filings.of(
        read_filing(decode_envelope(row.envelope).payload)
        for row in rows
        if pinned.get(row.issuer, row.key_id) == row.key_id
    )


def matter(
    ctx: NodeContext,
    session: Session,
    contract: Contract,
    *,
    rows: int | None = None,
    job: str | None = None,
) -> Matter:
    """What the compliance rules judge, as this node knows it."""
    applications = {}
    for party in contract.parties:
        try:
            applications[party.org_id] = ctx.directory.application(party.org_id)
        except UnknownPeer:
            continue  # rules about it find it missing, and refuse
    return Matter(
        contract=contract,
        filings=of_contract(ctx, session, contract),
        applications=applications,
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


def newest_version(session: Session, contract_id: str) -> Contract:
    """The newest version of a contract that this node has. Raises Refusal 404."""
    row = session.exec(
        select(ContractRow)
        .where(ContractRow.contract_id == contract_id)
        .order_by(col(ContractRow.version).desc())
    ).first()
    if row is None:
        raise not_found("合约", "contract", contract_id)
    return read_contract(row.document)


def _key_of(ctx: NodeContext, issuer: str) -> Any:
    """The key of an organisation: as pinned here, else as the auditor reviewed and the operator admitted it."""
    try:
        return ctx.directory.identity_key(issuer)
    except UnknownPeer:
        operator = ctx.directory.application(ctx.kit.operator).keys.identity
        entry = registry.fetch_entry(ctx, org_id=issuer)
        application = registry.verify_admission(ctx, entry, operator)
        if application.org_id != issuer:
            raise DocumentInvalid("Application", "org_id", "is another organisation's") from None
        return load_public_ed25519(application.keys.identity)


def _row(filing: Filing, envelope: bytes, key: str, *, by: str = "", handed_in: bool = False) -> FilingRow:
    return FilingRow(
        digest=filing.digest,
        kind=filing.kind,
        issuer=filing.issuer,
        contract_id=filing.contract_id,
        key_id=key,
        envelope=envelope,
        by=by,
        handed_in=handed_in,
        at=now(),
    )
