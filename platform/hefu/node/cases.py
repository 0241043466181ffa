"""Cases: each row of an inquiry, worked on at the organisation asked (经办/复核).

open → assigned → explained → adjusted → closed. A preparer explains and adjusts; an approver closes, and with the two-person
rule it is nobody who had a hand in the preparing. Evidence names the case, never the row or the words.
"""

from __future__ import annotations

import secrets
from typing import Literal, cast

from sqlmodel import Session, col, select

from hefu.node import preferences
from hefu.node.console_models import CaseView, Note
from hefu.node.context import NodeContext
from hefu.node.refusals import Refusal, conflict, not_found, refuse
from hefu.store.base import now
from hefu.store.node_tables import CaseRow, InquiryRow, UserRow

Step = Literal["assign", "explain", "adjust", "close"]

_FROM: dict[Step, tuple[str, ...]] = {
    "assign": ("open", "assigned", "explained", "adjusted"),
    "explain": ("open", "assigned", "explained", "adjusted"),
    "adjust": ("explained", "adjusted"),
    "close": ("explained", "adjusted"),
}
_TO: dict[Step, str] = {"explain": "explained", "adjust": "adjusted", "close": "closed"}


def open_cases(session: Session, inquiry: InquiryRow) -> None:
    """One case for each row of a new inquiry; the caller commits."""
    for row in inquiry.rows:
        session.add(
            CaseRow(
                case_id=secrets.token_hex(8),
                inquiry_id=inquiry.inquiry_id,
                job=inquiry.job,
                business_date=inquiry.business_date,
                row=row,
                state="open",
                history=[],
            )
        )


def list_views(ctx: NodeContext) -> list[CaseView]:
    """All cases: unfinished ones first, by day and row."""
    with ctx.session() as session:
        rows = session.exec(
            select(CaseRow).order_by(col(CaseRow.business_date).desc(), col(CaseRow.row))
        ).all()
    return [case_view(row) for row in sorted(rows, key=lambda row: row.state == "closed")]


def take_step(ctx: NodeContext, case_id: str, step: Step, note: Note, user: str) -> CaseView:
    """Move a case on.

    raises  Refusal: not_found · wrong_state, same_person (409) · assignee_unknown, amount_missing (422)
    """
    with ctx.session() as session:
        row = session.exec(select(CaseRow).where(CaseRow.case_id == case_id).with_for_update()).first()
        if row is None:
            raise not_found("差异处理单", "case", case_id)
        if row.state not in _FROM[step]:
            raise conflict(
                "wrong_state",
                f"当前状态（{row.state}）不允许此步骤",
                f"the case is {row.state}: this step is not possible",
                "差异须先说明，再调整或关闭",
                "a case is explained first, then adjusted or closed",
            )
        if step == "assign":
            _assign(session, row, note)
        elif step == "close":
            prepared = {line["by"] for line in row.history if line["step"] in ("explain", "adjust")}
            if preferences.two_person(session) and user in prepared:
                raise _same_person(user)
            row.approved_by = user
        else:
            _prepare(row, step, note, user)
        row.state = _TO.get(step, "assigned" if row.state == "open" else row.state)
        line = {"at": now().isoformat(timespec="seconds"), "by": user, "step": step, "text": note.text}
        row.history = [*row.history, line]
        session.add(row)
        ctx.record(session, f"case_{row.state}" if step != "assign" else "case_assigned", {"case": case_id})
        session.commit()
        return case_view(row)


def case_view(row: CaseRow) -> CaseView:
    """A case as it is shown."""
    return CaseView(
        case_id=row.case_id,
        inquiry_id=row.inquiry_id,
        job_id=row.job,
        business_date=row.business_date.isoformat(),
        row=row.row,
        state=cast("Literal['open']", row.state),  # checked by the model
        assignee=row.assignee,
        explanation=row.explanation,
        adjustment_cents=row.adjustment_cents,
        prepared_by=row.prepared_by,
        approved_by=row.approved_by,
        history=list(row.history),
    )


def _assign(session: Session, row: CaseRow, note: Note) -> None:
    user = session.get(UserRow, note.assignee or "")
    if user is None or user.disabled or "preparer" not in user.roles:
        raise refuse(
            422,
            "assignee_unknown",
            "请指定一名有经办角色的用户",
            "name a person with the role preparer",
            "请从用户列表中选择",
            "choose one from the list of users",
            limit="assignee",
        )
    row.assignee = user.username


def _prepare(row: CaseRow, step: Step, note: Note, user: str) -> None:
    if step == "adjust":
        if note.amount_cents is None:
            raise refuse(
                422,
                "amount_missing",
                "请填写调整金额",
                "the adjusted amount is needed",
                "请填写金额",
                "give the amount",
                limit="amount_cents",
            )
        row.adjustment_cents = note.amount_cents
    else:
        row.explanation = note.text
    row.prepared_by = user


def _same_person(user: str) -> Refusal:
    return conflict(
        "same_person",
        f"经办与复核不能是同一人（{user}）",
        f"who prepared it cannot approve it ({user})",
        "请由另一名复核人关闭",
        "let another approver close it",
    )
