"""到期日历: what falls due, as an agenda or a month."""

from __future__ import annotations

from datetime import date

import streamlit as st

from hefu_ui.look.due_dates import draw_agenda, draw_month
from hefu_ui.look.formats import today
from hefu_ui.look.html import chip
from hefu_ui.look.page import card, empty, page_title
from hefu_ui.signed_in import me, node
from hefu_ui.words import named, t


def show() -> None:
    due = node().compliance.due_dates()
    counts = {state: sum(d.state == state for d in due) for state in ("overdue", "soon")}
    page_title(
        t("page.calendar"), t("calendar.about"),
        (chip(f"{t('due.overdue')} {counts['overdue']}", "red" if counts["overdue"] else "gray", "error"),
         chip(f"{t('due.soon')} {counts['soon']}", "orange" if counts["soon"] else "gray", "schedule")),
    )  # fmt: skip
    if not due:
        with card("no_due"):
            empty("event_available", t("calendar.none"), t("calendar.none_next"))
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        mine = st.toggle(t("calendar.only_mine"), key="due_mine")
        kinds = st.pills(
            t("calendar.kinds"), list(dict.fromkeys(d.kind for d in due)), selection_mode="multi", key="due_kinds",
            format_func=lambda kind: named("due_kind", kind), label_visibility="collapsed",
        )  # fmt: skip
    shown = [d for d in due if (not mine or d.party == me().org_id) and (not kinds or d.kind in kinds)]
    agenda, month = st.tabs([f":material/view_agenda: {t('calendar.agenda')}", f":material/calendar_month: {t('calendar.month')}"])  # fmt: skip
    with agenda, card("agenda"):
        if shown:
            draw_agenda(shown)
        else:
            empty("event_available", t("calendar.none"), t("calendar.none_next"))
    with month, card("month"):
        draw_month(shown, _month())


def _month() -> date:
    """The first day of the month to show; two buttons move it."""
    first = date.fromisoformat(st.session_state.get("due_month", today().replace(day=1).isoformat()))
    left, middle, right = st.columns([1, 4, 1], vertical_alignment="center")
    for column, word, symbol, step in (
        (left, "previous", "chevron_left", -1),
        (right, "next", "chevron_right", 1),
    ):
        if column.button(
            t(f"calendar.{word}"), key=f"month_{word}", icon=f":material/{symbol}:", width="stretch"
        ):
            months = first.year * 12 + first.month - 1 + step
            st.session_state["due_month"] = date(months // 12, months % 12 + 1, 1).isoformat()
            st.rerun()
    middle.html(f'<h3 class="hf-month">{first:%Y-%m}</h3>')
    return first
