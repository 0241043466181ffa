"""K11, the grades of the three stages and of the whole: the bucket principle 木桶原则 (white paper B, 3.2.2).

The whole is graded as its worst stage, a stage as its worst exposure; the console draws them with the weakest link marked.
"""

from __future__ import annotations

from dataclasses import dataclass

from hefu.domain.filings.assessment import RiskLevel
from hefu.domain.rules.exposure import ORDER, STAGES, Exposure, Graded, Stage, grade_exposure


@dataclass(frozen=True)
class StageGrade:
    """A stage's grade: that of its worst exposure; nothing exposed is low."""

    stage: Stage
    level: RiskLevel
    graded: tuple[Graded, ...]

    @property
    def worst(self) -> tuple[Graded, ...]:
        """The exposures that give the stage its grade."""
        return tuple(g for g in self.graded if g.level is self.level)


@dataclass(frozen=True)
class StageGrades:
    """The grades of the three stages, and of the whole: what the console draws."""

    stages: tuple[StageGrade, ...]

    @property
    def overall(self) -> RiskLevel:
        """The worst stage's grade 木桶原则."""
        return max((s.level for s in self.stages), key=ORDER.index)

    @property
    def weakest(self) -> tuple[Stage, ...]:
        """The weakest link: the stages that have the worst grade."""
        return tuple(s.stage for s in self.stages if s.level is self.overall)

    def stage(self, name: Stage) -> StageGrade:
        """The grade of one stage."""
        return next(s for s in self.stages if s.stage == name)


def combine(exposures: list[Exposure]) -> StageGrades:
    """Grades of the three stages from everything that is seen."""
    graded = [grade_exposure(e) for e in exposures]
    return StageGrades(
        tuple(
            StageGrade(
                stage,
                max((g.level for g in graded if g.exposure.stage == stage), key=ORDER.index)
                if any(g.exposure.stage == stage for g in graded)
                else RiskLevel.LOW,
                tuple(g for g in graded if g.exposure.stage == stage),
            )
            for stage in STAGES
        )
    )
