"""Fifth step: per data set which rows may be used, on which legal basis, and the consent chain 授权链 (K1, K11)."""

from __future__ import annotations

import streamlit as st
from hefu.domain.dataset import LegalBasis, SourceKind
from hefu.domain.terms import ConsentKind, Operation
from hefu.node.console_models import PublishedView

from hefu_ui.look.formats import org_name
from hefu_ui.wizard.form import (
    STATISTICS,
    Form,
    blank_consent,
    blank_terms,
    cast,
    keep,
    owners,
    published,
    templates,
    used_columns,
)
from hefu_ui.wizard.scenario import ask_digest
from hefu_ui.words import named, t

_BASES = [str(b) for b in LegalBasis]


def draw(form: Form) -> None:
    """One frame per owner."""
    found = published(form)
    if form["mandate_number"]:
        st.info(t("new.basis_mandate", number=form["mandate_number"]), icon=":material/gavel:")
    else:
        st.caption(t("new.basis_note"))
    view = templates().get(form["template"])
    kinds = list(view.clauses.get("consents", [])) if view else []
    for org in owners(form):
        if org in found:
            with st.container(border=True, key=f"basis_{org}"):
                _owner(form, org, found[org], kinds)


def _owner(form: Form, org: str, found: PublishedView, kinds: list[str]) -> None:
    terms = form["terms"].setdefault(org, blank_terms())
    d = found.definition
    columns = used_columns(form, org, found)
    st.markdown(f"**{org_name(org)}** · {d.name} `{d.data_set_id}`")
    left, right = st.columns([3, 2], gap="large")
    terms["row_filter"] = left.text_input(
        t("new.row_filter"), placeholder=_example(found, columns), help=t("new.row_filter_help", fields=", ".join(columns)), key=keep(terms, "row_filter", prefix=f"new_{org}"), max_chars=4000,
    )  # fmt: skip
    if form["template"] == STATISTICS:
        renamed = form["columns"].get(org, {})
        right.text_input(t("new.subject_field"), renamed.get(form["subject"]) or form["subject"] or "", disabled=True, key=f"new_{org}_subject_fixed")  # fmt: skip
    else:
        options = ["", *columns]
        if terms["subject_field"] is None:
            terms["subject_field"] = "party_id" if "party_id" in columns else ""
        terms["subject_field"] = right.selectbox(
            t("new.subject_field"), options, format_func=lambda c: c or t("common.none"), help=t("new.subject_field_help"), key=keep(terms, "subject_field", prefix=f"new_{org}", options=options),
        )  # fmt: skip
    flags = ["important", "minors", *(["events"] if form["template"] == STATISTICS else [])]
    terms["flags"] = left.multiselect(
        t("new.flags"), flags, format_func=lambda f: named("data_flag", f), placeholder=t("common.none"), help=t("new.flags_help"), key=keep(terms, "flags", prefix=f"new_{org}", options=flags),
    )  # fmt: skip
    if form["mandate_number"]:
        return
    terms["basis"] = terms["basis"] or str(d.legal_basis)
    terms["basis"] = left.selectbox(t("new.basis"), _BASES, format_func=lambda b: named("basis", b), key=keep(terms, "basis", prefix=f"new_{org}", options=_BASES))  # fmt: skip
    if terms["basis"] == "consent":
        if form["template"] != STATISTICS and not terms["subject_field"]:
            right.warning(t("new.no_subject"), icon=":material/person_off:")
        _chain(form, org, found, terms, kinds)
    else:
        terms["note"] = terms["note"] or d.legal_basis_note
        terms["note"] = right.text_input(t("new.basis_document"), help=t("new.basis_document_help"), key=keep(terms, "note", prefix=f"new_{org}"))  # fmt: skip


def _example(found: PublishedView, columns: list[str]) -> str:
    types = {f.name: f.type for f in found.definition.fields}
    words = {"money": "{} >= 100.00", "integer": "{} >= 1", "text": "{} IN ('A', 'B')", "datetime": "{} >= '2026-01-01'", "date": "{} >= '2026-01-01'"}  # fmt: skip
    shown = [words[types[c]].format(c) for c in columns if types.get(c) in ("money", "text")][:2]
    return " AND ".join(shown)


def _chain(form: Form, org: str, found: PublishedView, terms: Form, kinds: list[str]) -> None:
    links = terms["consents"]
    if not links:
        links.append(blank_consent(kinds))
    st.caption(t("new.chain_note"))
    for i, link in enumerate(links):
        with st.container(border=True, key=f"link_{org}_{i}"):
            _link(form, org, i, link, indirect=found.definition.source_kind is SourceKind.INDIRECT)
            if len(links) > 1 and st.button(t("new.link_less"), icon=":material/link_off:", key=f"less_{org}_{i}"):  # fmt: skip
                _forget(org, len(links))
                del links[i]
                st.rerun()
    if st.button(t("new.link_more"), icon=":material/add_link:", key=f"more_{org}"):
        links.append(blank_consent(kinds))
        st.rerun()


def _forget(org: str, links: int) -> None:
    """The links behind one that is taken out move up: their widgets start anew from the form."""
    for i in range(links):
        for name in blank_consent():
            st.session_state.pop(f"new_{org}_{i}_{name}", None)


def _link(form: Form, org: str, i: int, link: Form, *, indirect: bool) -> None:
    prefix = f"new_{org}_{i}"
    st.markdown(f"**{t('new.link', n=i + 1)}**")
    left, right = st.columns(2, gap="large")
    with left:
        digest = ask_digest(t("new.notice_file"), t("new.notice_file_help"), link["notice_digest"], f"{prefix}_file")  # fmt: skip
        link["notice_digest"] = digest or ""
    link["notice_version"] = right.text_input(t("new.notice_version"), placeholder="2026-1", key=keep(link, "notice_version", prefix=prefix)).strip()  # fmt: skip
    if indirect:
        link["collector"] = right.text_input(t("new.collector"), help=t("new.collector_help"), key=keep(link, "collector", prefix=prefix)).strip()  # fmt: skip
    options = [str(k) for k in ConsentKind]
    chosen = st.pills(t("new.consent_kinds"), options, selection_mode="multi", format_func=lambda k: named("consent_kind", k), key=keep(link, "kinds", prefix=prefix, options=options))  # fmt: skip
    link["kinds"] = [k for k in options if k in (chosen or [])]
    deeds = [str(o) for o in Operation]
    done = st.pills(t("new.operations"), deeds, selection_mode="multi", format_func=lambda o: named("operation", o), key=keep(link, "operations", prefix=prefix, options=deeds))  # fmt: skip
    link["operations"] = [o for o in deeds if o in (done or [])]
    people = cast(form)
    link["participants"] = st.multiselect(
        t("new.participants"), people, format_func=org_name, placeholder=t("new.all_parties"), help=t("new.participants_help"), key=keep(link, "participants", prefix=prefix, options=people),
    )  # fmt: skip
    left, middle, right = st.columns(3, gap="large", vertical_alignment="bottom")
    link["obtained_on"] = left.date_input(t("new.obtained_on"), key=keep(link, "obtained_on", prefix=prefix))
    link["limited"] = middle.toggle(t("new.limited"), key=keep(link, "limited", prefix=prefix))
    if link["limited"]:
        link["expires_on"] = right.date_input(t("new.expires_on"), key=keep(link, "expires_on", prefix=prefix))  # fmt: skip
