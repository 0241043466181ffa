"""The flow of retention and deletion 留存与删除 (white paper A, 3.2, sixth point): daily by default.

Prefect reads a flow's annotations as values: no `from __future__ import annotations` here.
"""

from hefu.domain.verdict import Verdict
from prefect import flow

from hefu_flows.client import CoordinatorClient
from hefu_flows.messages import Review
from hefu_flows.reviews import report
from hefu_flows.stages import patient


@patient
def sweep_every_node() -> Review:
    """Every node of every contract deletes what is due and certifies it; overdue ones are named."""
    with CoordinatorClient.from_environment() as coordinator:
        return coordinator.sweep()


@flow(name="retention", persist_result=False)
def delete_what_is_due() -> Verdict:
    """Periodic check 周期性检查: what is no longer needed goes, what must stay does (legal hold, statutory minimum)."""
    return report(sweep_every_node())
