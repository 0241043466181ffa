"""Numbers, times and names as people read them. Times are shown in Asia/Shanghai."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import streamlit as st

from hefu_ui.console import running
from hefu_ui.errors import ConsoleError
from hefu_ui.words import CATALOGUE, language, t

SHANGHAI = ZoneInfo("Asia/Shanghai")


def money(cents: int | None) -> str:
    """Yuan with two decimals; a dash when it is unknown."""
    if cents is None:
        return "—"
    sign = "-" if cents < 0 else ""
    return f"{sign}¥{abs(cents) // 100:,}.{abs(cents) % 100:02d}"


def count(value: int | None) -> str:
    """A count with thousands separators."""
    return "—" if value is None else f"{value:,}"


def rate(value: float | None) -> str:
    """A share in percent."""
    return "—" if value is None else f"{value * 100:.2f}%"


def when(at: datetime | None, *, seconds: bool = False) -> str:
    """A moment; with seconds where order matters."""
    if at is None:
        return "—"
    return at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def moment(at: datetime | None) -> str:
    """A moment of these days, without the year."""
    return "—" if at is None else at.astimezone(SHANGHAI).strftime("%m-%d %H:%M")


def clock(at: datetime | None) -> str:
    """The time of day."""
    return "—" if at is None else at.astimezone(SHANGHAI).strftime("%H:%M:%S")


def today() -> date:
    """Today's business date."""
    return datetime.now(SHANGHAI).date()


def days_back(n: int) -> date:
    """n days before today."""
    return today() - timedelta(days=n)


def took(seconds: float | None) -> str:
    """A duration."""
    if seconds is None:
        return "—"
    if 0 < seconds < 0.1:
        return t("common.seconds", n="<0.1")
    if seconds < 90:
        return t("common.seconds", n=f"{seconds:.1f}")
    return t("common.minutes", n=f"{seconds / 60:.1f}")


def short(digest: str) -> str:
    """A digest's beginning and end."""
    return digest if len(digest) <= 20 else f"{digest[:10]}…{digest[-6:]}"


def org_name(org_id: str) -> str:
    """An organisation's name in the person's language: as admitted, as configured, or its id."""
    if f"actor.{org_id}" in CATALOGUE:
        return t(f"actor.{org_id}")
    names: dict[str, tuple[str, str]] | None = st.session_state.get("org_names")
    if names is None or org_id not in names:
        names = _read_names()
        names.setdefault(org_id, (org_id, org_id))
        st.session_state["org_names"] = names
    return names[org_id][1 if language() == "en" else 0]


def org_names(org_ids: list[str] | tuple[str, ...]) -> str:
    """Several organisations' names."""
    between = t("common.comma")
    return between.join(org_name(org) for org in org_ids) or t("common.none")


def _read_names() -> dict[str, tuple[str, str]]:
    from hefu_ui.signed_in import node

    names = {org: (a.name_zh, a.name_en) for org, a in running().config.nodes.items()}
    try:
        names.update({p.org_id: (p.legal_name, p.legal_name_en) for p in node().participants()})
    except ConsoleError:
        st.session_state.pop("org_names", None)
    return names
