"""The flow that a contract's schedule starts: every day not yet covered, oldest first.

Prefect reads a flow's annotations as values: no `from __future__ import annotations` here.
"""

from typing import Any

from hefu.domain.contract import ContractId
from hefu.domain.job import JobId
from prefect import State, flow
from prefect.logging import get_logger

from hefu_flows.client import CoordinatorClient
from hefu_flows.holding import holding
from hefu_flows.job import execute_job
from hefu_flows.stages import patient


@patient
def ask_for_due_jobs(contract_id: ContractId) -> dict[JobId, int]:
    """The jobs of the days not yet covered, with their leases, oldest first; none on a day that is no run day."""
    with CoordinatorClient.from_environment() as coordinator:
        due = coordinator.due_jobs(contract_id)
    if due.finding:
        get_logger("hefu").info("%s: %s", contract_id, due.finding)
    return {job.job_id: job.lease for job in due.jobs}


@flow(name="t-plus-1", flow_run_name="{contract_id}", persist_result=False)
def t_plus_1(contract_id: ContractId) -> list[State[Any]]:
    """Take every due day of a contract through its job, one after the other.

    A day that waits or is refused does not keep the next one from being done; a run that broke fails this one, at the end.

    returns  the state of each job's run
    """
    leases = ask_for_due_jobs(contract_id)
    states = []
    with holding(leases) as held:
        for job_id, lease in leases.items():
            held.let_go(job_id)  # its own run holds it now
            states.append(execute_job(job_id, lease, return_state=True))
    return states
