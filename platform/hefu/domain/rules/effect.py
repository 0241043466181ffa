"""Effect evaluation 效果评估 (white paper A, 3.9): a period's jobs, refusals, incidents and complaints as figures and a report.

Counts only: neither subjects nor values. What the results were worth is the parties' own statement (`utility`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from statistics import median
from typing import Literal, NamedTuple

from hefu.domain.filings.assessment import EffectEvaluation

STATES = {
    "requested": "待运行",
    "running": "运行中",
    "waiting": "等待",
    "awaiting_review": "待审核",
    "succeeded": "成功",
    "superseded": "已被更正替代",
    "refused": "拒绝",
    "data_missing": "缺数据",
    "failed": "失败",
    "cancelled": "取消",
    "aborted": "中止",
}


class JobSummary(NamedTuple):
    """A job as the evaluation sees it: its day, its end state, the rules that refused it, how long its decision took."""

    day: date
    state: str
    refused_by: tuple[str, ...] = ()
    decision_seconds: int | None = None


def evaluate_effect(
    jobs: Iterable[JobSummary],
    incidents: Iterable[date],
    complaints: Iterable[date],
    *,
    issuer: str,
    contract_id: str,
    issued_at: datetime,
    first: date,
    last: date,
    utility: str = "",
) -> EffectEvaluation:
    """Figures of the days `first` to `last`, both included. Raises ValueError when the period is backwards."""
    if last < first:
        raise ValueError("the period ends before it begins")
    counted = [job for job in jobs if first <= job.day <= last]
    waits = [job.decision_seconds for job in counted if job.decision_seconds is not None]
    return EffectEvaluation(
        issuer=issuer,
        contract_id=contract_id,
        issued_at=issued_at,
        period_from=first.isoformat(),
        period_until=last.isoformat(),
        jobs=dict(Counter(job.state for job in counted)),
        refusals=dict(Counter(rule for job in counted for rule in job.refused_by)),
        incidents=sum(first <= day <= last for day in incidents),
        complaints=sum(first <= day <= last for day in complaints),
        median_decision_seconds=round(median(waits)) if waits else None,
        utility=utility,
    )


def effect_report(found: EffectEvaluation, language: Literal["zh", "en"]) -> str:
    """The evaluation as Markdown, for the auditor."""
    zh = language == "zh"
    waited = found.median_decision_seconds
    unmeasured = "未测量" if zh else "not measured"
    lines = [
        f"# 效果评估：{found.contract_id}" if zh else f"# Effect evaluation: {found.contract_id}",
        "",
        f"{found.period_from} – {found.period_until}",
        "",
        "## 作业" if zh else "## Jobs",
        *(f"- {STATES.get(s, s) if zh else s}: {n}" for s, n in sorted(found.jobs.items())),
        "## 拒绝的规则" if zh else "## Rules that refused",
        *(f"- {rule}: {n}" for rule, n in sorted(found.refusals.items())),
        "## 安全事件与投诉" if zh else "## Incidents and complaints",
        f"- {'安全事件' if zh else 'incidents'}: {found.incidents}",
        f"- {'投诉' if zh else 'complaints'}: {found.complaints}",
        f"- {'决定用时中位数（秒）' if zh else 'median seconds to a decision'}: {unmeasured if waited is None else waited}",
    ]
    if found.utility:
        lines += ["## 效用说明" if zh else "## Utility as stated", found.utility]
    return "\n".join(lines) + "\n"
