"""K3, project plan 项目流程管理: milestones as gates, and the pilot's limits until acceptance (white paper A, 3.3, fifth point).

立项 is confirmed before any run; 中期测试 warns when overdue; 验收 overdue blocks, and until it is confirmed a trial's limits
hold; after 结项 nothing runs. A milestone that one of its confirmers says failed blocks until that confirmer says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from hefu.domain.contract import Contract
from hefu.domain.filings import Filings
from hefu.domain.filings.reviews import MilestoneConfirmation
from hefu.domain.rules.matter import Matter, Rule
from hefu.domain.rules.pick import day
from hefu.domain.rules.say import block, warn
from hefu.domain.terms import Milestone, MilestoneKind
from hefu.domain.verdict import Finding

NAMES = {
    MilestoneKind.INITIATION: ("立项", "initiation"),
    MilestoneKind.MIDTERM_TEST: ("中期测试", "midterm test"),
    MilestoneKind.ACCEPTANCE: ("验收", "acceptance"),
    MilestoneKind.CLOSING: ("结项", "closing"),
}


class EffectiveLimits(NamedTuple):
    """Rows per use and number of uses as they hold today; `trial` while the pilot's limits do."""

    max_rows: int
    max_uses: int
    trial: bool


def passed(contract: Contract, filings: Filings, kind: MilestoneKind, today: date) -> bool:
    """Whether the contract has milestones of this kind and every confirmer's newest word on each is that it was passed."""
    found = [m for m in contract.milestones if m.kind is kind]
    return bool(found) and all(
        org in said and said[org].passed
        for milestone in found
        for said in [_said(contract, filings, milestone, today)]
        for org in milestone.confirmed_by
    )


def trial_limits(contract: Contract, filings: Filings, today: date) -> EffectiveLimits:
    """The limits in force today: the trial's, where there is one, until acceptance is confirmed by all who must."""
    limits, trial = contract.limits, contract.trial
    if trial is None or passed(contract, filings, MilestoneKind.ACCEPTANCE, today):
        return EffectiveLimits(limits.max_rows, limits.max_uses, trial=False)
    return EffectiveLimits(
        min(limits.max_rows, trial.max_rows), min(limits.max_uses, trial.max_uses), trial=True
    )


def check_milestones(matter: Matter) -> Iterator[Finding]:
    """The milestones' gates (white paper A, 3.3)."""
    for milestone in matter.contract.milestones:
        said = _said(matter.contract, matter.filings, milestone, matter.today)
        zh, en = NAMES[milestone.kind]
        failed = [org for org, c in said.items() if not c.passed]
        missing = [org for org in milestone.confirmed_by if org not in said]
        overdue = matter.today > day(milestone.due_on)
        rest = {
            "mend_zh": f"由 {'、'.join(failed or missing)} 依据“{milestone.evidence}”确认{zh}，或修订项目计划",
            "mend_en": f"{', '.join(failed or missing)} confirm the {en} on {milestone.evidence!r}, or the plan is amended",
            "source": "WP-A 3.3",
        }
        if failed:
            yield block(
                "milestone_failed",
                "K3",
                f"{zh}未通过：{'、'.join(failed)}",
                f"{en} was not passed, says {', '.join(failed)}",
                party=failed[0],
                seen="failed",
                expected="passed",
                **rest,
            )
        elif milestone.kind is MilestoneKind.CLOSING:
            if not missing:
                yield block(
                    "contract_closed",
                    "K3",
                    "项目已结项，不得再运行作业",
                    "the project is closed: no more runs",
                    seen="closing passed",
                    expected="not closed",
                    **(
                        rest
                        | {"mend_zh": "如需继续，请签署新的合约", "mend_en": "sign a new contract to go on"}
                    ),
                )
            elif overdue:
                yield warn(
                    "milestone_overdue",
                    "K3",
                    f"{zh}已于 {milestone.due_on} 到期，尚待 {'、'.join(missing)} 确认",
                    f"{en} was due on {milestone.due_on}; {', '.join(missing)} have not confirmed it",
                    party=missing[0],
                    seen="not confirmed",
                    expected=f"confirmed by {milestone.due_on}",
                    **rest,
                )
        elif missing and (overdue or milestone.kind is MilestoneKind.INITIATION):
            stops = milestone.kind in (MilestoneKind.INITIATION, MilestoneKind.ACCEPTANCE)
            yield (block if stops else warn)(
                "milestone_missing" if stops else "milestone_overdue",
                "K3",
                f"{zh}（{milestone.due_on}）尚待 {'、'.join(missing)} 确认",
                f"{en} (due {milestone.due_on}) is not confirmed by {', '.join(missing)}",
                party=missing[0],
                seen=f"confirmed by {', '.join(said) or 'nobody'}",
                expected=f"confirmed by {', '.join(milestone.confirmed_by)}",
                **rest,
            )


def check_trial(matter: Matter) -> Iterator[Finding]:
    """A pilot's job stays within the trial's rows; its uses are counted where uses are counted (white paper A, 3.3)."""
    limits = trial_limits(matter.contract, matter.filings, matter.today)
    if limits.trial and matter.rows is not None and matter.rows > limits.max_rows:
        yield block(
            "trial_rows_exceeded",
            "K3",
            f"试点期间每次不超过 {limits.max_rows} 行，本次为 {matter.rows} 行",
            f"the trial allows {limits.max_rows} rows per use; this one has {matter.rows}",
            seen=str(matter.rows),
            expected=f"<= {limits.max_rows}",
            mend_zh="减少数据量，或先通过验收",
            mend_en="bring fewer rows, or pass the acceptance first",
            source="WP-A 3.3",
        )


def _said(
    contract: Contract, filings: Filings, milestone: Milestone, today: date
) -> dict[str, MilestoneConfirmation]:
    """Each confirmer's newest word on the milestone."""
    return {
        c.issuer: c
        for c in filings.all(MilestoneConfirmation, contract_id=contract.contract_id)
        if c.milestone is milestone.kind and c.issuer in milestone.confirmed_by and c.in_force(today)
    }


RULES: tuple[Rule, ...] = (check_milestones, check_trial)
