"""Assessments: personal information protection impact assessment 个人信息保护影响评估, re-evaluation, judgements (K2, K11, K12)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from hefu.domain.document import Digest, Document, Name, OrgId, Text
from hefu.domain.filings.base import Filing
from hefu.domain.terms import Day

Answer = Annotated[str, Field(min_length=1, max_length=4000)]


class PiaTrigger(StrEnum):
    """When an impact assessment is due (white paper A, 3.2; PIPL art. 55)."""

    SENSITIVE = "sensitive"
    AUTOMATED_DECISION = "automated_decision"
    ENTRUSTING = "entrusting"
    PROVIDING = "providing"
    PUBLISHING = "publishing"
    ABROAD = "abroad"
    MAJOR_IMPACT = "major_impact"


class RiskLevel(StrEnum):
    """Risk as an assessor or a rule grades it."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class FiledScope(Document):
    """What was assessed: a run that does something else is not covered."""

    purpose_code: Name
    fields: dict[str, tuple[Name, ...]]
    code_digests: tuple[Digest, ...]
    max_rows: Annotated[int, Field(ge=1)]
    recipients: tuple[OrgId, ...]
    compute_parties: tuple[OrgId, ...]


class ImpactAssessment(Filing):
    """A PIA in its three required parts (white paper A, 3.2; PIPL art. 56), before the first run; kept three years at least."""

    kind: Literal["impact_assessment"] = "impact_assessment"
    triggers: Annotated[tuple[PiaTrigger, ...], Field(min_length=1)]
    necessity: Answer  # purpose and means lawful, proper, necessary 合法、正当、必要
    impact: Answer  # impact on personal rights, and security risk 对个人权益的影响及安全风险
    measures: Answer  # measures lawful, effective, fitting the risk 保护措施合法、有效并与风险程度相适应
    residual_risk: RiskLevel
    scope: FiledScope
    prepared_by: Name
    approved_by: Name
    keep_until: Day


class Reevaluation(Filing):
    """What ran, compared with what was filed 动态评估 (white paper A, 3.2, second and third points)."""

    kind: Literal["reevaluation"] = "reevaluation"
    assessment: Digest | None
    jobs_from: Day
    jobs_until: Day
    drift: tuple[Name, ...]
    fused_grade: Literal["C1", "C2", "C3"]
    conclusion: Literal["unchanged", "drifted"]


class StageJudgement(Filing):
    """The recorded judgement whether what a stage handles is personal information (white paper B, 3.2: low risk asks for one)."""

    kind: Literal["stage_judgement"] = "stage_judgement"
    stage: Literal["transmission", "computation", "result"]
    judgement: Literal["personal", "de_identified", "anonymous"]
    assessor: Name
    key_custody: Answer
    collusion_assumption: Answer
    reidentification_test: Digest | None = None
    conditions: Answer


class EffectEvaluation(Filing):
    """Effect of a contract over a period 效果评估 (white paper A, 3.9)."""

    kind: Literal["effect_evaluation"] = "effect_evaluation"
    period_from: Day
    period_until: Day
    jobs: dict[str, int]
    refusals: dict[str, int]
    incidents: int
    complaints: int
    median_decision_seconds: int | None = None
    utility: Text = ""


class FairnessReport(Filing):
    """Measured differences between groups (K8)."""

    kind: Literal["fairness_report"] = "fairness_report"
    group_field: Name
    parity_gap_ppm: Annotated[int, Field(ge=0, le=1_000_000)]
    opportunity_gap_ppm: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    groups: Annotated[int, Field(ge=2)]
    job: Name | None = None
