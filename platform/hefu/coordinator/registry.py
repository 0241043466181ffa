"""The registry of organisations: application, review, admission, certificate, standing (white paper A, 3.3).

The registry proves nothing by itself: an application is signed by its applicant, a review by the auditor, an
admission by the operator; certificates are issued for exactly the key that the application names.
"""

from __future__ import annotations

from typing import Any

from sqlmodel import col, or_, select

from hefu.coordinator.context import ACTOR, CoordinatorContext
from hefu.domain.errors import DocumentInvalid
from hefu.domain.identity import (
    ADMISSION_TYPE,
    REVIEW_TYPE,
    STANDING_TYPE,
    Admission,
    Application,
    Review,
    Role,
    Standing,
    StandingNotice,
    may_issue,
)
from hefu.keys.certificates import issue_certificate, load_certificate, to_pem
from hefu.keys.errors import KeysError
from hefu.keys.public import key_id, load_public_ed25519, spki_digest
from hefu.store.base import now
from hefu.store.coordinator_tables import ApplicationRow, StandingRow
from hefu.store.signed import decode_envelope, encode_envelope, read_application, read_signed, read_unverified
from hefu.wire.refusal import Refusal, not_found


def submit(ctx: CoordinatorContext, envelope: str, certificate: str) -> dict[str, Any]:
    """Keep a self-signed application. The same one again is no change; another of the same organisation is refused.

    So is one under a key that stands for another organisation: the ledger tells by a key who signed.

    certificate  the applicant's self-signed certificate (PEM): carries the TLS key whose digest the application names
    """
    opened = decode_envelope(envelope)
    application = read_application(opened)
    try:
        offered = spki_digest(load_certificate(certificate))
    except KeysError as error:
        raise DocumentInvalid("Application", "certificate", str(error)) from error
    if offered != application.keys.tls_spki:
        raise Refusal(
            422,
            "key_mismatch",
            "TLS公钥与申请不符",
            "the TLS key is not the one applied for",
            party=application.org_id,
        )
    if application.org_id == ACTOR:
        raise Refusal(
            422,
            "org_id_reserved",
            f"机构编号 {ACTOR} 为平台保留",
            f"the id {ACTOR} is the coordinator's own",
            party=application.org_id,
            mend_zh="另选机构编号",
            mend_en="choose another id",
        )
    pinned = _in_kit(ctx, application.org_id)
    if pinned is not None and pinned.digest != application.digest:
        raise Refusal(
            409,
            "pin_mismatch",
            f"机构 {application.org_id} 的申请与启动包不符",
            f"the application of {application.org_id} is not the one in the start-up kit",
            party=application.org_id,
        )
    identity_key_id = key_id(load_public_ed25519(application.keys.identity))
    with ctx.session() as session:
        session.connection().exec_driver_sql("select pg_advisory_xact_lock(hashtext('hefu.applications'))")
        if session.get(ApplicationRow, application.digest) is None:
            same = session.exec(
                select(ApplicationRow).where(
                    or_(
                        col(ApplicationRow.org_id) == application.org_id,
                        col(ApplicationRow.key_id) == identity_key_id,
                    )
                )
            ).all()
            if any(row.org_id != application.org_id for row in same):
                raise Refusal(
                    409,
                    "key_taken",
                    "该身份公钥已属于另一机构",
                    "the identity key is another organisation's",
                    party=application.org_id,
                    mend_zh="生成新的密钥后重新申请",
                    mend_en="make keys of your own and apply again",
                )
            if any(row.state != "refused" for row in same):
                raise Refusal(
                    409,
                    "organisation_exists",
                    f"机构 {application.org_id} 已有申请",
                    f"{application.org_id} has an application already",
                    party=application.org_id,
                    mend_zh="如需更换密钥，请先撤销原准入",
                    mend_en="revoke the present admission before applying with other keys",
                )
            session.add(
                ApplicationRow(
                    digest=application.digest,
                    org_id=application.org_id,
                    state="submitted",
                    envelope=opened.to_bytes(),
                    identity_key=application.keys.identity,
                    key_id=identity_key_id,
                    certificate=certificate,
                    created_at=now(),
                )
            )
            ctx.record(
                session,
                "application_received",
                {"org": application.org_id, "application": application.digest},
            )
            session.commit()
    ctx.directory.load()
    return {"digest": application.digest}


def review(ctx: CoordinatorContext, digest: str, envelope: str, sender: str) -> None:
    """Take the auditor's signed decision."""
    key = load_public_ed25519(_auditor(ctx, sender).keys.identity)
    document = read_signed(envelope, Review, REVIEW_TYPE, key)
    if document.application != digest:
        raise Refusal(
            422,
            "digest_mismatch",
            "审核文件与申请摘要不符",
            "the review is of another application",
            party=sender,
        )
    with ctx.session() as session:
        row = _row(session.get(ApplicationRow, digest))
        if row.state not in ("submitted", "approved", "refused"):
            raise Refusal(
                409,
                "already_admitted",
                "该机构已准入",
                "the organisation is admitted already",
                party=row.org_id,
            )
        row.review, row.state = (
            decode_envelope(envelope).to_bytes(),
            "approved" if document.approved else "refused",
        )
        session.add(row)
        ctx.record(
            session,
            "review_received",
            {"org": row.org_id, "application": digest, "by": sender, "approved": document.approved},
        )
        session.commit()
    ctx.directory.load()


