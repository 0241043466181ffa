"""The flow of continuing assessment 动态评估 (white paper A, 3.2, second and third points): weekly by default.

Prefect reads a flow's annotations as values: no `from __future__ import annotations` here.
"""

from hefu.domain.verdict import Verdict
from prefect import flow

from hefu_flows.client import CoordinatorClient
from hefu_flows.messages import Review
from hefu_flows.reviews import report
from hefu_flows.stages import patient


@patient
def compare_with_assessments() -> Review:
    """What ran against what was assessed, by the coordinator and by each data owner, who files it and suspends on drift."""
    with CoordinatorClient.from_environment() as coordinator:
        return coordinator.reevaluate()


@flow(name="reevaluation", persist_result=False)
def reevaluate() -> Verdict:
    """Fields, code, volume, purpose, and the grade of fused data, of everything that ran since it was assessed."""
    return report(compare_with_assessments())
