"""First step: which scenario, under which name, for which purpose, under which mandate."""

from __future__ import annotations

import hashlib

import streamlit as st
from hefu.node.contract_life_models import TemplateView

from hefu_ui.look.formats import today
from hefu_ui.look.html import Html, chip, esc, icon
from hefu_ui.wizard.form import RECONCILIATION, Form, keep, templates
from hefu_ui.words import language, pick, t

_SYMBOLS = {
    "t1_reconciliation": "balance",
    "joint_statistics": "bar_chart",
    "blacklist_lookup": "person_search",
    "joint_modelling": "model_training",
    "advertising": "campaign",
    "face_matching": "face",
}
_PREFIX = {"t1_reconciliation": "T1-RECON", "joint_statistics": "STAT"}


def draw(form: Form) -> None:
    """Six cards, then the words of the contract."""
    offered = templates()
    _cards(form, offered)
    view = offered.get(form["template"])
    if view is not None:
        _fill(form, view)
    left, right = st.columns(2, gap="large")
    form["contract_id"] = left.text_input(t("new.contract_id"), key=keep(form, "contract_id"), help=t("new.contract_id_rule")).strip().upper()  # fmt: skip
    form["mandate_number"] = right.text_input(t("new.mandate"), key=keep(form, "mandate_number"), help=t("new.mandate_help")).strip()  # fmt: skip
    form["title"] = left.text_input(t("new.title"), key=keep(form, "title"))
    form["title_en"] = right.text_input(t("new.title_en"), key=keep(form, "title_en"))
    form["purpose"] = st.text_area(t("new.purpose"), key=keep(form, "purpose"), help=t("new.purpose_help"))
    if form["mandate_number"]:
        form["mandate_digest"] = ask_digest(
            t("new.mandate_file"), t("new.mandate_file_help"), form["mandate_digest"], "new_mandate_file"
        )


def ask_digest(label: str, help_text: str, now: str | None, key: str) -> str | None:
    """The SHA-256 of a file that is chosen here and not kept; what was computed before stays."""
    file = st.file_uploader(label, help=help_text, key=key)
    if file is not None:
        now = hashlib.sha256(file.getvalue()).hexdigest()
    if now:
        st.caption(f":material/fingerprint: SHA-256 `{now}`")
    return now or None


def _cards(form: Form, offered: dict[str, TemplateView]) -> None:
    views = list(offered.values())
    for row in (views[:3], views[3:6]):
        for view, column in zip(row, st.columns(3), strict=False):
            with column.container(border=True, height="stretch", key=f"scenario_{view.template}"):
                _card(form, view)


def _card(form: Form, view: TemplateView) -> None:
    on = form["template"] == view.template
    name = pick(view.name_zh, view.name_en)
    about = str(view.clauses.get("purpose", "")).split(" / ")
    text = about[-1] if language() == "en" else about[0]
    mark = chip(t("new.chosen"), "green", "check_circle") if on else ""
    st.html(f"{icon(_SYMBOLS.get(view.template, 'description'))} <b>{esc(name)}</b> {mark}<p class='hf-lead'>{esc(text)}</p>")  # fmt: skip
    if not view.available:
        st.html(Html(chip(t("new.unavailable"), "gray", "block")) + f" <small>{esc(pick(view.reason_zh, view.reason_en))}</small>")  # fmt: skip
    elif not on and st.button(t("new.choose"), key=f"choose_{view.template}", icon=":material/check:"):
        _choose(form, view.template)
        st.rerun()


def _choose(form: Form, template: str) -> None:
    """Another scenario has other words and another number of uses: those that it suggests."""
    form.update(template=template, title="", title_en="", purpose="", cast=None, terms={}, data_sets={})
    form["contract_id"] = f"{_PREFIX.get(template, 'HF')}-{today():%Y%m%d}"
    form["max_uses"] = 400 if template == RECONCILIATION else 12
    for name in ("title", "title_en", "purpose", "contract_id", "max_uses"):
        st.session_state.pop(f"new_{name}", None)


def _fill(form: Form, view: TemplateView) -> None:
    """The scenario's words where nothing was typed yet."""
    zh = str(view.clauses.get("purpose", "")).split(" / ")[0]
    usual = {"title": view.name_zh, "title_en": view.name_en, "purpose": zh}
    for name, words in usual.items():
        if not form[name] and not st.session_state.get(f"new_{name}"):
            form[name] = words
            st.session_state.pop(f"new_{name}", None)
