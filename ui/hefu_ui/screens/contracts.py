"""电子合约: the list with whom each waits for; one in detail; sign, refuse, suspend, terminate."""

from __future__ import annotations

from functools import partial

import streamlit as st
from hefu.domain.contract import NoticeKind
from hefu.node.console_models import ContractView, NoticeRequest

from hefu_ui.look.contract import draw_contract
from hefu_ui.look.formats import count, org_names, short, when
from hefu_ui.look.html import chip, mono
from hefu_ui.look.page import ask_reason, card, do, empty, go, page_title, problems_shown
from hefu_ui.look.picker import chips, pick_row
from hefu_ui.look.states import state_chip
from hefu_ui.screens.contract_life import show_life
from hefu_ui.signed_in import may, node, only_audits
from hefu_ui.words import language, named, t


def show() -> None:
    if wanted := st.query_params.get("id"):
        _detail(wanted)
        return
    contracts = sorted(node().contracts(), key=lambda c: c.proposed_at, reverse=True)
    page_title(t("page.contracts"), t("contracts.about"))
    if not contracts:
        with card("no_contracts"):
            empty("contract_edit", t("contracts.none"), t("contracts.none_next"))
            if may("preparer") and st.button(
                t("page.new_contract"), type="primary", icon=":material/note_add:"
            ):
                go("new_contract")
        return
    with card("contracts", t("contracts.list"), "contract", t("common.pick_row")):
        chosen = pick_row(
            "contracts_table",
            [
                {
                    t("contracts.title"): c.title if language() == "zh" else c.title_en,
                    t("contracts.id"): f"{c.contract_id} v{c.version}",
                    t("common.state"): [named("contract_state", c.state)],
                    t("contracts.waits_for"): org_names(c.waits_for) if c.waits_for else "—",
                    t("contracts.uses"): c.uses / max(c.max_uses, 1),
                    t("contracts.uses_of"): f"{c.uses} / {c.max_uses}",
                    t("contracts.valid_until"): when(c.valid_until),
                }
                for c in contracts
            ],
            {
                t("contracts.title"): st.column_config.TextColumn(width=230),
                t("contracts.id"): st.column_config.TextColumn(width=150),
                t("common.state"): chips("contract_state", t("common.state"), 120),
                t("contracts.uses"): st.column_config.ProgressColumn(
                    format="percent", min_value=0, max_value=1, width=120
                ),
            },
        )
        if chosen is not None:
            st.query_params["id"] = contracts[chosen].digest
            st.rerun()


def _detail(digest: str) -> None:
    view = node().contract(digest)
    s = view.summary
    if st.button(t("do.back"), icon=":material/arrow_back:", type="tertiary"):
        del st.query_params["id"]
        st.rerun()
    page_title(
        s.title if language() == "zh" else s.title_en,
        t("contracts.proposed", by=org_names([s.proposed_by]), at=when(s.proposed_at)),
        (
            state_chip("contract_state", s.state),
            chip(f"{s.contract_id} v{s.version}", "blue", "tag"),
            mono(short(digest), digest),
        ),
    )
    with st.container(horizontal=True):
        if st.button(t("cockpit.open"), icon=":material/verified_user:", key="to_cockpit"):
            go("cockpit", id=digest)
        _pdf(view)
    if s.waits_for:
        with card(
            "waits",
            t("contracts.waits_for"),
            "hourglass_top",
            t("contracts.deadline", at=when(s.signing_deadline)),
        ):
            st.write(org_names(s.waits_for))
            _signing(view)
    draw_contract(view)
    show_life(view)
    _notices(view)
    st.caption(t("contracts.uses_line", used=count(s.uses), max=count(s.max_uses)))


def _pdf(view: ContractView) -> None:
    """The readable text as a file, made when it is asked for and kept for this language until the page is left."""
    s = view.summary
    key = f"pdf_{s.digest}_{language()}"
    if st.button(t("contracts.make_pdf"), icon=":material/picture_as_pdf:", key="make_pdf"):
        with problems_shown():
            st.session_state[key] = node().contract_pdf(s.digest, language())
    if key in st.session_state:
        st.download_button(
            t("contracts.download_pdf"),
            st.session_state[key],
            file_name=f"{s.contract_id}-v{s.version}-{language()}.pdf",
            mime="application/pdf",
            on_click="ignore",
            icon=":material/download:",
            key="download_pdf",
        )


def _signing(view: ContractView) -> None:
    digest = view.summary.digest
    if not view.can_sign:
        return
    if not may("approver"):
        st.info(t("contracts.approver_signs"), icon=":material/lock:")
        return
    st.caption(t("contracts.sign_note"))
    with st.container(horizontal=True):
        if st.button(t("contracts.sign"), type="primary", icon=":material/draw:", key="sign"):
            do(lambda: node().sign(digest), t("contracts.signed"))
        ask_reason(
            t("notice.refuse"), "refuse_contract", "block",
            partial(_notice, digest, NoticeKind.REFUSE),
        )  # fmt: skip


def _notices(view: ContractView) -> None:
    offers = {
        "active": [(NoticeKind.SUSPEND, "pause_circle"), (NoticeKind.TERMINATE, "cancel")],
        "suspended": [(NoticeKind.RESUME, "play_circle"), (NoticeKind.TERMINATE, "cancel")],
    }.get(view.summary.state, [])
    if not offers or not may("approver") or only_audits():
        return
    with st.container(horizontal=True, key="notices"):
        for kind, symbol in offers:
            ask_reason(
                t(f"notice.{kind}"), f"notice_{kind}", symbol,
                partial(_notice, view.summary.digest, kind),
            )  # fmt: skip


def _notice(digest: str, kind: NoticeKind, reason: str) -> None:
    node().notice(digest, NoticeRequest(kind=kind, reason=reason))
