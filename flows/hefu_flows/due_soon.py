"""The flow of what ends soon 到期提醒 (white paper A, 3.3): daily by default. Nothing is sent; consoles show the calendar.

Prefect reads a flow's annotations as values: no `from __future__ import annotations` here.
"""

from hefu.domain.verdict import Verdict
from prefect import flow

from hefu_flows.client import CoordinatorClient
from hefu_flows.messages import Review
from hefu_flows.reviews import report
from hefu_flows.stages import patient


@patient
def ask_what_ends_soon() -> Review:
    """Qualifications, assessments, declarations, consents and contracts that end within thirty days."""
    with CoordinatorClient.from_environment() as coordinator:
        return coordinator.due_soon()


@flow(name="due-soon", persist_result=False)
def look_ahead() -> Verdict:
    """Count what ends within thirty days, so that it is renewed before a job is refused for it."""
    return report(ask_what_ends_soon())
