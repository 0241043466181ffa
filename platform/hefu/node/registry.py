"""This node and the registry: applying, reviewing (auditor), admitting (operator), standing, certificates.

What the registry says is believed only under signatures: an application by its applicant, a review by the auditor of
the start-up kit, a certificate where its key is the pinned one.
"""

from __future__ import annotations

import base64
import logging
import ssl
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import select

from hefu.domain.errors import DocumentInvalid
from hefu.domain.identity import (
    ADMISSION_TYPE,
    APPLICATION_TYPE,
    REVIEW_TYPE,
    STANDING_TYPE,
    Admission,
    Application,
    PublicKeys,
    Review,
    Role,
    Standing,
    StandingNotice,
    may_issue,
)
from hefu.keys.certificates import load_certificate, self_signed, to_pem
from hefu.keys.errors import KeysError
from hefu.keys.keystore import NodeKeys
from hefu.keys.public import load_public_ed25519, public_b64, spki_digest
from hefu.keys.tls import reload, verify_pin
from hefu.node.context import COORDINATOR, NodeContext
from hefu.node.directory import UnknownPeer
from hefu.node.settings import NodePaths, NodeSettings, write_private
from hefu.store.base import now
from hefu.store.node_tables import PeerRow
from hefu.store.signed import encode_envelope, read_application, read_signed, read_unverified, sign_document
from hefu.wire.refusal import Refusal, not_found

log = logging.getLogger("hefu.node")


@dataclass(frozen=True)
class Profile:
    """What an organisation says of itself in its application."""

    legal_name: str
    legal_name_en: str
    uscc: str
    contact: str
    roles: tuple[Role, ...]
    qualifications: tuple[dict[str, str], ...] = ()
    controlling_shareholder: str | None = None
    affiliates: tuple[str, ...] = ()
    self_assessment: str = ""


def write_application(
    paths: NodePaths, settings: NodeSettings, keys: NodeKeys, profile: Profile, *, at: datetime
) -> Application:
    """Make and sign this organisation's application, and a self-signed certificate for the time until its admission."""
    application = Application.model_validate(
        {
            "org_id": settings.org_id,
            "legal_name": profile.legal_name,
            "legal_name_en": profile.legal_name_en,
            "uscc": profile.uscc,
            "contact": profile.contact,
            "roles": profile.roles,
            "qualifications": profile.qualifications,
            "controlling_shareholder": profile.controlling_shareholder,
            "affiliates": profile.affiliates,
            "self_assessment": profile.self_assessment,
            "keys": PublicKeys(
                identity=public_b64(keys.identity.public_key()),
                sealing=public_b64(keys.sealing.public_key()),
                tls_spki=spki_digest(keys.tls.public_key()),
            ),
            "url": f"https://{settings.host}:{settings.port}",
            "channel_host": settings.channel_host,
            "channel_port": settings.channel_port,
            "applied_at": at,
        }
    )
    envelope = sign_document(application, APPLICATION_TYPE, keys.identity)
    write_private(paths.application, envelope.to_bytes())
    own = self_signed(keys.tls, settings.org_id, sans=(settings.host, settings.channel_host))
    write_private(paths.certificate, to_pem(own).encode())
    return application


def own_application(ctx: NodeContext) -> Application:
    """The application in this node's folder."""
    return read_application(ctx.paths.application.read_bytes())


def apply(ctx: NodeContext) -> None:
    """Hand in this node's application; the evidence of it commits first, so that it is never lost."""
    application = own_application(ctx)
    with ctx.session() as session:
        if session.get(PeerRow, ctx.org_id) is None:
            session.add(
                PeerRow(
                    org_id=ctx.org_id,
                    application_digest=application.digest,
                    application=ctx.paths.application.read_bytes(),
                    learnt_from="own",
                )
            )
            ctx.record(session, "application_submitted", {"application": application.digest})
            session.commit()
    ctx.directory.load()
    certificate = ctx.paths.certificate.read_text()
    body = {
        "envelope": base64.b64encode(ctx.paths.application.read_bytes()).decode(),
        "certificate": certificate,
    }
    ctx.client.post(COORDINATOR, "/api/applications", body)


