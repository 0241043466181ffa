"""Fourth step: how rows are matched, or what is counted."""

from __future__ import annotations

import re

import streamlit as st

from hefu_ui.look.formats import org_name
from hefu_ui.wizard.form import STATISTICS, Form, keep, owners, published
from hefu_ui.words import named, t

_KEYS = ("serial", "type", "party", "date")


def draw(form: Form) -> None:
    """The scenario's own parameters."""
    if form["template"] == STATISTICS:
        _statistics(form)
    else:
        _reconciliation(form)


def _reconciliation(form: Form) -> None:
    left, right = st.columns(2, gap="large")
    chosen = left.pills(
        t("new.match_keys"), _KEYS, selection_mode="multi", format_func=lambda k: named("match_key", k), key=keep(form, "match_keys", options=_KEYS),
    )  # fmt: skip
    form["match_keys"] = [k for k in _KEYS if k in (chosen or [])]
    form["compare"] = left.radio(
        t("new.compare"), ["each", "sum"], format_func=lambda k: named("compare", k), captions=[t("new.each_text"), t("new.sum_text")], key=keep(form, "compare"),
    )  # fmt: skip
    form["window_days"] = right.slider(t("new.window_days"), 0, 7, help=t("new.window_help"), key=keep(form, "window_days"))  # fmt: skip
    form["rejected_percent"] = _rejected(right, form)
    form["reveal_difference"] = right.toggle(t("new.reveal_difference"), help=t("new.reveal_help"), key=keep(form, "reveal_difference"))  # fmt: skip
    form["design"] = right.radio(
        t("new.design"), ["F", "S"], format_func=lambda d: named("design", d), captions=[t("new.design_f_text"), t("new.design_s_text")], key=keep(form, "design"),
    )  # fmt: skip


def _rejected(where: object, form: Form) -> float:
    share: float = where.number_input(  # type: ignore[attr-defined]
        t("new.rejected_percent"), 0.0, 100.0, step=0.01, format="%.4f", help=t("new.rejected_help"), key=keep(form, "rejected_percent"),
    )  # fmt: skip
    return share


def _statistics(form: Form) -> None:
    found = published(form)
    if not found:
        st.info(t("new.data_first"), icon=":material/database:")
        return
    fields = next(iter(found.values())).definition.fields
    names = [f.name for f in fields]
    direct = [f.name for f in fields if f.identifier_class == "direct"]
    form["subject"] = form["subject"] or (direct or names)[0]
    left, right = st.columns(2, gap="large")
    form["subject"] = left.selectbox(t("new.subject"), names, help=t("new.subject_help"), key=keep(form, "subject", options=names))  # fmt: skip
    numbers = [f.name for f in fields if f.type in ("money", "integer")]
    if form["value"] is None:
        form["value"] = numbers[0] if numbers else ""
    form["value"] = right.selectbox(
        t("new.value"), ["", *numbers], format_func=lambda v: v or t("new.rows_only"), help=t("new.value_help"), key=keep(form, "value", options=["", *numbers]),
    )  # fmt: skip
    groups = [n for n in names if n not in (form["subject"], form["value"])]
    form["group_by"] = st.multiselect(
        t("new.group_by"), groups, max_selections=4, placeholder=t("common.choose"), help=t("new.group_by_help"), key=keep(form, "group_by", options=groups),
    )  # fmt: skip
    for name in form["group_by"]:
        held = {name: form["categories"].get(name, "")}
        form["categories"][name] = st.text_input(
            t("new.categories", field=name), placeholder=t("new.categories_example"), help=t("new.categories_help"), key=keep(held, name, prefix="new_cat"),
        )  # fmt: skip
    releases = ["sum", "count", "subjects"] if form["value"] else ["count", "subjects"]
    left, right = st.columns(2, gap="large")
    chosen = left.pills(
        t("new.release"), releases, selection_mode="multi", format_func=lambda r: named("released", r), key=keep(form, "release", options=releases),
    )  # fmt: skip
    form["release"] = [r for r in releases if r in (chosen or [])]
    form["min_group"] = right.number_input(t("new.min_group"), 20, 1_000_000, help=t("new.min_group_help"), key=keep(form, "min_group"))  # fmt: skip
    form["totals"] = left.toggle(t("new.totals"), help=t("new.totals_help"), key=keep(form, "totals"))
    form["dominance"] = right.toggle(t("new.dominance"), help=t("new.dominance_help"), key=keep(form, "dominance"))  # fmt: skip
    form["rejected_percent"] = _rejected(left, form)
    _columns(form)


def _columns(form: Form) -> None:
    """Where an owner's column has another name than the first owner's."""
    wanted = [w for w in (form["subject"], *form["group_by"], form["value"]) if w]
    for org, found in published(form).items():
        names = [f.name for f in found.definition.fields]
        renamed = form["columns"].setdefault(org, {})
        for name in [n for n in renamed if n not in wanted or n in names]:
            del renamed[name]
        if org == owners(form)[0]:
            continue
        for name in (w for w in wanted if w not in names):
            held = {f"{org}_{name}": renamed.get(name)}
            key = keep(held, f"{org}_{name}", prefix="new_col", options=[*names, None])
            renamed[name] = st.selectbox(
                t("new.column_of", org=org_name(org), field=name),
                names,
                placeholder=t("common.choose"),
                key=key,
            )


def categories_of(form: Form, name: str) -> list[str]:
    """The closed list of a group field's categories, as typed: parted by commas, enumeration commas or lines."""
    parts = re.split(r"[,，、;；\n]", form["categories"].get(name, ""))
    return list(dict.fromkeys(part.strip() for part in parts if part.strip()))