def admit(ctx: CoordinatorContext, digest: str, envelope: str, sender: str) -> None:
    """Take the operator's signed admission and issue the certificate."""
    if sender != ctx.settings.operator:
        raise Refusal(403, "not_operator", "仅平台方可准入", "only the operator admits", party=sender)
    document = read_signed(envelope, Admission, ADMISSION_TYPE, ctx.directory.registered(sender).key)
    with ctx.session() as session:
        row = _row(session.get(ApplicationRow, digest))
        known = _in_kit(ctx, row.org_id)
        pinned = known is not None and known.digest == digest
        if document.application != digest or (row.state != "approved" and not pinned):
            raise Refusal(
                409,
                "not_reviewed",
                f"{row.org_id} 的申请未经第三方审核通过",
                f"the application of {row.org_id} was not approved by the auditor",
                party=row.org_id,
                mend_zh="请第三方机构先完成准入审核",
                mend_en="let the auditor review the application first",
            )
        application = read_application(row.envelope)
        row.admission, row.state = decode_envelope(envelope).to_bytes(), "admitted"
        offered = load_certificate(row.certificate or "")
        issued = issue_certificate(
            ctx.ca_certificate,
            ctx.ca_key,
            offered.public_key(),  # type: ignore[arg-type]  # checked at submission: the key applied for
            row.org_id,
            sans=(application.channel_host, application.url.split("//")[1].rsplit(":", 1)[0]),
            valid_days=397,
        )
        row.certificate = to_pem(issued)
        session.add(row)
        ctx.record(
            session,
            "certificate_issued",
            {"org": row.org_id, "application": digest, "spki": application.keys.tls_spki},
        )
        session.commit()
    ctx.directory.load()


def change_standing(ctx: CoordinatorContext, org_id: str, envelope: str, sender: str) -> None:
    """Take a signed standing notice of the operator or the auditor, or of the organisation itself unless it betters its own; newest number wins."""
    document = read_unverified(envelope, StandingNotice, STANDING_TYPE)
    issuer = ctx.directory.registered(document.issued_by)
    read_signed(envelope, StandingNotice, STANDING_TYPE, issuer.key)
    auditors = {o for o, a in ctx.kit.applications.items() if Role.AUDITOR in read_application(a).roles}
    with ctx.session() as session:
        row = session.exec(
            select(ApplicationRow)
            .where(ApplicationRow.org_id == org_id, ApplicationRow.state != "refused")
            .with_for_update()
        ).first()
        row = _row(row)
        entitled = may_issue(
            document, Standing(row.standing), operator=ctx.settings.operator, auditors=auditors
        )
        if not entitled or document.org_id != org_id or document.issued_by != sender:
            raise Refusal(
                403,
                "not_entitled",
                "无权变更该机构状态",
                "not entitled to change this organisation's standing",
                party=sender,
            )
        if document.sequence <= row.standing_seq:
            raise Refusal(
                409, "stale_notice", "该状态通知已过期", "a newer standing notice is in force", party=org_id
            )
        row.standing, row.standing_seq = document.standing.value, document.sequence
        session.add(row)
        session.add(StandingRow(org_id=org_id, envelope=decode_envelope(envelope).to_bytes(), at=now()))
        ctx.record(
            session,
            "standing_changed",
            {"org": org_id, "standing": document.standing.value, "notice": document.digest},
        )
        session.commit()
    ctx.directory.load()


def registry(ctx: CoordinatorContext) -> list[dict[str, Any]]:
    """Every organisation with its signed documents and certificate, for nodes to check themselves."""
    with ctx.session() as session:
        rows = session.exec(select(ApplicationRow).order_by(ApplicationRow.created_at)).all()  # type: ignore[arg-type]  # a column
        notices = session.exec(select(StandingRow).order_by(StandingRow.id)).all()  # type: ignore[arg-type]  # a column
    newest = {n.org_id: encode_envelope(decode_envelope(n.envelope)) for n in notices}
    return [
        {
            "org_id": row.org_id,
            "digest": row.digest,
            "state": row.state,
            "application": encode_envelope(decode_envelope(row.envelope)),
            "review": row.review and encode_envelope(decode_envelope(row.review)),
            "admission": row.admission and encode_envelope(decode_envelope(row.admission)),
            "certificate": row.certificate,
            "standing_notice": newest.get(row.org_id),
        }
        for row in rows
    ]


def _row(row: ApplicationRow | None) -> ApplicationRow:
    if row is None:
        raise not_found("准入申请", "application")
    return row


def _in_kit(ctx: CoordinatorContext, org_id: str) -> Application | None:
    encoded = ctx.kit.applications.get(org_id)
    return None if encoded is None else read_application(encoded)


def _auditor(ctx: CoordinatorContext, sender: str) -> Application:
    found = _in_kit(ctx, sender)
    if found is None or Role.AUDITOR not in found.roles:
        raise Refusal(
            403,
            "not_auditor",
            "仅第三方机构可审核",
            "only the auditor of the start-up kit reviews",
            party=sender,
        )
    return found
