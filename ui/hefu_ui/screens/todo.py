"""我的待办: everything that waits for the signed-in person, by kind, the earliest deadline first."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from hefu_ui.look.html import chip
from hefu_ui.look.page import card, empty, page_title
from hefu_ui.look.todos import draw_todos
from hefu_ui.signed_in import changes, node
from hefu_ui.words import named, t


def show() -> None:
    todos = node().compliance.todo()
    page_title(t("page.todo"), t("todo.about"), (chip(t("todo.count", n=len(todos)), "blue", "checklist"),))
    if not changes():
        st.caption(f":material/visibility: {t('cockpit.read_only')}")
    if not todos:
        with card("no_todos"):
            empty("task_alt", t("overview.no_todos"), t("overview.no_todos_next"))
        return
    counts = Counter(todo.kind for todo in todos)
    chosen = st.pills(
        t("calendar.kinds"), list(counts), selection_mode="multi", key="todo_kinds",
        format_func=lambda kind: f"{named('todo', kind)} {counts[kind]}",
    )  # fmt: skip
    with card("todos", t("todo.all"), "checklist", t("overview.todos_note")):
        draw_todos([todo for todo in todos if not chosen or todo.kind in chosen][:100])
