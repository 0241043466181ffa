"""新建合约, step by step: scenario → parties → data → computation → legal basis → limits → review → propose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st
from hefu.node.console_models import ContractView
from pydantic import ValidationError

from hefu_ui.errors import ConsoleError, NodeRefused
from hefu_ui.look.contract import draw_contract
from hefu_ui.look.html import esc
from hefu_ui.look.page import card, form_problems, go, page_title, problems_shown
from hefu_ui.signed_in import may, node
from hefu_ui.wizard import basis, computation, data, draft, limits, parties, scenario
from hefu_ui.wizard.form import STATISTICS, Form, blank
from hefu_ui.words import t

STEPS: tuple[tuple[str, Callable[[Form], None]], ...] = (
    ("template", scenario.draw),
    ("parties", parties.draw),
    ("data", data.draw),
    ("computation", computation.draw),
    ("basis", basis.draw),
    ("limits", limits.draw),
    ("review", lambda _: None),
)
_STEP_OF = {
    "contract_id": "template", "title": "template", "mandate": "template", "parties": "parties", "outputs": "parties",
    "computation.compute_parties": "parties", "computation": "computation", "data_sets": "data", "data_sets.fields": "computation",
    "data_sets.row_filter": "basis", "data_sets.subject_field": "basis", "data_sets.consents": "basis", "data_sets.legal_basis": "basis",
    "limits": "limits", "schedule": "limits", "trial": "limits", "milestones": "limits",
}  # fmt: skip
"""Clause that the node names → the step where it is mended; the longest beginning that fits counts."""


def show() -> None:
    form: Form = st.session_state.setdefault("new_contract", blank())
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
        other = name == "computation" and form["template"] == STATISTICS
        note = t("new.note_statistics") if other else t(f"new.note_{name}")
        with card(f"step_{name}", t(f"new.step_{name}"), "edit_note", note):
            draw(form)
    _move(form, at)


def _move(form: Form, at: int) -> None:
    with st.container(horizontal=True):
        if at > 0 and st.button(t("do.previous"), icon=":material/arrow_back:", key="previous"):
            _to(at - 1)
        if at < len(STEPS) - 1 and st.button(t("do.next"), icon=":material/arrow_forward:", type="primary", key="next"):  # fmt: skip
            if missing := draft.missing(form, STEPS[at][0]):
                st.warning(t("new.missing", what=t("common.comma").join(t(f"new.{name}") for name in missing)))  # fmt: skip
            else:
                _to(at + 1)


def _to(step: int) -> None:
    st.session_state["new_contract_step"] = step
    st.rerun()


def step_of(clause: str | None) -> str | None:
    """The step where a clause that the node refuses is mended."""
    fitting = [known for known in _STEP_OF if clause and (clause == known or clause.startswith(f"{known}."))]
    return _STEP_OF[max(fitting, key=len)] if fitting else None


def _review(form: Form) -> None:
    try:
        wanted = draft.to_draft(form)
    except ValidationError as error:
        form_problems(error)
        return
    try:
        view = node().draft(wanted)
    except NodeRefused as refusal:
        with problems_shown():
            raise
        st.caption(t("new.kept"))
        names: list[Any] = [name for name, _ in STEPS]
        if (step := step_of(refusal.error.limit)) and st.button(
            t("new.mend_in", step=t(f"new.step_{step}")), icon=":material/build:", type="primary", key="mend"
        ):
            _to(names.index(step))
        return
    st.info(t("new.review_note"), icon=":material/visibility:")
    draw_contract(view)
    if not may("approver"):
        st.info(t("new.preparer_proposes"), icon=":material/group:")
    with problems_shown():
        if st.button(t("new.propose"), type="primary", icon=":material/send:", key="propose"):
            _propose(view)


def _propose(view: ContractView) -> None:
    try:
        proposed = node().propose(view.document)
    except ConsoleError:
        st.warning(t("new.not_proposed"))
        raise
    del st.session_state["new_contract"], st.session_state["new_contract_step"]
    digest = proposed.summary.digest
    if any(p.kind == "propose" and p.subject == digest for p in proposed.prepared):
        st.session_state["flash"] = t("new.handed_on", id=view.document.contract_id)
        go("approvals", id=digest)
    st.session_state["flash"] = t("new.proposed", id=view.document.contract_id)
    go("contracts", id=digest)
