"""Two-person rule 经办/复核: what one person prepared, another one approves; the same person is refused.

A decision (proposing, signing, a notice, the release of a result) goes through `pass_on` twice: first by whoever
prepares it, then, with exactly the same content, by an approver with another user name. Where the organisation has
switched the rule off (setting `two_person`), once is enough.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Literal

from sqlmodel import Session, col, select

from hefu.node import preferences
from hefu.node.context import NodeContext
from hefu.node.contract_life_models import PreparationView
from hefu.node.refusals import Refusal, not_found, refuse
from hefu.store.base import now
from hefu.store.node_tables import PreparationRow

DecisionKind = Literal["propose", "sign", "notice", "release"]


def pass_on(
    ctx: NodeContext,
    kind: DecisionKind,
    subject: str,
    user: str,
    *,
    approver: bool,
    content: str = "",
    document: bytes | None = None,
) -> PreparationRow | None:
    """Prepare the decision, or let it through.

    content  what exactly is decided; another content is another decision
    returns  None where the decision may be carried out now; else the preparation, kept for another person
    raises   Refusal: same_person (403) · role_missing (403)
    """
    said = hashlib.sha256(f"{kind}\n{subject}\n{content}".encode()).hexdigest()
    with ctx.session() as session:
        if not preferences.two_person(session):
            if not approver:
                raise _no_approver()
            return None
        waiting = _waiting(session, kind, subject, said)
        if waiting is None:
            row = PreparationRow(
                preparation_id=secrets.token_hex(8),
                kind=kind,
                subject=subject,
                content=said,
                prepared_by=user,
                prepared_at=now(),
                document=document,
            )
            session.add(row)
            ctx.record(session, "decision_prepared", {"kind": kind, "by": user}, **_where(kind, subject))
            session.commit()
            return row
        if waiting.prepared_by == user:
            raise same_person(ctx)
        if not approver:
            raise _no_approver()
        return None


def settle(ctx: NodeContext, kind: DecisionKind, subject: str, user: str, *, content: str = "") -> None:
    """The decision was carried out: nothing waits any longer."""
    said = hashlib.sha256(f"{kind}\n{subject}\n{content}".encode()).hexdigest()
    with ctx.session() as session:
        row = _waiting(session, kind, subject, said)
        if row is None:
            return
        row.state, row.decided_by = "approved", user
        session.add(row)
        ctx.record(
            session,
            "decision_approved",
            {"kind": kind, "prepared_by": row.prepared_by, "by": user},
            **_where(kind, subject),
        )
        session.commit()


def turn_down(
    ctx: NodeContext, preparation_id: str, user: str, reason: str, *, approver: bool
) -> PreparationView:
    """An approver sends it back, saying why; whoever prepared it may take it back. Raises Refusal: not_found · role_missing."""
    with ctx.session() as session:
        row = session.exec(
            select(PreparationRow)
            .where(PreparationRow.preparation_id == preparation_id, PreparationRow.state == "prepared")
            .with_for_update()
        ).first()
        if row is None:
            raise not_found("待复核事项", "preparation", preparation_id)
        if not approver and row.prepared_by != user:
            raise _no_approver()
        row.state, row.decided_by, row.reason = "refused", user, reason
        session.add(row)
        ctx.record(
            session,
            "decision_turned_down",
            {"kind": row.kind, "prepared_by": row.prepared_by, "by": user},
            **_where(row.kind, row.subject),
        )
        session.commit()
        return view(row)


def listed(ctx: NodeContext, subject: str | None = None) -> list[PreparationView]:
    """What waits for a second person, oldest first; of one contract or job, or all."""
    query = select(PreparationRow).where(PreparationRow.state == "prepared")
    if subject is not None:
        query = query.where(PreparationRow.subject == subject)
    with ctx.session() as session:
        return [view(row) for row in session.exec(query.order_by(col(PreparationRow.prepared_at)))]


def view(row: PreparationRow) -> PreparationView:
    """A preparation as it is shown."""
    return PreparationView(
        preparation_id=row.preparation_id,
        kind=row.kind,
        subject=row.subject,
        prepared_by=row.prepared_by,
        prepared_at=row.prepared_at,
        state=row.state,
        decided_by=row.decided_by,
        reason=row.reason,
        document=None if row.document is None else row.document.decode(),
    )


def same_person(ctx: NodeContext) -> Refusal:
    """403: names the rule and the mend."""
    return refuse(
        403,
        "same_person",
        "双人复核：经办人不能复核自己经办的事项",
        "two-person rule: who prepared a decision cannot approve it",
        "请另一名复核人员复核，或由管理员关闭双人复核",
        "let another approver decide, or have an administrator switch the two-person rule off",
        party=ctx.org_id,
        limit="two_person",
    )


def _no_approver() -> Refusal:
    return refuse(
        403,
        "role_missing",
        "您的角色不允许此操作",
        "your roles do not allow this",
        "需要角色：approver",
        "the role approver is needed",
        limit="approver",
    )


def _where(kind: str, subject: str) -> dict[str, str]:
    return {"job": subject} if kind == "release" else {"contract": subject}


def _waiting(session: Session, kind: str, subject: str, content: str) -> PreparationRow | None:
    return session.exec(
        select(PreparationRow)
        .where(
            PreparationRow.kind == kind,
            PreparationRow.subject == subject,
            PreparationRow.content == content,
            PreparationRow.state == "prepared",
        )
        .with_for_update()
    ).first()
