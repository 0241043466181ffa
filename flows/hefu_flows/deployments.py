"""What the runner keeps equal to the coordinator: a run for each startable job, a Prefect schedule for each contract.

Both are safe to do twice: the idempotency key of a run is the job and its lease, so two runners that see the same job
start one run; a schedule bears its contract's id.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import CronSchedule

from hefu_flows.messages import ContractSchedule, StartableJob

_LOOK_BACK = timedelta(seconds=5)


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
    changed = False
    for slug, schedule in present.items():
        if slug not in wanted:
            await prefect.delete_deployment_schedule(deployment_id, schedule.id)
            changed = True
    for contract_id, contract in wanted.items():
        cron = CronSchedule(cron=contract.cron, timezone=contract.time_zone)
        active, parameters = not contract.paused, {"contract_id": contract_id}
        known = present.get(contract_id)
        if known is None:
            new = DeploymentScheduleCreate(
                schedule=cron, active=active, parameters=parameters, slug=contract_id
            )
            await prefect.create_deployment_schedules(deployment_id, [new])
        elif (known.schedule, known.active, known.parameters) != (cron, active, parameters):
            await prefect.update_deployment_schedule(
                deployment_id, known.id, active=active, schedule=cron, parameters=parameters
            )  # without the parameters Prefect would empty them
        else:
            continue
        changed = True
    if changed:
        await _plan_again(prefect, deployment_id)


async def _plan_again(prefect: PrefectClient, deployment_id: UUID) -> None:
    """Put the coming runs back at once.

    A change to one schedule removes the coming runs of all; the server plans them anew only at its next round, from then on,
    and a run due in between would be lost.
    """
    start = datetime.now(UTC) - _LOOK_BACK
    body = {"start_time": start.isoformat()}
    await prefect.request("POST", "/deployments/{id}/schedule", path_params={"id": deployment_id}, json=body)