def sync(ctx: NodeContext, context: ssl.SSLContext | None) -> bool:
    """Take certificates and standing notices from the registry. True once this node has its own certificate.

    context  the running server's TLS context, given the new certificate when it is issued
    """
    admitted = False
    for entry in ctx.client.get(COORDINATOR, "/api/participants"):
        org_id, pem = str(entry["org_id"]), entry["certificate"]
        if entry["state"] == "admitted" and pem:
            try:
                new = ctx.directory.accept_certificate(org_id, pem)
            except KeysError as error:
                log.error("registry: the certificate of %s is refused: %s", org_id, error)
                continue
            if org_id == ctx.org_id:
                admitted = True
                if new or ctx.paths.certificate.read_text() != pem:
                    verify_pin(load_certificate(pem), spki_digest(ctx.keys.tls.public_key()), ctx.org_id)
                    write_private(ctx.paths.certificate, pem.encode())
                    if context is not None:
                        reload(context, pem, ctx.keys.tls)
        if entry["standing_notice"]:
            try:
                take_standing(ctx, entry["standing_notice"])
            except (Refusal, DocumentInvalid, UnknownPeer):
                continue  # known already, or about or from an organisation that we do not know
    return admitted


def fetch_entry(ctx: NodeContext, *, digest: str | None = None, org_id: str | None = None) -> dict[str, Any]:
    """One entry of the registry. Raises Refusal 404."""
    for entry in ctx.client.get(COORDINATOR, "/api/participants"):
        if entry["digest"] == digest or (entry["org_id"] == org_id and entry["state"] != "refused"):
            return dict(entry)
    raise not_found("准入申请", "application")


def verify_admission(ctx: NodeContext, entry: dict[str, Any], operator_key_b64: str) -> Application:
    """An application that the auditor of the kit approved (or the kit pins) and the operator admitted.

    raises  DocumentInvalid, Refusal
    """
    application = read_application(entry["application"])
    pinned = ctx.kit.applications.get(application.org_id)
    in_kit = pinned is not None and read_application(pinned).digest == application.digest
    if not in_kit:
        if not entry["review"]:
            raise Refusal(
                422,
                "not_reviewed",
                f"{application.org_id} 未经审核",
                f"{application.org_id} was not reviewed",
                party=application.org_id,
            )
        reviews = _reviews_of_the_kits_auditors(ctx, entry["review"])
        if not any(r.approved and r.application == application.digest for r in reviews):
            raise Refusal(
                422,
                "not_reviewed",
                f"{application.org_id} 未经审核通过",
                f"{application.org_id} was not approved",
                party=application.org_id,
            )
    if not entry["admission"]:
        raise Refusal(
            422,
            "not_admitted",
            f"{application.org_id} 未准入",
            f"{application.org_id} is not admitted",
            party=application.org_id,
        )
    admission = read_signed(
        entry["admission"], Admission, ADMISSION_TYPE, load_public_ed25519(operator_key_b64)
    )
    if admission.application != application.digest:
        raise Refusal(
            422,
            "not_admitted",
            f"{application.org_id} 的准入文件不符",
            f"the admission of {application.org_id} is of another application",
            party=application.org_id,
        )
    return application


def _reviews_of_the_kits_auditors(ctx: NodeContext, encoded: str) -> list[Review]:
    """The review, if one of the kit's auditors signed it. Raises DocumentInvalid when none did."""
    failure = DocumentInvalid("Review", "signature", "the start-up kit names no auditor")
    for application in map(read_application, ctx.kit.applications.values()):
        if Role.AUDITOR in application.roles:
            try:
                key = load_public_ed25519(application.keys.identity)
                return [read_signed(encoded, Review, REVIEW_TYPE, key)]
            except DocumentInvalid as error:
                failure = error
    raise failure


