"""新建合约, step by step: template → parties → data → computation → outputs, limits, schedule → review → propose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st
from hefu.node.console_models import ContractView, ReconciliationDraft
from pydantic import ValidationError

from hefu_ui.errors import ConsoleError
from hefu_ui.look.contract import draw_contract
from hefu_ui.look.html import esc
from hefu_ui.look.page import card, form_problems, go, page_title, problems_shown
from hefu_ui.screens import contract_steps as steps
from hefu_ui.signed_in import may, node
from hefu_ui.words import t

STEPS: tuple[tuple[str, Callable[[dict[str, Any]], None]], ...] = (
    ("template", steps.template),
    ("parties", steps.parties),
    ("data", steps.data),
    ("computation", steps.computation),
    ("limits", steps.limits),
    ("review", lambda _: None),
)


def show() -> None:
    form: dict[str, Any] = st.session_state.setdefault("new_contract", steps.blank())
    at: int = st.session_state.setdefault("new_contract_step", 0)
    page_title(t("page.new_contract"), t("new.about"))
    marks = "".join(
        f'<li class="{"done" if i < at else "on" if i == at else ""}"><span>{"✓" if i < at else i + 1}</span>{esc(t(f"new.step_{name}"))}</li>'
        for i, (name, _) in enumerate(STEPS)
    )
    st.html(f'<ol class="hf-steps">{marks}</ol>')
    name, draw = STEPS[at]
    if name == "review":
        _review(form)
    else:
        with card(f"step_{name}", t(f"new.step_{name}"), "edit_note", t(f"new.note_{name}")):
            draw(form)
    _move(form, at)


def _move(form: dict[str, Any], at: int) -> None:
    with st.container(horizontal=True):
        if at > 0 and st.button(t("do.previous"), icon=":material/arrow_back:", key="previous"):
            st.session_state["new_contract_step"] = at - 1
            st.rerun()
        if at < len(STEPS) - 1 and st.button(
            t("do.next"), icon=":material/arrow_forward:", type="primary", key="next"
        ):
            if missing := steps.missing(form, STEPS[at][0]):
                st.warning(
                    t("new.missing", what=t("common.comma").join(t(f"new.{name}") for name in missing))
                )
            else:
                st.session_state["new_contract_step"] = at + 1
                st.rerun()


def _review(form: dict[str, Any]) -> None:
    try:
        draft = ReconciliationDraft(**steps.to_draft(form))
    except ValidationError as error:
        form_problems(error)
        return
    with problems_shown():
        view = node().draft(draft)
        st.info(t("new.review_note"), icon=":material/visibility:")
        draw_contract(view)
        if not may("approver"):
            st.info(t("new.approver_proposes"), icon=":material/lock:")
        elif st.button(t("new.propose"), type="primary", icon=":material/send:", key="propose"):
            _propose(view)


def _propose(view: ContractView) -> None:
    try:
        proposed = node().propose(view.document)
    except ConsoleError:
        st.warning(t("new.not_proposed"))
        raise
    st.session_state["flash"] = t("new.proposed", id=view.document.contract_id)
    del st.session_state["new_contract"], st.session_state["new_contract_step"]
    go("contracts", id=proposed.summary.digest)
