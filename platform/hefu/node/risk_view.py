"""The risk grade of each stage for the cockpit (K11; white paper B, 3.2): transmission, computation, result; the worst decides."""

from __future__ import annotations

from hefu.domain.filings.assessment import StageJudgement
from hefu.domain.rules.matter import Matter
from hefu.node.compliance_models import StageRisk

STAGES = ("transmission", "computation", "result")


def grade_stages(matter: Matter) -> list[StageRisk]:
    """One entry per stage. Without a grade a stage stands as not graded, never as low."""
    found = []
    for stage in STAGES:
        judged = [
            j
            for j in matter.filings.all(StageJudgement, contract_id=matter.contract.contract_id)
            if j.stage == stage and j.in_force(matter.today)
        ]
        found.append(
            StageRisk(
                stage=stage,
                grade=None,
                weakest=False,
                reasons_zh=[],
                reasons_en=[],
                judgement=judged[-1].judgement if judged else None,
            )
        )
    return found