def review(ctx: NodeContext, digest: str, approved: bool, reasons: str, user: str) -> None:
    """The auditor's decision on an application, signed and recorded."""
    entry = fetch_entry(ctx, digest=digest)
    application = read_application(entry["application"])
    if application.digest != digest:
        raise Refusal(
            422,
            "digest_mismatch",
            "登记的申请与摘要不符",
            "the registry's application does not have this digest",
            party=COORDINATOR,
        )
    document = Review(
        application=digest, org_id=application.org_id, approved=approved, reasons=reasons, reviewed_at=now()
    )
    with ctx.session() as session:
        ctx.record(
            session,
            "application_reviewed",
            {"application": digest, "org": application.org_id, "approved": approved, "by": user},
        )
        session.commit()
    envelope = sign_document(document, REVIEW_TYPE, ctx.keys.identity)
    ctx.client.post(
        COORDINATOR, f"/api/applications/{digest}/review", {"envelope": encode_envelope(envelope)}
    )


def admit(ctx: NodeContext, digest: str, user: str) -> None:
    """The operator's admission of a reviewed application."""
    entry = fetch_entry(ctx, digest=digest)
    application = read_application(entry["application"])
    reviewed = read_unverified(entry["review"], Review, REVIEW_TYPE).digest if entry["review"] else None
    document = Admission(application=digest, review=reviewed, org_id=application.org_id, admitted_at=now())
    with ctx.session() as session:
        ctx.record(
            session, "participant_admitted", {"application": digest, "org": application.org_id, "by": user}
        )
        session.commit()
    envelope = sign_document(document, ADMISSION_TYPE, ctx.keys.identity)
    ctx.client.post(
        COORDINATOR, f"/api/applications/{digest}/admission", {"envelope": encode_envelope(envelope)}
    )
    ctx.wake_sync.set()


def set_standing(ctx: NodeContext, org_id: str, standing: Standing, reason: str, user: str) -> dict[str, str]:
    """Suspend, resume or revoke; told to every known party directly, not through the coordinator alone.

    returns  org id → "ok" or why it could not be told (it learns it from the registry later)
    """
    with ctx.session() as session:
        row = session.get(PeerRow, org_id)
        number = (row.standing_seq if row else 0) + 1
        document = StandingNotice(
            org_id=org_id,
            standing=standing,
            reason=reason,
            issued_by=ctx.org_id,
            issued_at=now(),
            sequence=number,
        )
        envelope = encode_envelope(sign_document(document, STANDING_TYPE, ctx.keys.identity))
        if row is not None:
            row.standing, row.standing_seq = standing.value, number
            session.add(row)
        ctx.record(
            session,
            "standing_set",
            {"org": org_id, "standing": standing.value, "notice": document.digest, "by": user},
        )
        session.commit()
    ctx.directory.load()
    told: dict[str, str] = {}
    for peer in [COORDINATOR, *ctx.directory.known()]:
        if peer == ctx.org_id:
            continue
        try:
            path = f"/api/participants/{org_id}/standing" if peer == COORDINATOR else "/peer/notices"
            ctx.client.post(peer, path, {"envelope": envelope}, timeout_seconds=5)
            told[peer] = "ok"
        except Exception as error:  # one party that is down must not keep the others from being told
            told[peer] = type(error).__name__
    return told


def take_standing(ctx: NodeContext, envelope: str) -> None:
    """Believe a standing notice of the operator or the auditor, or of the organisation itself unless it betters its own; newest number wins."""
    document = read_unverified(envelope, StandingNotice, STANDING_TYPE)
    read_signed(envelope, StandingNotice, STANDING_TYPE, ctx.directory.identity_key(document.issued_by))
    auditors = {o for o in ctx.kit.applications if Role.AUDITOR in ctx.directory.application(o).roles}
    with ctx.session() as session:
        row = session.exec(select(PeerRow).where(PeerRow.org_id == document.org_id).with_for_update()).first()
        current = Standing.ACTIVE if row is None else Standing(row.standing)
        if not may_issue(document, current, operator=ctx.kit.operator, auditors=auditors):
            raise Refusal(
                403,
                "not_entitled",
                "无权变更该机构状态",
                "not entitled to change this standing",
                party=document.issued_by,
            )
        if row is None or document.sequence <= row.standing_seq:
            raise Refusal(
                409, "stale_notice", "该通知已过期", "a newer notice is in force", party=document.org_id
            )
        row.standing, row.standing_seq = document.standing.value, document.sequence
        session.add(row)
        ctx.record(
            session,
            "standing_learnt",
            {"org": document.org_id, "standing": document.standing.value, "notice": document.digest},
        )
        session.commit()
    ctx.directory.load()
