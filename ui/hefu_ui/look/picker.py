"""A table whose selected row is the one to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import streamlit as st

from hefu_ui.look.states import state_options


def pick_row(
    key: str, rows: Sequence[Mapping[str, Any]], config: Mapping[str, Any] | None = None
) -> int | None:
    """Draw rows (title → value); returns the index of the selected one.

    A deed may put the rows in another order, so after one nothing is selected: pages keep the id of what they show.
    """
    event: Any = st.dataframe(
        columns_of(rows),
        hide_index=True,
        width="stretch",
        height=table_height(len(rows)),
        column_config=dict(config or {}),
        on_select="rerun",
        selection_mode="single-row",
        key=f"{key}_{st.session_state.get('deeds', 0)}",
    )
    chosen = event["selection"]["rows"]
    return int(chosen[0]) if chosen and chosen[0] < len(rows) else None


def chips(kind: str, label: str, width: Any = None) -> Any:
    """A column of state chips; cells are lists of one word each."""
    words, colors = state_options(kind)
    return st.column_config.MultiselectColumn(label, options=words, color=colors, width=width)


def columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Rows as columns, which is how a table is drawn."""
    return {title: [row[title] for row in rows] for title in rows[0]} if rows else {}


def table_height(rows: int) -> int | Literal["content"]:
    """As high as its rows, up to a dozen of them; then it scrolls."""
    return "content" if rows <= 12 else 458
