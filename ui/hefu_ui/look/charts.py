"""The regulator's charts: exceptions per day, stacked by kind, and the match rate over them (Vega-Lite)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
    opened = sorted(
        (r for r in results if r.stands and r.match_rate is not None), key=lambda r: r.business_date
    )
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
    rates = [{"day": r.business_date, "rate": r.match_rate} for r in opened]
    spec = {"height": 280, "layer": [_bars(rows), _line(rates)], "resolve": {"scale": {"y": "independent"}}}
    st.vega_lite_chart(spec, width="stretch")


def _day() -> dict[str, Any]:
    return {"field": "day", "type": "ordinal", "title": None, "axis": {"labelAngle": 0}}


def _bars(rows: list[dict[str, Any]]) -> dict[str, Any]:
    scale = {
        "domain": [named("row_status", k) for k in _KINDS],
        "range": [color for _, color in _KINDS.values()],
    }
    return {
        "data": {"values": rows},
        "mark": {"type": "bar", "width": 26, "cornerRadiusEnd": 3},
        "encoding": {
            "x": _day(),
            "y": {"field": "rows", "type": "quantitative", "title": t("results.exceptions"), "stack": "zero"},
            "color": {"field": "kind", "type": "nominal", "title": None, "scale": scale, "legend": {"orient": "top", "labelLimit": 400}},
            "order": {"field": "rank", "type": "quantitative"},
            "tooltip": [
                {"field": "day", "title": t("common.day")},
                {"field": "kind", "title": t("common.state")},
                {"field": "rows", "title": t("common.rows")},
            ],
        },
    }  # fmt: skip


def _line(rates: list[dict[str, Any]]) -> dict[str, Any]:
    axis, scale = {"format": ".2%", "orient": "right"}, {"zero": False, "padding": 12}
    return {
        "data": {"values": rates},
        "mark": {"type": "line", "point": {"size": 45, "filled": True, "color": "#12B886"}, "color": "#12B886", "strokeWidth": 2.5},
        "encoding": {
            "x": _day(),
            "y": {"field": "rate", "type": "quantitative", "title": t("overview.match_rate"), "axis": axis, "scale": scale},
            "tooltip": [
                {"field": "day", "title": t("common.day")},
                {"field": "rate", "type": "quantitative", "title": t("overview.match_rate"), "format": ".3%"},
            ],
        },
    }  # fmt: skip
