"""The form that registers a data set: fields with type, identifier class, sensitive category and grade."""

from __future__ import annotations

from typing import Any

import streamlit as st
from hefu.domain.dataset import (
    DataGrade,
    DataSet,
    Field,
    FieldType,
    IdentifierClass,
    LegalBasis,
    SensitiveCategory,
    SourceKind,
)
from pydantic import ValidationError

from hefu_ui.look.page import do, form_problems
from hefu_ui.signed_in import may, me, node
from hefu_ui.words import CATALOGUE, named, t

_PAYMENTS = [
    ("serial", "text", "quasi", "none", "C1"),
    ("type", "text", "none", "none", "C1"),
    ("amount", "money", "none", "none", "C2"),
    ("party_id", "text", "direct", "none", "C2"),
    ("occurred_at", "datetime", "none", "none", "C1"),
]
_COLUMNS = ("name", "type", "identifier_class", "sensitive", "grade", "meaning_zh", "meaning_en")


def register_form() -> None:
    """Draw the form; on success the node has the data set."""
    if not may("preparer"):
        st.info(t("data.preparer_only"), icon=":material/lock:")
        return
    left, right = st.columns(2, gap="large")
    kind = left.selectbox(
        t("data.kind"),
        ["business_records", "fund_flows", "table"],
        format_func=lambda k: named("data_kind", k),
        key="reg_kind",
    )
    data_set_id = left.text_input(
        t("data.id"), value=f"{me().org_id}-{kind.replace('_', '-')}", key=f"reg_id_{kind}"
    )
    name = left.text_input(t("data.name"), value=named("data_kind", kind), key=f"reg_name_{kind}")
    source = right.selectbox(
        t("data.source"), list(SourceKind), format_func=lambda s: named("source", s), key="reg_source"
    )
    basis = right.selectbox(
        t("data.basis"), list(LegalBasis), index=2, format_func=lambda b: named("basis", b), key="reg_basis"
    )
    note = right.text_input(t("data.basis_note"), key="reg_note", help=t("data.basis_help"))
    st.caption(t("data.fields_note"))
    fields = _field_editor(kind)
    names = [str(row["name"]) for row in fields if row["name"]]
    dates = [str(row["name"]) for row in fields if row["type"] in ("date", "datetime")]
    date_field = st.selectbox(t("data.date_field"), dates, key="reg_date", disabled=not dates, width=320)
    if st.button(t("data.register"), type="primary", icon=":material/add_circle:", disabled=not names):
        try:
            data_set = DataSet(
                data_set_id=data_set_id, owner=me().org_id, name=name, kind=kind, date_field=date_field, source_kind=source,
                legal_basis=basis, legal_basis_note=note, fields=tuple(Field(**row) for row in fields if row["name"]),
            )  # fmt: skip
        except ValidationError as error:
            form_problems(error)
            return
        do(lambda: node().register(data_set), t("data.registered", name=name))


def _field_editor(kind: str) -> list[dict[str, Any]]:
    rows = _PAYMENTS if kind != "table" else _PAYMENTS[:1]
    start = [dict(zip(_COLUMNS, (*row, *CATALOGUE[f"field.{row[0]}"]), strict=True)) for row in rows]

    def choice(label: str, word: str, values: list[str]) -> Any:
        return st.column_config.SelectboxColumn(
            label, options=values, format_func=lambda v: named(word, str(v)), required=True
        )

    edited = st.data_editor(
        start, num_rows="dynamic", hide_index=True, width="stretch", key=f"reg_fields_{kind}",
        column_config={
            "name": st.column_config.TextColumn(t("data.field"), required=True),
            "type": choice(t("data.type"), "field_type", [str(x) for x in FieldType]),
            "identifier_class": choice(t("data.identifier"), "identifier", [str(x) for x in IdentifierClass]),
            "sensitive": choice(t("data.sensitive"), "sensitive", [str(x) for x in SensitiveCategory]),
            "grade": st.column_config.SelectboxColumn(t("data.grade"), options=[str(x) for x in DataGrade], required=True),
            "meaning_zh": t("data.meaning_zh"),
            "meaning_en": t("data.meaning_en"),
        },
    )  # fmt: skip
    return [{name: row.get(name) or "" for name in _COLUMNS} for row in edited]
