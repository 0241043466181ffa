"""Complaints and data subjects' requests as cards: what everybody may see, and what the reader alone may open."""

from __future__ import annotations

import streamlit as st
from hefu.node.compliance_models import SealedCase

from hefu_ui.look.filing import draw_document
from hefu_ui.look.formats import org_name, org_names, short, when
from hefu_ui.look.html import esc
from hefu_ui.look.html import facts as draw_facts
from hefu_ui.look.page import card, go, problems_shown
from hefu_ui.look.states import state_chip
from hefu_ui.signed_in import may, me, node
from hefu_ui.words import named, t


def draw_case(case: SealedCase, symbol: str) -> None:
    """One case with its outcomes; buttons for those who must act."""
    f = case.filing
    title = named("choice", f.content.get("about") or f.content["right"])
    with card(f"case_{f.digest[:12]}", f"{title} · {f.contract_id}", symbol, short(f.digest)):
        facts: list[tuple[str, object]] = [
            (t("common.state"), state_chip("case_state", case.state)),
            (t("cases.due"), case.due_on),
            (t("cases.taken_by"), f"{org_name(f.issuer)} · {when(f.issued_at)}"),
            (t("cases.responsible"), org_name(f.content["responsible"])),
        ]
        if "holders" in f.content:
            facts.append((t("cases.holders"), org_names(f.content["holders"])))
        draw_facts(facts)
        for outcome in case.outcomes:
            st.html(f'<h4 class="hf-sub">{esc(t("cases.outcomes"))} · {esc(org_name(outcome.issuer))} · {esc(when(outcome.issued_at))}</h4>')  # fmt: skip
            shown = {k: v for k, v in outcome.content.items() if k in ("outcome", "upheld", "reason")}
            draw_document(outcome.kind, shown)
        _actions(case)


def _actions(case: SealedCase) -> None:
    """For whoever it is sealed to and must act; a viewer gets no button, and the node refuses them. Opening is recorded."""
    f = case.filing
    readable = me().org_id in f.content["sealed"]
    if not may("preparer", "approver") or not (readable or case.mine):
        return
    with st.container(horizontal=True, key=f"actions_{f.digest[:12]}"):
        opened = readable and st.button(
            t("cases.open"), key=f"open_{f.digest[:12]}", icon=":material/lock_open:"
        )
        if case.mine and st.button(
            t("cases.answer"), key=f"answer_{f.digest[:12]}", type="primary", icon=":material/task_alt:"
        ):
            go("filings", new=f"{f.kind}_outcome", contract=f.contract_id or "", subject=f.digest)
    if opened:
        with problems_shown():
            words = node().compliance.open_words(f.digest).words
            st.html(f'<div class="hf-seal"><div><b>{esc(t("cases.opened"))}</b>{esc(words)}</div></div>')
