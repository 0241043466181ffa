"""What the runner keeps equal to the coordinator: a run for each startable job, a Prefect schedule for each contract.

Both are safe to do twice: the idempotency key of a run is the job and its lease, so two runners that see the same job
start one run; a schedule bears its contract's id.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.schedules import CronSchedule

from hefu_flows.messages import ContractSchedule, StartableJob


async def start_run(prefect: PrefectClient, deployment_id: UUID, job: StartableJob) -> UUID:
    """A run of the deployment `job`; the same run when asked again for the same lease. Returns its id."""
    run = await prefect.create_flow_run_from_deployment(
        deployment_id,
        parameters={"job_id": job.job_id, "lease": job.lease},
        name=f"{job.job_id}-{job.lease}",
        idempotency_key=f"{job.job_id}:{job.lease}",
    )
    return run.id


async def sync_schedules(
    prefect: PrefectClient, deployment_id: UUID, contracts: Iterable[ContractSchedule]
) -> None:
    """Give the deployment `t-plus-1` exactly the contracts' schedules: new ones made, moved and paused ones changed, ended ones removed."""
    wanted = {contract.contract_id: contract for contract in contracts}
    present = {schedule.slug: schedule for schedule in await prefect.read_deployment_schedules(deployment_id)}
    for slug, schedule in present.items():
        if slug not in wanted:
            await prefect.delete_deployment_schedule(deployment_id, schedule.id)
    for contract_id, contract in wanted.items():
        cron = CronSchedule(cron=contract.cron, timezone=contract.time_zone)
        known = present.get(contract_id)
        if known is None:
            await prefect.create_deployment_schedules(deployment_id, [_new(contract, cron)])
        elif not _same(known, contract, cron):
            await prefect.update_deployment_schedule(
                deployment_id, known.id, active=not contract.paused, schedule=cron
            )


def _new(contract: ContractSchedule, cron: CronSchedule) -> DeploymentScheduleCreate:
    return DeploymentScheduleCreate(
        schedule=cron,
        active=not contract.paused,
        parameters={"contract_id": contract.contract_id},
        slug=contract.contract_id,
    )


def _same(known: DeploymentSchedule, contract: ContractSchedule, cron: CronSchedule) -> bool:
    return known.schedule == cron and known.active is not contract.paused
