"""The risk grade of each stage for the cockpit (K11; white paper B, 3.2): transmission, computation, result; the worst decides."""

from __future__ import annotations

import logging
from typing import Literal

from hefu.domain.filings.assessment import StageJudgement
from hefu.domain.rules.matter import Matter
from hefu.domain.rules.pick import newest, of_contract
from hefu.domain.rules.risk_grade import assessors, grades_of
from hefu.node.compliance_models import StageRisk

log = logging.getLogger("hefu.node")


def grade_stages(matter: Matter) -> list[StageRisk]:
    """One entry per stage, with the judgement on record by somebody whose judgement counts.

    Where the rules cannot grade the contract every stage stands as not graded, never as low; the gate K11 is closed then.
    """
    try:
        grades = grades_of(matter)
    except Exception:  # whatever the rules stumble over must not hide the rest of the cockpit
        log.exception("the stages of %s cannot be graded", matter.contract.contract_id)
        return [_ungraded("transmission"), _ungraded("computation"), _ungraded("result")]
    able = assessors(matter)
    found = []
    for stage in grades.stages:
        judged = newest(
            j for j in of_contract(matter, StageJudgement) if j.stage == stage.stage and j.issuer in able
        )
        reasons = dict.fromkeys((g.zh, g.en) for g in stage.worst)
        found.append(
            StageRisk(
                stage=stage.stage,
                grade=stage.level.value,
                weakest=stage.stage in grades.weakest,
                reasons_zh=[zh for zh, _ in reasons],
                reasons_en=[en for _, en in reasons],
                judgement=None if judged is None else judged.judgement,
            )
        )
    return found


def _ungraded(stage: Literal["transmission", "computation", "result"]) -> StageRisk:
    return StageRisk(stage=stage, grade=None, weakest=False, reasons_zh=[], reasons_en=[], judgement=None)
