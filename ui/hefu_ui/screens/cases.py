"""差错处理: exceptions that this organisation works on: assigned, explained, adjusted, closed (经办/复核)."""

from __future__ import annotations

import streamlit as st
from hefu.node.console_models import CaseView, Note

from hefu_ui.look.formats import money, short
from hefu_ui.look.html import esc, facts, mono, table
from hefu_ui.look.page import ask_reason, asking, card, do, empty, page_title
from hefu_ui.look.picker import chips, pick_row
from hefu_ui.look.states import state_chip
from hefu_ui.signed_in import may, me, node
from hefu_ui.words import named, t

_ORDER = ("open", "assigned", "explained", "adjusted", "closed")


def show() -> None:
    cases = sorted(node().cases(), key=lambda c: (_ORDER.index(c.state), c.business_date, c.row))
    page_title(t("page.cases"), t("cases.about"))
    if not cases:
        with card("no_cases"):
            empty("assignment_turned_in", t("cases.none"), t("cases.none_next"))
        return
    with st.grid(columns=5, min_column_width=130):
        for state in _ORDER:
            st.metric(named("case", state), sum(1 for c in cases if c.state == state), border=True)
    with card("cases", t("cases.list"), "assignment", t("common.pick_row")):
        chosen = pick_row(
            "cases_table",
            [
                {
                    t("common.day"): c.business_date, t("common.row"): c.row, t("common.state"): [named("case", c.state)],
                    t("cases.assignee"): c.assignee, t("cases.adjustment"): money(c.adjustment_cents),
                    t("cases.explanation"): c.explanation,
                }
                for c in cases
            ],
            {t("common.state"): chips("case", t("common.state"), 110)},
        )  # fmt: skip
    if chosen is not None:
        st.query_params["id"] = cases[chosen].case_id
    for case in cases:
        if case.case_id == st.query_params.get("id"):
            _detail(case)


def _detail(c: CaseView) -> None:
    with card("case", t("cases.case", day=c.business_date, row=c.row), "assignment", short(c.case_id)):
        facts(
            [
                (t("common.state"), state_chip("case", c.state)),
                (t("cases.assignee"), c.assignee or t("common.none")),
                (t("cases.adjustment"), money(c.adjustment_cents)),
                (t("cases.prepared_by"), c.prepared_by or t("common.none")),
                (t("cases.approved_by"), c.approved_by or t("common.none")),
                (
                    t("cases.inquiry"),
                    mono(short(c.inquiry_id), c.inquiry_id) if c.inquiry_id else t("common.none"),
                ),
                (t("cases.explanation"), c.explanation or t("common.none")),
            ]
        )
        if c.history:
            st.html(f"<b>{esc(t('cases.history'))}</b>")
            names = sorted({name for step in c.history for name in step})
            table(
                [_heading(name) for name in names],
                [[step.get(name, "") for name in names] for step in c.history],
            )
        if c.state != "closed":
            _steps(c)


def _heading(name: str) -> str:
    from hefu_ui.words import CATALOGUE

    return t(f"cases.history_{name}") if f"cases.history_{name}" in CATALOGUE else name


def _steps(c: CaseView) -> None:
    with st.container(horizontal=True, key="case_steps"):
        if c.state in ("open", "assigned") and may("preparer", "approver"):
            with asking(t("cases.assign"), "case_assign", "person_add") as named_key:
                who = st.text_input(
                    t("cases.assignee"), key=named_key("case_who"), value=c.assignee or me().user.username
                )
                if st.button(t("do.confirm"), key=named_key("case_assign"), type="primary", disabled=not who):
                    do(
                        lambda: node().move_case(
                            c.case_id, "assign", Note(text=t("cases.assigned_text"), assignee=who)
                        ),
                        t("cases.moved"),
                    )
        if c.state in ("open", "assigned", "explained") and may("preparer"):
            ask_reason(
                t("cases.explain"),
                "case_explain",
                "chat",
                lambda text: node().move_case(c.case_id, "explain", Note(text=text)),
            )
        if c.state in ("explained", "adjusted") and may("preparer"):
            with asking(t("cases.adjust"), "case_adjust", "tune") as named_key:
                amount = st.number_input(
                    t("cases.adjustment_yuan"),
                    value=0.0,
                    step=100.0,
                    format="%.2f",
                    key=named_key("case_amount"),
                )
                text = st.text_area(t("common.reason"), key=named_key("case_adjust_reason"))
                if st.button(
                    t("do.confirm"), key=named_key("case_adjust"), type="primary", disabled=not text
                ):
                    note = Note(text=text, amount_cents=round(amount * 100))
                    do(lambda: node().move_case(c.case_id, "adjust", note), t("cases.moved"))
        if c.state in ("explained", "adjusted") and may("approver"):
            ask_reason(
                t("cases.close"), "case_close", "task_alt",
                lambda text: node().move_case(c.case_id, "close", Note(text=text)), primary=True,
            )  # fmt: skip
    st.caption(t("cases.four_eyes"))
