"""投诉: the inbox with deadlines, and taking one in. What was said is sealed to the contract's contact for complaints."""

from __future__ import annotations

import streamlit as st
from hefu.node.compliance_models import NewComplaint

from hefu_ui.look.page import asking, card, do, empty, page_title
from hefu_ui.look.sealed_cases import draw_case
from hefu_ui.signed_in import changes, node
from hefu_ui.words import named, t

_ABOUT = ("data_use", "data_quality", "automated_decision", "security", "other")


def show() -> None:
    page_title(t("page.complaints"), t("complaints.about"))
    if changes():
        _take()
    found = [c for c in node().compliance.sealed_cases() if c.filing.kind == "complaint"]
    if not found:
        with card("no_complaints"):
            empty("sentiment_satisfied", t("complaints.none"), t("complaints.none_next"))
    wanted = st.query_params.get("id")
    for case in sorted(found, key=lambda c: c.filing.digest != wanted):
        draw_case(case, "feedback")


def _take() -> None:
    contracts = list(dict.fromkeys(c.contract_id for c in node().contracts()))
    if not contracts:
        return
    with asking(t("complaints.new"), "new_complaint", "add_comment", primary=True) as key:
        contract = st.selectbox(t("common.contract"), contracts, key=key("complaint_contract"))
        about = st.selectbox(t("field_of.about"), _ABOUT, format_func=lambda a: named("choice", a), key=key("complaint_about"))  # fmt: skip
        words = st.text_area(t("complaints.words"), help=t("complaints.words_help"), max_chars=1200, key=key("complaint_words"))  # fmt: skip
        ready = bool(words.strip())
        if st.button(t("filings.submit"), type="primary", key=key("complaint_send"), disabled=not ready):
            said = NewComplaint(contract_id=contract, about=about, words=words.strip())
            do(lambda: node().compliance.complain(said), t("cases.sent"))
