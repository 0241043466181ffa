"""Findings as people read them: what was seen, what is expected, the article of law, how to mend it."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st
from hefu.domain.law import UnknownArticle, cite
from hefu.domain.verdict import Finding, Severity

from hefu_ui.look.formats import org_name, today
from hefu_ui.look.html import Html, chip, esc, icon, join
from hefu_ui.look.states import state_chip
from hefu_ui.words import language, pick, t

_ORDER = {Severity.BLOCK: 0, Severity.WAIT: 1, Severity.WARN: 2, Severity.NOTE: 3}


def draw_findings(findings: Iterable[Finding]) -> None:
    """The gravest first."""
    lines = [_finding(f) for f in sorted(findings, key=lambda f: _ORDER[f.severity])]
    st.html(f'<div class="hf-verdicts">{"".join(lines)}</div>')


def _finding(f: Finding) -> str:
    parts = [Html(f"<b>{esc(pick(f.message_zh, f.message_en))}</b>")]
    for name, value in (
        ("finding.seen", f.seen),
        ("finding.expected", f.expected),
        ("finding.source", f.source),
    ):
        if value:
            parts.append(Html(f"<span>{esc(t(name))}: {esc(value)}</span>"))
    if laws := laws_of(f):
        parts.append(Html(f"<span>{esc(t('cockpit.law'))}: {join([chip(law, 'violet', 'gavel') for law in laws])}</span>"))  # fmt: skip
    if mend := pick(f.mend_zh, f.mend_en):
        parts.append(Html(f'<span class="mend">{icon("build")}{esc(t("error.mend"))}: {esc(mend)}</span>'))
    party = chip(org_name(f.party), "blue") if f.party else ""
    return (
        f'<div class="finding"><div class="side">{state_chip("severity", f.severity)}</div>'
        f"<div>{join(parts, '')}</div><div class='who'>{party}{chip(f.point) if f.point else ''}</div></div>"
    )


def laws_of(finding: Finding) -> list[str]:
    """The articles that it cites, as they are law today; what is not law today is not cited."""
    found = []
    for law in finding.law:
        try:
            name = cite(law, today(), language())
        except UnknownArticle:
            continue
        if name is not None:
            found.append(name)
    return found
