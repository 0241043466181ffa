"""存证账本: filter, look at an entry with its signature and inclusion, verify the whole, take a copy."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

import streamlit as st
from hefu.node.console_models import LedgerEntryDetail

from hefu_ui.look.formats import SHANGHAI, count, org_name, short, when
from hefu_ui.look.html import Html, chip, esc, facts, mono
from hefu_ui.look.page import card, empty, page_title, problems_shown
from hefu_ui.look.picker import pick_row
from hefu_ui.look.states import state_chip
from hefu_ui.signed_in import node
from hefu_ui.words import CATALOGUE, named, pick, t

PAGE = 100


def show() -> None:
    state = node().ledger_state()
    page_title(
        t("page.ledger"), t("ledger.about"),
        (chip(t("ledger.entries", n=count(state.size)), "blue", "link"), mono(short(state.root), state.root)),
    )  # fmt: skip
    left, right = st.columns([3, 2], gap="medium")
    with left, card("checkpoint", t("ledger.checkpoint"), "verified", fill=True):
        facts(
            [
                (t("ledger.origin"), mono(state.origin)),
                (t("ledger.size"), count(state.size)),
                (t("ledger.checkpoint_at"), when(state.checkpoint_at, seconds=True)),
                (t("ledger.today"), count(state.entries_today)),
                (t("ledger.unreceipted"), count(state.unreceipted)),
                (t("ledger.root"), mono(short(state.root), state.root)),
            ]
        )
    with right, card("verify", t("ledger.verify"), "policy", t("ledger.verify_note"), fill=True):
        _verify()
    with card("entries", t("ledger.list"), "receipt_long", t("common.pick_row")):
        _entries()


def _verify() -> None:
    with st.container(horizontal=True):
        if st.button(t("ledger.start_verify"), type="primary", icon=":material/verified_user:", key="verify"):
            with problems_shown():
                node().start_verification()
        if st.button(t("ledger.prepare_export"), icon=":material/folder_zip:", key="export"):
            with problems_shown(), st.spinner(t("ledger.exporting")):
                st.session_state["ledger_export"] = node().export_ledger()
        if data := st.session_state.get("ledger_export"):
            st.download_button(
                t("ledger.download_export"),
                data,
                file_name="ledger-export.tar",
                on_click="ignore",
                icon=":material/download:",
            )
    running = node().verification().state == "running"
    st.fragment(_verify_progress, run_every=0.5 if running else None)()


def _verify_progress() -> None:
    with problems_shown():
        v = node().verification()
        share = v.done / v.total if v.total else 0.0
        color = {"running": "blue", "passed": "green", "failed": "red"}.get(v.state, "gray")
        width = 100 if v.state in ("passed", "failed") else round(share * 100)
        counted = (
            t("ledger.verified_of", done=count(v.done), all=count(v.total))
            if v.total
            else t("ledger.never_verified")
        )
        st.html(
            f"<div>{state_chip('verify', v.state)} {esc(counted)} {esc(when(v.finished_at, seconds=True) if v.finished_at else '')}</div>"
            f'<div class="hf-bar hf-{color}" style="margin:8px 0"><i style="width:{width}%"></i></div>'
            f"<div>{esc(pick(v.message_zh, v.message_en))}</div>"
        )
        if v.state == "running":
            st.session_state["was_verifying"] = True
        elif st.session_state.pop("was_verifying", False):
            st.rerun(scope="app")


def _entries() -> None:
    kinds = sorted(key.split(".", 1)[1] for key in CATALOGUE if key.startswith("evidence."))
    names = {c.digest: f"{c.contract_id} v{c.version}" for c in node().contracts()}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        contract = st.selectbox(
            t("common.contract"),
            ["", *names],
            format_func=lambda d: names.get(d, t("common.all")),
            key="f_contract",
            width=160,
        )
        job = st.text_input(t("ledger.job"), key="f_job", value=st.query_params.get("job", ""), width=160)
        actor = st.text_input(t("ledger.actor"), key="f_actor", width=120)
        kind = st.selectbox(
            t("ledger.kind"),
            ["", *kinds],
            format_func=lambda k: named("evidence", k) if k else t("common.all"),
            key="f_kind",
            width=150,
        )
        days: Any = st.date_input(t("ledger.days"), value=[], key="f_days", width=225)
    since, until = _range(days)
    before = st.session_state.get("ledger_before")
    entries = node().entries(
        contract=contract,
        job=job,
        actor=actor,
        kind=kind,
        since=since,
        until=until,
        before=before,
        limit=PAGE,
    )
    if not entries:
        empty("search_off", t("ledger.none"), t("ledger.none_next"))
    else:
        chosen = pick_row(
            "entries_table",
            [
                {
                    "#": e.seq,
                    t("common.time"): when(e.logged_at, seconds=True),
                    t("ledger.kind"): named("evidence", e.kind),
                    t("ledger.actor"): org_name(e.actor),
                    t("common.contract"): names.get(e.contract or "", short(e.contract or "—")),
                    t("ledger.job"): e.job or "—",
                    t("jobs.stage"): named("stage", e.stage) if e.stage else "—",
                    t("ledger.leaf"): short(e.leaf_hash),
                }
                for e in entries
            ],
            {
                "#": st.column_config.NumberColumn(width=60),
                t("ledger.kind"): st.column_config.TextColumn(width=125),
            },
        )
        _paging([e.seq for e in entries])
        if chosen is not None:
            _entry(node().entry(entries[chosen].seq), names)


def _range(days: object) -> tuple[datetime | None, datetime | None]:
    picked = list(days) if isinstance(days, tuple | list) else []
    since = datetime.combine(picked[0], time.min, SHANGHAI) if picked else None
    until = datetime.combine(picked[-1], time.max, SHANGHAI) if picked else None
    return since, until


def _paging(seqs: list[int]) -> None:
    with st.container(horizontal=True):
        if st.session_state.get("ledger_before") and st.button(
            t("ledger.newest"), icon=":material/first_page:", type="tertiary"
        ):
            del st.session_state["ledger_before"]
            st.rerun()
        if (
            len(seqs) == PAGE
            and min(seqs) > 0
            and st.button(t("ledger.older"), icon=":material/chevron_right:", type="tertiary")
        ):
            st.session_state["ledger_before"] = min(seqs)
            st.rerun()


def _entry(d: LedgerEntryDetail, names: dict[str, str]) -> None:
    e = d.entry

    def valid(good: bool, yes: str, no: str) -> Html:
        return chip(t(yes), "green", "check_circle") if good else chip(t(no), "red", "gpp_bad")

    with st.container(border=True, key="card_entry"):
        st.html(
            f'<h3 class="hf-card">#{e.seq} · {esc(named("evidence", e.kind))}</h3>'
            f"{valid(d.signature_valid, 'ledger.signature_good', 'ledger.signature_bad')}"
            f"{valid(d.inclusion_valid, 'ledger.inclusion_good', 'ledger.inclusion_bad')}"
        )
        facts(
            [
                (t("ledger.actor"), org_name(e.actor)),
                (t("ledger.acted_at"), when(d.at, seconds=True)),
                (t("ledger.logged_at"), when(e.logged_at, seconds=True)),
                (t("ledger.signer_seq"), d.signer_seq),
                (t("ledger.key_id"), mono(short(d.key_id), d.key_id)),
                (t("ledger.leaf"), mono(short(e.leaf_hash), e.leaf_hash)),
                (t("ledger.envelope"), mono(short(e.envelope_id), e.envelope_id)),
                (t("ledger.prev"), mono(short(d.prev), d.prev) if d.prev else t("common.none")),
                (t("common.contract"), names.get(e.contract or "", short(e.contract or t("common.none")))),
                (t("ledger.job"), e.job or t("common.none")),
            ]
        )
        st.html(f"<b>{esc(t('ledger.body'))}</b>")
        facts(
            [(named("body", name), _plain(value, name)) for name, value in d.body.items()]
            or [(t("ledger.body"), t("common.none"))]
        )
        with st.expander(t("ledger.raw"), icon=":material/data_object:"):
            st.code(d.raw, language="json", wrap_lines=True)
            st.code(d.checkpoint, language=None)


_ORGS = ("by", "cast", "from", "org", "owner", "owners", "parties", "peer", "recipient")
_WORDS = {"state": "job_state", "reason": "job_reason", "stage": "stage", "standing": "standing"}


def _plain(value: object, name: str = "") -> Html:
    """A value of the evidence's body in words: digests shortened, organisations named, lists joined."""
    if isinstance(value, dict):
        return Html(
            "<br>".join(f"{esc(org_name(k) if len(k) < 32 else k)}: {_plain(v)}" for k, v in value.items())
        )
    if isinstance(value, list):
        return Html("<br>".join(_plain(v, name) for v in value)) or esc("—")
    if isinstance(value, bool):
        return esc(t("common.yes") if value else t("common.no"))
    if value is None or value == "":
        return esc("—")
    text = str(value)
    if name in _ORGS:
        return esc(org_name(text))
    if len(text) >= 32 and " " not in text:
        return mono(short(text), text)
    return esc(named(_WORDS[name], text) if name in _WORDS else text)
