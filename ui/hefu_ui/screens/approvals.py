"""审批: what another person of this organisation prepared, and every decision of the parties: whom it waits for, until when."""

from __future__ import annotations

from functools import partial

import streamlit as st
from hefu.domain.approval import Approval, ApprovalState
from hefu.domain.contract import NoticeKind
from hefu.node.console_models import NoticeRequest
from hefu.node.contract_life_models import ApprovalView

from hefu_ui.look.formats import org_name, org_names, short, when
from hefu_ui.look.html import Html, chip, esc, facts, mono, table
from hefu_ui.look.page import ask_reason, card, empty, go, page_title
from hefu_ui.look.preparation import draw_preparation, draw_preparations
from hefu_ui.look.states import state_chip
from hefu_ui.signed_in import may, me, node, only_audits
from hefu_ui.words import named, t


def show() -> None:
    prepared = node().compliance.preparations()
    if wanted := st.query_params.get("id"):
        if st.button(t("do.back"), icon=":material/arrow_back:", type="tertiary"):
            del st.query_params["id"]
            st.rerun()
        found = [p for p in prepared if p.subject == wanted]
        page_title(t("approvals.preparation"), t("approvals.preparation_about"))
        if not found:
            with card("decided"):
                empty("task_alt", t("approvals.gone"), t("approvals.gone_next"))
        for one in found:
            draw_preparation(one)
        return
    page_title(t("page.approvals"), t("approvals.about"))
    with card("prepared", t("approvals.prepared"), "group", t("approvals.prepared_note")):
        if prepared:
            draw_preparations(prepared)
        else:
            empty("task_alt", t("approvals.none_prepared"), t("approvals.none_prepared_next"))
    views = node().governance.approvals()
    open_ones = [v for v in views if v.urgency != "closed"]
    closed = [v for v in views if v.urgency == "closed"]
    st.html(f'<h3 class="hf-card">{esc(t("approvals.open", n=len(open_ones)))}</h3>')
    if not open_ones:
        with card("no_open"):
            empty("approval", t("approvals.none_open"), t("approvals.none_open_next"))
    for view in open_ones:
        _open(view)
    if closed:
        with card("closed", t("approvals.closed"), "inventory_2"):
            _closed(closed)


def _open(v: ApprovalView) -> None:
    a = v.approval
    with card(f"approval_{a.subject[:16]}", f"{named('approval_kind', a.kind)} · {v.contract_id or '—'}", "approval"):  # fmt: skip
        st.html(f"{state_chip('approval_state', a.state)} {_left(v)} {chip(t('approvals.waits_for_us'), 'orange', 'person') if v.waits_for_us else ''}")  # fmt: skip
        facts(
            [
                (t("approvals.document"), mono(short(a.subject), a.subject)),
                (t("approvals.requested_by"), org_name(a.requested_by)),
                (t("approvals.opened"), when(a.opened_at)),
                (t("approvals.deadline"), when(a.deadline)),
                (t("approvals.waits_for"), org_names(v.waits_for) if v.waits_for else t("approvals.nobody")),
                (t("approvals.reminded"), when(a.reminded_at[-1]) if a.reminded_at else t("common.none")),
            ]
        )
        _answers(a)
        for difference in v.differences:
            st.warning(f"**{t('approvals.differs')}** {difference}", icon=":material/difference:")
        with st.container(horizontal=True):
            page, subject = ("contracts", a.subject) if a.release is None else ("jobs", a.release.job)
            elsewhere = "approvals.to_contract" if a.release is None else "approvals.see_job"
            if st.button(
                t("approvals.answer_there" if v.waits_for_us else elsewhere),
                key=f"to_{a.subject[:16]}",
                icon=":material/contract:",
            ):
                go(page, id=subject)
            withdrawable = a.requested_by == me().org_id and a.state is ApprovalState.OPEN
            if withdrawable and may("preparer", "approver") and not only_audits():
                ask_reason(t("notice.withdraw"), f"withdraw_{a.subject[:16]}", "undo", partial(_withdraw, a.subject))  # fmt: skip


def _left(v: ApprovalView) -> Html:
    if v.approval.state is ApprovalState.OVERDUE:
        return Html("")
    if v.urgency == "overdue" or v.days_left < 0:
        return chip(t("approvals.overdue"), "red", "timer_off")
    return chip(t("approvals.days_left", n=v.days_left), "orange" if v.days_left < 3 else "blue", "schedule")


def _answers(a: Approval) -> None:
    given = {answer.org_id: answer for answer in a.answers}
    rows = []
    for org in a.asked:
        answer = given.get(org)
        state = "waiting" if answer is None else "signed" if answer.approved else "refused"
        rows.append([org_name(org), state_chip("signature", state), when(answer.at) if answer else "—", answer.reason if answer else ""])  # fmt: skip
    table([t("common.party"), t("approvals.answer"), t("common.time"), t("common.reason")], rows)


def _closed(views: list[ApprovalView]) -> None:
    table(
        [t("approvals.kind"), t("common.contract"), t("common.state"), t("approvals.document"), t("approvals.closed_at"), t("common.reason")],
        [
            [named("approval_kind", v.approval.kind), v.contract_id or "—", state_chip("approval_state", v.approval.state),
             mono(short(v.approval.subject), v.approval.subject), when(v.approval.closed_at), _why(v.approval)]
            for v in views[:100]
        ],
    )  # fmt: skip


def _why(a: Approval) -> str:
    """The reasons of those who refused, or of the withdrawal."""
    refusals = [f"{org_name(x.org_id)}: {x.reason}" for x in a.answers if not x.approved]
    late = sorted({*a.asked} - {x.org_id for x in a.answers}) if a.state is ApprovalState.OVERDUE else []
    said = [*refusals, a.withdrawal_reason, t("approvals.did_not_answer", who=org_names(late)) if late else ""]  # fmt: skip
    return "; ".join(s for s in said if s) or "—"


def _withdraw(digest: str, reason: str) -> None:
    node().notice(digest, NoticeRequest(kind=NoticeKind.WITHDRAW, reason=reason))
