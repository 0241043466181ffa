"""The seven stages of a job as a coloured line of steps."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from hefu.node.console_models import StageView

from hefu_ui.look.formats import org_names, took
from hefu_ui.look.html import Html, esc, icon, join
from hefu_ui.look.states import look_of, state_chip
from hefu_ui.words import named, pick, t

_SYMBOLS = {
    "check_participants": "groups", "check_contract": "contract", "check_data_sources": "database",
    "compute": "hub", "check_output": "fact_check", "release": "outbox", "retain_and_delete": "auto_delete",
}  # fmt: skip
_DONE = {"passed": "check", "failed": "close", "waiting": "schedule"}


def draw_stages(stages: Sequence[StageView]) -> None:
    """One step per stage: done, running, waiting, failed or still to come."""
    steps = "".join(
        f'<li class="hf-{look_of("stage_state", s.state)[0]} {s.state}">'
        f'<span class="dot">{icon(_DONE.get(s.state, _SYMBOLS.get(s.stage, "circle")))}</span>'
        f"<b>{esc(named('stage', s.stage))}</b>"
        f"<small>{esc(took(s.seconds) if s.seconds is not None else named('stage_state', s.state))}</small></li>"
        for s in stages
    )
    st.html(f'<ol class="hf-stages">{steps}</ol>')


def draw_verdicts(stages: Sequence[StageView]) -> None:
    """What each stage found, in words."""
    rows = "".join(_verdict(s) for s in stages if s.state != "pending")
    st.html(f'<div class="hf-verdicts">{rows}</div>')


def _verdict(stage: StageView) -> str:
    findings = stage.verdict.findings if stage.verdict else ()
    parties = org_names(stage.parties) if stage.parties else ""
    lines = []
    for f in findings:
        parts = [Html(f"<b>{esc(pick(f.message_zh, f.message_en))}</b>")]
        for name, value in (
            ("finding.seen", f.seen),
            ("finding.expected", f.expected),
            ("finding.source", f.source),
        ):
            if value:
                parts.append(Html(f"<span>{esc(t(name))}: {esc(value)}</span>"))
        if mend := pick(f.mend_zh, f.mend_en):
            parts.append(
                Html(f'<span class="mend">{icon("build")}{esc(t("error.mend"))}: {esc(mend)}</span>')
            )
        lines.append(
            f'<div class="finding">{state_chip("severity", f.severity)}<div>{join(parts, "")}</div></div>'
        )
    attempt = f" · {t('jobs.attempt', n=stage.attempt)}" if stage.attempt > 1 else ""
    return (
        f'<div class="verdict"><div class="head"><b>{esc(named("stage", stage.stage))}</b>'
        f"{state_chip('stage_state', stage.state)}<small>{esc(took(stage.seconds) if stage.seconds else '')}"
        f"{esc(attempt)}</small><em>{esc(parties)}</em></div>{''.join(lines)}</div>"
    )
