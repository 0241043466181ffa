"""The regulator's charts: exceptions per day, stacked by kind, and the match rate over them."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import streamlit as st
from hefu.node.console_models import ResultSummary

from hefu_ui.words import named, t

_KINDS = {
    "amount_mismatch": ("mismatched", "#F59F00"),
    "missing_at_bank": ("missing_at_bank", "#1F5EFF"),
    "missing_at_institution": ("missing_at_institution", "#E03131"),
}


def draw_trend(results: Sequence[ResultSummary]) -> None:
    """Opened results that stand, by business date: bars of exceptions, a line of the match rate."""
    opened = [r for r in results if r.stands and r.match_rate is not None]
    if not opened:
        st.caption(t("results.no_trend"))
        return
    rows = [
        {
            "day": r.business_date,
            "kind": named("row_status", kind),
            "rows": getattr(r, attribute) or 0,
            "rank": rank,
        }
        for r in opened
        for rank, (kind, (attribute, _)) in enumerate(_KINDS.items())
    ]
    words, colors = [named("row_status", k) for k in _KINDS], [c for _, c in _KINDS.values()]
    x = alt.X("day:O", title=None, axis=alt.Axis(labelAngle=0))
    bars = alt.Chart(alt.Data(values=rows)).mark_bar(size=26, cornerRadiusEnd=3).encode(
        x=x,
        y=alt.Y("rows:Q", title=t("results.exceptions"), stack="zero"),
        color=alt.Color("kind:N", title=None, scale=alt.Scale(domain=words, range=colors), legend=alt.Legend(orient="top", labelLimit=400)),
        order="rank:Q",
        tooltip=[alt.Tooltip("day:O", title=t("common.day")), alt.Tooltip("kind:N", title=t("common.state")), alt.Tooltip("rows:Q", title=t("common.rows"))],
    )  # fmt: skip
    rates = alt.Data(values=[{"day": r.business_date, "rate": r.match_rate} for r in opened])
    line = alt.Chart(rates).mark_line(point={"size": 45, "filled": True}, color="#12B886", strokeWidth=2.5).encode(
        x=x,
        y=alt.Y("rate:Q", title=t("overview.match_rate"), axis=alt.Axis(format=".2%", orient="right"), scale=alt.Scale(zero=False, padding=12)),
        tooltip=[alt.Tooltip("day:O", title=t("common.day")), alt.Tooltip("rate:Q", title=t("overview.match_rate"), format=".3%")],
    )  # fmt: skip
    st.altair_chart(
        alt.layer(bars, line).resolve_scale(y="independent").properties(height=280), width="stretch"
    )
