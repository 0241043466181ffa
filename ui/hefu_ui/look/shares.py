"""Ownership shares of a model as bars, one per part: code, structure, parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from hefu_ui.look.formats import org_name
from hefu_ui.look.html import esc
from hefu_ui.words import t

_COLORS = ("#1F5EFF", "#12B886", "#F59F00", "#845EF7", "#E8590C", "#64748B")


def draw_shares(ownership: Sequence[Mapping[str, Any]]) -> None:
    """`ownership`: org_id, part, share_ppm; the shares of a part sum to 1 000 000."""
    owners = list(dict.fromkeys(str(s["org_id"]) for s in ownership))
    colors = {org: _COLORS[i % len(_COLORS)] for i, org in enumerate(owners)}
    bars = "".join(
        f'<div class="hf-share"><b>{esc(t(f"models.part_{part}"))}</b><div>'
        + "".join(_piece(s, colors) for s in ownership if s["part"] == part)
        + "</div></div>"
        for part in ("code", "structure", "parameters")
        if any(s["part"] == part for s in ownership)
    )
    legend = "".join(
        f'<span><i style="background:{colors[org]}"></i>{esc(org_name(org))}</span>' for org in owners
    )
    st.html(f'<h4 class="hf-sub">{esc(t("models.shares"))}</h4><div class="hf-legend">{legend}</div>{bars}')


def _piece(share: Mapping[str, Any], colors: Mapping[str, str]) -> str:
    percent = share["share_ppm"] / 10_000
    org = str(share["org_id"])
    return f'<i style="width:{percent:.4f}%;background:{colors[org]}" title="{esc(org_name(org))}">{percent:g}%</i>'
