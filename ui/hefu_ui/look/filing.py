"""Filings as people read them: a list, and one document field by field. Sealed content is never shown here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from hefu.node.compliance_models import FilingView

from hefu_ui.look.formats import org_name, short, when
from hefu_ui.look.html import Html, chip, esc, join, mono, table
from hefu_ui.words import CATALOGUE, named, t

_ORGS = (
    "issuer",
    "responsible",
    "holders",
    "entrusted",
    "recipients",
    "compute_parties",
    "licensee",
    "affiliates",
)
_TEXTS = frozenset(
    {"job", "component", "data_set_id", "name", "number", "origin", "reason", "outcome", "note"}
)


def field_label(kind: str, name: str) -> str:
    """The label of a field of a kind of filing; its name where the catalogue has none."""
    for key in (f"{kind}.{name}", f"field_of.{name}"):
        if key in CATALOGUE:
            return t(key)
    return name.replace("_", " ")


def field_help(kind: str, name: str) -> str | None:
    """The help of a field, if there is any."""
    key = f"help_of.{name}"
    return t(key) if key in CATALOGUE else None


def draw_filing_list(filed: Sequence[FilingView]) -> None:
    """Kind, about what, issuer, when, until when."""
    table(
        [t("filings.kind"), t("filings.issuer"), t("filings.issued"), t("filings.term"), t("filings.state"), t("filings.digest")],
        [
            [Html(f"<b>{esc(t(f'filing.{f.kind}'))}</b>{_about(f)}"), org_name(f.issuer), when(f.issued_at), f.valid_until or "—",
             chip(t("filings.in_force"), "green", "check_circle") if f.in_force else chip(t("filings.lapsed"), "gray", "event_busy"),
             mono(short(f.digest), f.digest)]
            for f in filed
        ],
    )  # fmt: skip


def _about(f: FilingView) -> Html:
    about = [f.content.get(name) for name in ("data_set_id", "stage", "component", "entrusted", "milestone")]
    text = next((str(a) for a in about if a), "")
    return Html(f"<br><small>{esc(named('choice', text))}</small>") if text else esc("")


def draw_document(kind: str, content: Mapping[str, Any], skip: Sequence[str] = ()) -> None:
    """Every field with its label: short ones in columns, long ones in a paragraph each."""
    cells = "".join(
        _field(kind, name, value) for name, value in content.items() if name not in (*skip, "kind")
    )
    st.html(f'<dl class="hf-facts">{cells}</dl>')


def _field(kind: str, name: str, value: Any) -> str:
    shown = value_html(name, value)
    wide = len(str(value)) > 60 or isinstance(value, dict)
    return (
        f'<div class="{"wide" if wide else ""}"><dt>{esc(field_label(kind, name))}</dt><dd>{shown}</dd></div>'
    )


def value_html(name: str, value: Any) -> Html:
    """A value in words: yes and no, organisations by name, digests short, choices as chips."""
    if name == "sealed" and isinstance(value, Mapping):
        return join([chip(org_name(org), "violet", "lock") for org in value], "")
    if value is None or value in ("", [], {}):
        return esc("—")
    if isinstance(value, bool):
        return chip(t("common.yes"), "green", "check") if value else chip(t("common.no"), "gray", "close")
    if isinstance(value, Mapping):
        rows = [f"<div class='sub'><span>{esc(_key(name, k))}</span><b>{value_html(str(k), v)}</b></div>" for k, v in value.items()]  # fmt: skip
        return Html("".join(rows))
    if isinstance(value, list | tuple):
        return join([chip(_word(name, v), "blue") if not isinstance(v, dict) else value_html(name, v) for v in value], "")  # fmt: skip
    return mono(short(str(value)), str(value)) if _is_digest(value) else esc(_word(name, value))


def _key(name: str, key: str) -> str:
    return named("choice", key) if name == "checks" else field_label("", key)


def _word(name: str, value: Any) -> str:
    if name in _ORGS:
        return org_name(str(value))
    return short(str(value)) if name in _TEXTS or _is_digest(value) else named("choice", str(value))


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")
