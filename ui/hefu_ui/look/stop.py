"""The stop button 暂停: a notice with its reason; where two persons are needed, what one prepared and the other's button."""

from __future__ import annotations

import json

import streamlit as st
from hefu.domain.contract import NoticeKind
from hefu.node.compliance_models import Cockpit
from hefu.node.console_models import NoticeRequest
from hefu.node.contract_life_models import PreparationView

from hefu_ui.look.page import ask_reason, do
from hefu_ui.signed_in import changes, may, me, node
from hefu_ui.words import named, t

_OFFERS = {
    "active": (NoticeKind.SUSPEND, "cockpit.stop", "pause_circle"),
    "suspended": (NoticeKind.RESUME, "cockpit.resume", "play_circle"),
}


def draw_stop(view: Cockpit) -> None:
    """Nothing for a viewer or a third party: they see all and change nothing."""
    if not changes():
        st.caption(f":material/visibility: {t('cockpit.read_only')}")
        return
    for waiting in node().compliance.preparations():
        if waiting.subject == view.digest and waiting.kind == "notice" and waiting.document:
            _waiting(view, waiting)
    if offer := _OFFERS.get(view.state):
        kind, word, symbol = offer
        ask_reason(t(word), f"cockpit_{kind}", symbol, lambda reason: _notice(view.digest, kind, reason))


def _waiting(view: Cockpit, waiting: PreparationView) -> None:
    kind, reason = json.loads(waiting.document or "[]")
    said = t("cockpit.prepared", who=waiting.prepared_by, what=named("notice", kind), reason=reason)
    st.warning(said, icon=":material/group:")
    if waiting.prepared_by == me().user.username or not may("approver"):
        st.caption(t("cockpit.another_approves"))
    elif st.button(t("cockpit.approve_notice"), key=f"second_{waiting.preparation_id}", type="primary"):
        do(lambda: _notice(view.digest, NoticeKind(kind), reason), t("common.done"))


def _notice(digest: str, kind: NoticeKind, reason: str) -> None:
    node().notice(digest, NoticeRequest(kind=kind, reason=reason))
