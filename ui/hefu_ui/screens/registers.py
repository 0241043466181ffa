"""登记册: the register of processing activities and that of entrusted parties, both derived from contracts and filings."""

from __future__ import annotations

import streamlit as st
from hefu.node.compliance_models import EntrustedView, ProcessingRecord

from hefu_ui.look.formats import org_name, org_names, short, when
from hefu_ui.look.html import Html, chip, esc, join, mono, table
from hefu_ui.look.page import card, empty, go, page_title
from hefu_ui.look.states import state_chip
from hefu_ui.signed_in import changes, me, node
from hefu_ui.words import named, pick, t


def show() -> None:
    page_title(t("page.registers"), t("registers.about"))
    processing, entrusted = node().compliance.processing(), node().compliance.entrusted()
    if not processing:
        with card("no_registers"):
            empty("menu_book", t("registers.none"), t("registers.none_next"))
        return
    first, second = st.tabs(
        [f":material/menu_book: {t('registers.processing')} ({len(processing)})", f":material/handshake: {t('registers.entrusted')} ({len(entrusted)})"]
    )  # fmt: skip
    with first, card("processing"):
        _processing(processing)
    with second, card("entrusted"):
        _entrusted(entrusted)


def _processing(records: list[ProcessingRecord]) -> None:
    table(
        [t("common.contract"), t("registers.categories"), t("registers.basis"), t("registers.computes"), t("registers.recipients"),
         t("registers.retention"), t("registers.assessment")],
        [
            [Html(f"<b>{esc(pick(r.title, r.title_en))}</b><br>{mono(r.contract_id)} {state_chip('contract_state', r.state)}"
                  f"<br><small>{esc(org_name(r.owner))} · {esc(r.data_set_id)}</small><br><small>{esc(r.purpose)}</small>"),
             Html(esc(t("common.comma").join(r.categories)) + "<br>" + join([chip(named("sensitive", s), "red") for s in r.sensitive], "")),
             Html(f"{chip(named('basis', r.basis), 'violet')}<br><small>{esc(r.basis_note)}</small>"),
             org_names(r.compute_parties), org_names(r.recipients), t("common.days", n=max(r.retention_days, r.minimum_retention_days)),
             mono(short(r.assessment), r.assessment) if r.assessment else chip(t("registers.no_assessment"), "orange", "warning")]
            for r in records
        ],
    )  # fmt: skip


def _entrusted(parties: list[EntrustedView]) -> None:
    table(
        [t("registers.handler"), t("registers.entrusted_party"), t("common.contract"), t("registers.supervised"), t("registers.deletion")],
        [
            [org_name(e.handler), Html(f"<b>{esc(org_name(e.entrusted))}</b>"), mono(e.contract_id), _records(e),
             chip(t("registers.deletion_yes"), "green", "check") if e.certified_deletion else chip(t("registers.deletion_no"))]
            for e in parties
        ],
    )  # fmt: skip
    mine = [e for e in parties if e.handler == me().org_id]
    if (
        changes()
        and mine
        and st.button(t("registers.add_supervision"), type="primary", icon=":material/fact_check:")
    ):
        first = min(mine, key=lambda e: len(e.records))
        go("filings", new="supervision", contract=first.contract_id, subject=first.entrusted)


def _records(e: EntrustedView) -> Html:
    if not e.records:
        return chip(t("registers.not_supervised"), "orange", "warning")
    newest = e.records[0]
    good = bool(newest.content["satisfied"])
    mark = chip(newest.content["checked_on"], "green" if good else "red", "check_circle" if good else "error")
    return Html(f"{mark}<br><small>{esc(newest.content['findings'])} · {esc(when(newest.issued_at))}</small>")
