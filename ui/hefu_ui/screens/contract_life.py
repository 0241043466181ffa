"""A contract's life on its page: what this version changes, the next version, what is owed after the end."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import streamlit as st
from hefu.domain.contract_diff import ClauseChange
from hefu.domain.contract_life import Duty
from hefu.node.console_models import ContractView
from hefu.node.contract_life_models import RenewalRequest

from hefu_ui.look.formats import org_name, short
from hefu_ui.look.html import chip, mono, table
from hefu_ui.look.page import card, problems_shown
from hefu_ui.signed_in import may, node, only_audits
from hefu_ui.words import named, pick, t

_RENEWABLE = ("active", "suspended", "expired", "exhausted")
_SHOWN = 120


def show_life(view: ContractView) -> None:
    """Changes against the version before, the renewal form, the duties of a contract that is over."""
    digest, version = view.summary.digest, view.summary.version
    if version > 1:
        with card("changes", t("life.changes"), "difference", t("life.changes_about", version=version - 1)):
            draw_changes(node().governance.changes(digest))
    duties = node().governance.duties(digest)
    if duties:
        with card("owed", t("life.duties"), "task_alt", t("life.duties_about")):
            _draw_duties(duties)
    if view.summary.state in _RENEWABLE and may("preparer", "approver") and not only_audits():
        _renewal(view)


def draw_changes(changes: list[ClauseChange]) -> None:
    """Clause by clause: before and after."""
    if not changes:
        st.caption(t("life.no_changes"))
        return
    table(
        [t("life.clause"), t("life.kind"), t("life.before"), t("life.after")],
        [
            [mono(c.clause), chip(named("clause_change", c.change)), _said(c.before), _said(c.after)]
            for c in changes
        ],
    )


def _said(value: object) -> str:
    text = "—" if value is None else str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _draw_duties(duties: list[Duty]) -> None:
    table(
        [t("life.party"), t("life.duty"), t("life.law")],
        [[org_name(d.org_id), pick(d.text_zh, d.text_en), "、".join(d.law)] for d in duties],
    )


def _renewal(view: ContractView) -> None:
    """The next version: drafted by the node, read clause by clause, then proposed to everybody."""
    s, limits = view.summary, view.document.limits
    key = f"renewal_{s.digest}"
    with st.expander(t("life.renew"), icon=":material/autorenew:"):
        st.caption(t("life.renew_about"))
        with st.form("renewal", border=False):
            left, middle, right = st.columns(3)
            until = left.date_input(
                t("contracts.valid_until"), limits.valid_until.date() + timedelta(days=365), key="renew_until"
            )
            uses = middle.number_input(
                t("life.max_uses"), min_value=1, value=limits.max_uses, help=t("life.max_uses_help"), key="renew_uses"
            )  # fmt: skip
            days = right.number_input(
                t("life.signing_days"), min_value=1, max_value=90, value=7, key="renew_days"
            )
            if st.form_submit_button(t("life.draft"), icon=":material/edit_document:"):
                request = RenewalRequest(
                    valid_until=datetime.combine(until, time(), UTC), max_uses=uses, signing_days=days
                )
                with problems_shown():
                    st.session_state[key] = node().governance.renew(s.digest, request)
        drafted: ContractView | None = st.session_state.get(key)
        if drafted is None:
            return
        st.markdown(f"**{t('life.next', version=drafted.summary.version)}** {mono(short(drafted.summary.digest))}", unsafe_allow_html=True)  # fmt: skip
        new = drafted.document.limits
        table(
            [t("life.clause"), t("life.before"), t("life.after")],
            [
                [t("contracts.valid_until"), str(limits.valid_until.date()), str(new.valid_until.date())],
                [t("life.max_uses"), str(limits.max_uses), str(new.max_uses)],
            ],
        )
        if st.button(t("life.propose"), type="primary", icon=":material/send:", key="propose_renewal"):
            with problems_shown():
                proposed = node().propose(drafted.document)
                del st.session_state[key]
                waits = any(
                    p.kind == "propose" and p.subject == proposed.summary.digest for p in proposed.prepared
                )
                st.session_state["flash"] = t("life.prepared" if waits else "life.proposed")
                st.rerun()
