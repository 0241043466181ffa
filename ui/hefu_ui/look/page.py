"""The frame of every page: title, cards, empty states, problems, confirmations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import streamlit as st
from pydantic import ValidationError

from hefu_ui.errors import NodeRefused, NodeUnreachable
from hefu_ui.look.formats import org_name
from hefu_ui.look.html import Html, esc, icon
from hefu_ui.words import named, pick, t

ASSETS = Path(__file__).parent.parent / "assets"


def apply_style() -> None:
    """The console's own style, once per run."""
    st.html(ASSETS / "console.css")
    choose = json.dumps(t("data.choose_file"), ensure_ascii=False)
    st.html(
        f'<style>[data-testid="stFileUploaderDropzone"] button p::after {{ content: {choose}; font-size: .93rem; }}</style>'
    )


def page_title(title: str, about: str = "", chips: tuple[Html, ...] = ()) -> None:
    """The page's heading with a sentence about it, and chips at the right."""
    side = f'<div class="hf-side">{"".join(chips)}</div>' if chips else ""
    st.html(
        f'<header class="hf-title"><div><h1>{esc(title)}</h1>'
        f"{f'<p>{esc(about)}</p>' if about else ''}</div>{side}</header>"
    )


@contextmanager
def card(
    key: str, title: str = "", symbol: str = "", note: str = "", *, fill: bool = False
) -> Iterator[None]:
    """A white card; with `fill` as high as its neighbours."""
    with st.container(border=True, key=f"card_{key}", height="stretch" if fill else "content"):
        if title:
            mark = icon(symbol) if symbol else ""
            st.html(
                f'<h3 class="hf-card">{mark}{esc(title)}{f"<small>{esc(note)}</small>" if note else ""}</h3>'
            )
        yield


def empty(symbol: str, title: str, next_step: str) -> None:
    """What stands where nothing is yet, and what to do about it."""
    st.html(f'<div class="hf-empty">{icon(symbol)}<b>{esc(title)}</b><p>{esc(next_step)}</p></div>')


@contextmanager
def problems_shown() -> Iterator[None]:
    """Shows what the node refuses, in words and with the way to mend it; a dead session goes to the login page."""
    try:
        yield
    except NodeRefused as refusal:
        if refusal.status == 401:
            from hefu_ui.signed_in import leave

            leave()
        error = refusal.error
        lines = [f"**{pick(error.message_zh, error.message_en)}**"]
        if mend := pick(error.mend_zh, error.mend_en):
            lines.append(f"{t('error.mend')}: {mend}")
        about = [
            f"{t('error.party')}: {org_name(error.party)}" if error.party else "",
            f"{t('error.stage')}: {named('stage', error.stage)}" if error.stage else "",
            f"{t('error.limit')}: {error.limit}" if error.limit else "",
        ]
        if any(about):
            lines.append(" · ".join(part for part in about if part))
        st.error("\n\n".join(lines), icon=":material/error:")
    except NodeUnreachable:
        st.error(
            f"**{t('error.node_unreachable')}**\n\n{t('error.mend')}: {t('error.node_unreachable_mend')}",
            icon=":material/cloud_off:",
        )


def form_problems(error: ValidationError) -> None:
    """What a form got wrong, clause by clause."""
    found = [f"- `{'.'.join(map(str, e['loc'])) or '—'}` {e['msg']}" for e in error.errors(include_url=False)]
    st.error(f"**{t('error.form')}**\n\n" + "\n".join(found), icon=":material/edit:")


def do(deed: Callable[[], object], done: str) -> None:
    """Carry out a deed at the node; say so on the page that follows, or show why not."""
    with problems_shown():
        deed()
        st.session_state["flash"] = done
        st.session_state["deeds"] = st.session_state.get("deeds", 0) + 1
        st.rerun()


def show_flash() -> None:
    """What the last deed left to say."""
    if said := st.session_state.pop("flash", None):
        st.toast(said, icon=":material/check_circle:")


@contextmanager
def asking(label: str, key: str, symbol: str, *, primary: bool = False) -> Iterator[Callable[[str], str]]:
    """A button that opens a small form; it closes, and forgets what was typed, once a deed is done.

    Gives a function that makes the keys of the form's widgets.
    """
    done = st.session_state.get("deeds", 0)
    suffix = f"_{done}" if done else ""
    kind: Literal["primary", "secondary"] = "primary" if primary else "secondary"
    with st.popover(label, icon=f":material/{symbol}:", type=kind, key=f"{key}_open{suffix}"):
        yield lambda name: f"{name}{suffix}"


def ask_reason(
    label: str, key: str, symbol: str, deed: Callable[[str], object], *, primary: bool = False
) -> None:
    """A button that asks for a reason before it acts."""
    with asking(label, key, symbol, primary=primary) as named_key:
        reason = st.text_area(t("common.reason"), key=named_key(f"{key}_reason"), max_chars=2000)
        if st.button(t("do.confirm"), key=named_key(f"{key}_confirm"), type="primary"):
            if reason.strip():
                do(lambda: deed(reason.strip()), label + " · " + t("common.done"))
            else:
                st.warning(t("common.reason_needed"))


def go(page: str, **query: str) -> None:
    """Go to another page of the console."""
    st.switch_page(st.session_state["pages"][page], query_params=query)
