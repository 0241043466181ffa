"""Third step: which published data set of each owner takes part, and what its columns are."""

from __future__ import annotations

import streamlit as st
from hefu.node.console_models import PublishedView

from hefu_ui.look.formats import org_name
from hefu_ui.look.html import Html, chip, esc, mono, table
from hefu_ui.look.page import empty
from hefu_ui.signed_in import node
from hefu_ui.wizard.form import RECONCILIATION, Form, keep, owners
from hefu_ui.words import named, pick, t

GRADES = {"C1": "gray", "C2": "orange", "C3": "red"}


def draw(form: Form) -> None:
    """One data set per owner, from those that it has published."""
    found = node().governance.published()
    for org in owners(form):
        kind = "business_records" if org in form["institutions"] else "fund_flows"
        fitting = [
            p
            for p in found
            if p.owner == org and (form["template"] != RECONCILIATION or p.definition.kind == kind)
        ]
        with st.container(border=True, key=f"owner_{org}"):
            if not fitting:
                empty("folder_off", t("new.no_data_set", org=org_name(org)), t("new.no_data_set_next"))
                form["data_sets"].pop(org, None)
                continue
            _owner(form, org, fitting)


def _owner(form: Form, org: str, fitting: list[PublishedView]) -> None:
    ids = [p.definition.data_set_id for p in fitting]
    names = {p.definition.data_set_id: p.definition.name for p in fitting}
    held = {org: form["data_sets"].get(org) or ids[0]}
    key = keep(held, org, prefix="new_ds", options=ids)
    if st.session_state[key] is None:
        st.session_state[key] = ids[0]
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    left.markdown(f"**{org_name(org)}**")
    chosen = right.selectbox(t("new.data_set"), ids, format_func=lambda i: f"{names[i]} · {i}", key=key)
    form["data_sets"][org] = chosen
    d = next(p for p in fitting if p.definition.data_set_id == chosen).definition
    st.html(
        f"{esc(named('data_kind', d.kind))} {chip(named('source', d.source_kind))} {chip(named('basis', d.legal_basis), 'violet')}"
    )
    table(
        [t("data.field"), t("data.meaning"), t("data.type"), t("data.identifier"), t("data.sensitive"), t("data.grade")],
        [
            [Html(mono(f.name)), pick(f.meaning_zh, f.meaning_en), named("field_type", f.type), named("identifier", f.identifier_class),
             named("sensitive", f.sensitive), chip(f.grade, GRADES[f.grade])]
            for f in d.fields
        ],
    )  # fmt: skip
