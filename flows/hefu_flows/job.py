"""The flow that takes one job from admission to deletion.

Prefect reads a flow's annotations as values: no `from __future__ import annotations` here.
"""

from hefu.domain.job import JobId
from hefu.domain.verdict import Verdict
from prefect import flow

from hefu_flows.holding import holding
from hefu_flows.stages import (
    check_contract,
    check_data_sources,
    check_output,
    check_participants,
    compute,
    finish,
    release,
    retain_and_delete,
)

STAGES_IN_ORDER = (
    check_participants,
    check_contract,
    check_data_sources,
    compute,
    check_output,
    release,
    retain_and_delete,
)


@flow(name="job", flow_run_name="{job_id}-{lease}", persist_result=False)
def execute_job(job_id: JobId, lease: int) -> Verdict | None:
    """Take one job from admission to deletion (white paper A, fig. 2). Stops at the first refusal.

    A job that waits (for data, for a review) ends this run too: the coordinator hands it out again when it is due, and
    the next run finds the finished stages finished.

    lease    the number under which the coordinator handed the job out
    returns  the last verdict; None when another run holds the job
    raises   CoordinatorUnreachable (after two minutes) · CoordinatorRefused · SettingMissing
    """
    with holding({job_id: lease}):
        for stage in STAGES_IN_ORDER:
            verdict = stage(job_id, lease)
            if verdict is None or not verdict.passed:
                break
    if verdict is not None:
        finish(job_id, lease)  # no longer held: the coordinator may hand a waiting job out again
    return verdict
