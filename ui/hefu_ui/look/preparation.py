"""What one person prepared and another must decide 经办/复核: a proposal, a signature, a notice, the release of a result."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st
from hefu.domain.contract import Contract, NoticeKind
from hefu.node.console_models import NoticeRequest
from hefu.node.contract_life_models import PreparationView

from hefu_ui.look.contract import draw_clauses, draw_contract
from hefu_ui.look.formats import short, when
from hefu_ui.look.html import Html, esc, facts, icon, mono
from hefu_ui.look.page import ask_reason, card, do, go
from hefu_ui.signed_in import may, me, node
from hefu_ui.words import named, t

_SYMBOLS = {"propose": "note_add", "sign": "draw", "notice": "campaign", "release": "outbox"}


def draw_preparations(waiting: Sequence[PreparationView]) -> None:
    """One line each, with the button that opens it."""
    for p in waiting:
        words, action = st.columns([6, 1], vertical_alignment="center")
        said = t("approvals.prepared_by", who=p.prepared_by, at=when(p.prepared_at))
        words.html(
            f'<div class="hf-feed"><div class="item"><span class="dot hf-orange">{icon(_SYMBOLS.get(p.kind, "task"))}</span>'
            f"<div><b>{esc(named('prepared', p.kind))} · {esc(_about(p))}</b><small>{esc(said)}</small></div>{mono(short(p.subject), p.subject)}</div></div>"
        )
        if action.button(t("do.handle"), key=f"prep_{p.preparation_id}", width="stretch"):
            if p.kind == "release":
                go("jobs", id=p.subject)
            st.query_params["id"] = p.subject
            st.rerun()


def _about(p: PreparationView) -> str:
    if p.kind == "propose" and p.document:
        c = Contract.from_bytes(p.document.encode())
        return f"{c.title} {c.contract_id} v{c.version}"
    if p.kind == "notice" and p.document:
        kind, reason = json.loads(p.document)
        return f"{named('notice', kind)}: {reason}"
    return short(p.subject)


def draw_preparation(p: PreparationView) -> None:
    """Exactly what is to be decided, and the two buttons."""
    with card(f"preparation_{p.preparation_id}", named("prepared", p.kind), _SYMBOLS.get(p.kind, "task")):
        facts(
            [
                (t("approvals.by"), p.prepared_by),
                (t("common.time"), when(p.prepared_at)),
                (t("approvals.document"), Html(mono(short(p.subject), p.subject))),
                (t("approvals.what"), _about(p)),
            ]
        )
        own = p.prepared_by == me().user.username
        if own:
            st.info(t("approvals.another"), icon=":material/group:")
        elif not may("approver"):
            st.caption(t("filings.approver_only"))
        with st.container(horizontal=True):
            deed = None if own or not may("approver") else _deed(p)
            if deed is not None and st.button(t("approvals.approve"), key="approve", type="primary", icon=":material/done_all:"):  # fmt: skip
                st.query_params.clear()
                do(deed, t("approvals.approved"))
            if p.kind == "release" and st.button(t("approvals.to_job"), icon=":material/account_tree:", key="to_job"):  # fmt: skip
                go("jobs", id=p.subject)
            if own or may("approver"):
                word = t("approvals.take_back") if own else t("filings.reject")
                ask_reason(word, "turn_down", "undo", partial(node().governance.turn_down, p.preparation_id))
    if p.kind == "propose" and p.document:
        draw_clauses(Contract.from_bytes(p.document.encode()), p.document)
    elif p.kind == "sign":
        draw_contract(node().contract(p.subject))


def _deed(p: PreparationView) -> Callable[[], object] | None:
    """The same decision with exactly the same content, now by a second person."""
    if p.kind == "propose" and p.document:
        document = Contract.from_bytes(p.document.encode())
        return lambda: node().propose(document)
    if p.kind == "sign":
        return lambda: node().sign(p.subject)
    if p.kind == "notice" and p.document:
        kind, reason = json.loads(p.document)
        return lambda: node().notice(p.subject, NoticeRequest(kind=NoticeKind(kind), reason=reason))
    return None
