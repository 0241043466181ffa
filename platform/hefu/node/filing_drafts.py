"""Filings are prepared by one person and approved by another before they are signed (经办/复核)."""

from __future__ import annotations

import secrets
from typing import Any

from sqlmodel import col, select

from hefu.domain.filings import Filing
from hefu.node import filings, preferences, subject_outcomes
from hefu.node.context import NodeContext
from hefu.node.filing_views import draft_digest
from hefu.node.refusals import conflict, not_found
from hefu.node.two_persons import same_person
from hefu.store.base import now
from hefu.store.node_tables import FilingDraftRow

_PREPARER = ("prepared_by",)
_APPROVER = ("approved_by", "authorised_by", "acknowledged_by", "reviewer", "assessor")


def prepare(ctx: NodeContext, kind: str, content: dict[str, Any], user: str) -> FilingDraftRow:
    """Check the form and keep it for approval. Raises Refusal, DocumentInvalid naming the field at fault."""
    filing = filings.build(ctx, kind, _named(kind, content, prepared=user, approved="–"))
    with ctx.session() as session:
        if filing.contract_id is not None:
            filings.newest_version(session, filing.contract_id)
        row = FilingDraftRow(
            draft_id=secrets.token_hex(8),
            kind=kind,
            contract_id=filing.contract_id,
            content=content,
            prepared_by=user,
            prepared_at=now(),
        )
        session.add(row)
        session.commit()
    return row


def approve(ctx: NodeContext, draft_id: str, user: str, *, seen: str | None = None) -> str:
    """Sign and file what another person prepared. Answers the filing's digest.

    seen    digest of the draft as the approver saw it; anything else is not approved
    raises  Refusal: not_found (404) · decided_already, draft_differs (409) · same_person (403), where the organisation
            has the two-person rule · what `subject_outcomes` refuses: then nothing is filed
    """
    with ctx.session() as session:
        row = _waiting(ctx, session, draft_id)
        if seen is not None and seen != draft_digest(row):
            raise conflict(
                "draft_differs",
                "待复核文件与您看到的内容不一致，未批准",
                "the draft is not the one that you saw; nothing was approved",
                "请刷新页面，重新核对原文后再批准",
                "reload the page and read the document again",
            )
        if preferences.two_person(session) and row.prepared_by == user:
            raise same_person(ctx)
        content = _named(row.kind, row.content, prepared=row.prepared_by, approved=user)
        filing = filings.build(ctx, row.kind, content)
        row.digest = filings.file(ctx, filing, user, session)
        subject_outcomes.apply_outcome(ctx, session, filing, user)
        row.state, row.decided_by = "approved", user
        session.add(row)
        session.commit()
    ctx.wake_sync.set()
    return row.digest


def reject(ctx: NodeContext, draft_id: str, user: str, reason: str) -> None:
    """Send a draft back, with the reason. Raises Refusal 404, 409."""
    with ctx.session() as session:
        row = _waiting(ctx, session, draft_id)
        row.state, row.decided_by, row.reason = "refused", user, reason
        session.add(row)
        session.commit()


def waiting(ctx: NodeContext) -> list[FilingDraftRow]:
    """What waits for approval here, oldest first."""
    with ctx.session() as session:
        return list(
            session.exec(
                select(FilingDraftRow)
                .where(FilingDraftRow.state == "prepared")
                .order_by(col(FilingDraftRow.prepared_at))
            )
        )


def _waiting(ctx: NodeContext, session: Any, draft_id: str) -> FilingDraftRow:
    row: FilingDraftRow | None = session.exec(
        select(FilingDraftRow).where(FilingDraftRow.draft_id == draft_id).with_for_update()
    ).first()
    if row is None:
        raise not_found("待复核文件", "draft", draft_id)
    if row.state != "prepared":
        raise conflict(
            "decided_already",
            f"该文件已处理（{row.state}）",
            f"it was decided already ({row.state})",
            "请刷新列表",
            "refresh the list",
        )
    return row


def _named(kind: str, content: dict[str, Any], *, prepared: str, approved: str) -> dict[str, Any]:
    """Who prepared and who approved is not for the form to say."""
    from hefu.domain.filings import KINDS

    model: type[Filing] | None = KINDS.get(kind)
    fields = model.model_fields if model else {}
    named = dict(content)
    named |= {name: prepared for name in _PREPARER if name in fields}
    named |= {name: approved for name in _APPROVER if name in fields}
    return named
