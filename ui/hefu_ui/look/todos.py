"""To-dos as a list, each with the button that leads to where it is done."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from hefu.node.console_models import Todo

from hefu_ui.look.formats import today, when
from hefu_ui.look.html import chip, esc, icon
from hefu_ui.look.page import go
from hefu_ui.words import named, pick, t

_SYMBOLS = {
    "sign_contract": "draw", "review_application": "person_search", "admit": "how_to_reg", "open_result": "mark_email_unread",
    "alarm": "notifications_active", "inquiry": "quick_reference_all", "case": "assignment", "late_data": "schedule",
    "record": "manage_search", "approve_filing": "approval", "release_decision": "outbox", "subject_request": "person_alert",
    "complaint": "feedback", "due_soon": "event", "preparation": "fact_check", "approval": "approval",
}  # fmt: skip

_PAGES = {
    "alarm": "alarms",
    "record": "inquiries",
    "preparation": "approvals",
}  # more exact than the page that the node names


def draw_todos(todos: Sequence[Todo]) -> None:
    """One line each: what, by when, and a button where this person has the page."""
    for i, todo in enumerate(todos):
        words, action = st.columns([6, 1], vertical_alignment="center")
        late = todo.due_at is not None and todo.due_at.date() < today()
        color = "red" if late else "orange" if todo.due_at else "blue"
        due = f"<small>{esc(t('overview.due', at=when(todo.due_at)))}</small>" if todo.due_at else ""
        words.html(
            f'<div class="hf-feed"><div class="item"><span class="dot hf-{color}">{icon(_SYMBOLS.get(todo.kind, "task"))}</span>'
            f"<div><b>{esc(pick(todo.title_zh, todo.title_en))}</b>{due}</div>{chip(named('todo', todo.kind), color)}</div></div>"
        )
        page = todo.page if todo.page == "jobs" else _PAGES.get(todo.kind, todo.page)
        if page in st.session_state["pages"] and action.button(
            t("do.handle"), key=f"todo_{i}", width="stretch"
        ):
            go(page, id=todo.subject)
