"""个人信息主体请求: taken at any party, sealed to whoever must act, answered by a deadline, honoured in later jobs."""

from __future__ import annotations

import streamlit as st
from hefu.domain.rules.subject_rights import DUTIES
from hefu.node.compliance_models import NewSubjectRequest

from hefu_ui.look.page import asking, card, do, empty, page_title
from hefu_ui.look.sealed_cases import draw_case
from hefu_ui.signed_in import changes, node
from hefu_ui.words import named, t


def show() -> None:
    page_title(t("page.subject_requests"), t("requests.about"))
    if changes():
        _take()
    found = [c for c in node().compliance.sealed_cases() if c.filing.kind == "subject_request"]
    if not found:
        with card("no_requests"):
            empty("person_check", t("requests.none"), t("requests.none_next"))
    wanted = st.query_params.get("id")
    for case in sorted(found, key=lambda c: c.filing.digest != wanted):
        draw_case(case, "person_alert")


def _take() -> None:
    contracts = list(dict.fromkeys(c.contract_id for c in node().contracts()))
    if not contracts:
        return
    with asking(t("requests.new"), "new_request", "person_add", primary=True) as key:
        contract = st.selectbox(t("common.contract"), contracts, key=key("request_contract"))
        right = st.selectbox(t("field_of.right"), list(DUTIES), format_func=lambda r: named("choice", r), key=key("request_right"))  # fmt: skip
        who = st.text_input(t("requests.identifier"), help=t("requests.identifier_help"), max_chars=200, key=key("request_who"))  # fmt: skip
        note = st.text_area(t("requests.note"), max_chars=1000, key=key("request_note"))
        if st.button(t("filings.submit"), type="primary", key=key("request_send"), disabled=not who.strip()):
            asked = NewSubjectRequest(
                contract_id=contract, right=right, identifier=who.strip(), note=note.strip()
            )
            do(lambda: node().compliance.request(asked), t("cases.sent"))
