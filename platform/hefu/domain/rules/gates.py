"""Every compliance point as a gate, in the white paper's order: what has to hold before anything is computed.

The coordinator closes them, and so does every data holder and compute party on what it knows itself; each signs what it
found. The gate on results (K7, K12) is `rules.output`: it needs the result.
"""

from __future__ import annotations

from collections.abc import Iterable

from hefu.domain.rules import (
    admission,
    anonymity,
    automated,
    component_review,
    consent,
    impact_assessment,
    incidents,
    milestones,
    minimisation,
    models,
    reevaluation,
    retention,
    risk_grade,
    sources,
    standing,
    subject_rights,
    technique,
)
from hefu.domain.rules.matter import Gate, Matter
from hefu.domain.rules.output import clause
from hefu.domain.verdict import Finding, Severity, Verdict

BEFORE_COMPUTE: tuple[Gate, ...] = (
    Gate("K1", "合法性基础", "Legal basis", consent.RULES),
    Gate("K2", "事前评估", "Prior and continuing assessment", impact_assessment.RULES + reevaluation.RULES),
    Gate(
        "K3",
        "参与方管理",
        "Participant management",
        admission.RULES + standing.RULES + milestones.RULES + incidents.RULES,
    ),
    Gate("K4", "数据源合规", "Data sources", sources.RULES),
    Gate("K5", "技术方案安全", "Security of the technique", technique.RULES + component_review.RULES),
    Gate("K6", "模型归属", "Model ownership", models.RULES),
    Gate("K7", "产出结果合规", "Output clauses", clause.RULES),
    Gate("K8", "自动化决策", "Automated decisions", automated.RULES),
    Gate("K10", "最小必要", "Data minimisation", minimisation.RULES),
    Gate("K11", "分类分级", "Grading of risk", risk_grade.RULES),
    Gate("K12", "匿名化判断", "Judgement of anonymity", anonymity.RULES),
    Gate("K13", "个人信息主体权利", "Data subjects' rights", subject_rights.RULES + retention.RULES),
)


def check_gates(matter: Matter) -> list[Verdict]:
    """The verdict of each gate; its `stage` is the gate's point (K1 …)."""
    return [gate.verdict(matter) for gate in BEFORE_COMPUTE]


def closed(verdicts: Iterable[Verdict]) -> list[Finding]:
    """The findings that keep a gate closed."""
    return [
        finding
        for verdict in verdicts
        for finding in verdict.findings
        if finding.severity in (Severity.BLOCK, Severity.WAIT)
    ]


def as_evidence(verdicts: Iterable[Verdict]) -> dict[str, object]:
    """What a party signs about the gates it ran: each gate, and each finding by rule, severity and party."""
    return {
        verdict.stage: {
            "passed": verdict.passed,
            "findings": [
                {"rule": f.rule, "severity": f.severity.value, "party": f.party, "law": list(f.law)}
                for f in verdict.findings
            ],
        }
        for verdict in verdicts
    }
