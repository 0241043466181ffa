"""The flow runner: one process that serves the deployments and keeps those of jobs equal to the coordinator.

Jobs and contracts' schedules follow the coordinator; the compliance work (`retention`, `reevaluation`, `due-soon`) has schedules
of its own, from the environment.

It holds no state: killed and started again, it finds in the coordinator what has to be done. The runs are threads
(`hefu_flows.runs`), not Prefect's child processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any
from uuid import UUID

import httpx
from prefect import Flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import PrefectException
from prefect.logging import get_logger
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType

from hefu_flows.client import CoordinatorClient
from hefu_flows.deployments import start_run, sync_schedules
from hefu_flows.due_soon import look_ahead
from hefu_flows.errors import FlowsError
from hefu_flows.health import beat_path
from hefu_flows.job import execute_job
from hefu_flows.reevaluation import reevaluate
from hefu_flows.retention import delete_what_is_due
from hefu_flows.runs import Runs
from hefu_flows.schedule import t_plus_1
from hefu_flows.settings import TIME_ZONE, compliance_crons
from hefu_flows.stopping import stop

JOBS_EVERY_SECONDS = 1.0
SCHEDULES_EVERY_SECONDS = 5.0
LIMIT = 32  # threads that wait; how much is computed at a time is the coordinator's and the nodes' affair
PERIODIC: Mapping[str, Flow[Any, Any]] = {
    "retention": delete_what_is_due,
    "reevaluation": reevaluate,
    "due-soon": look_ahead,
}
_FAREWELL_SECONDS = 3.0
_KNOCK_EVERY_SECONDS = 0.5


def serve(limit: int = LIMIT) -> None:
    """Run until SIGTERM or SIGINT. Waits for the Prefect server and for the coordinator, in whatever order they come up.

    limit   flow runs at a time
    raises  SettingMissing · CertificateInvalid
    """
    crons = compliance_crons()
    with CoordinatorClient.from_environment() as coordinator:
        asyncio.run(_serve(coordinator, limit, crons))


async def _serve(coordinator: CoordinatorClient, limit: int, crons: Mapping[str, str]) -> None:
    ended = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, ended.set)
    async with get_client() as prefect:
        if not await _answers(prefect, ended):
            return
        job = await _deploy(execute_job, "job")
        schedule = await _deploy(t_plus_1, "t-plus-1")
        periodic = {await _deploy(PERIODIC[name], name, cron): PERIODIC[name] for name, cron in crons.items()}
        runs = Runs(prefect, {job: execute_job, schedule: t_plus_1, **periodic}, limit)
        await _take_up(prefect, runs, {schedule, *periodic})

        async def jobs() -> None:
            beat_path().touch()
            if not runs.room():  # what nobody can start soon would lose its lease in the queue
                return
            for startable in await asyncio.to_thread(coordinator.startable):
                await start_run(prefect, job, startable)

        async def schedules() -> None:
            await sync_schedules(prefect, schedule, await asyncio.to_thread(coordinator.schedules))

        loops = [
            asyncio.create_task(_every(JOBS_EVERY_SECONDS, jobs)),
            asyncio.create_task(_every(JOBS_EVERY_SECONDS, runs.take)),
            asyncio.create_task(_every(SCHEDULES_EVERY_SECONDS, schedules)),
        ]
        get_logger("hefu").info("flow runner ready")
        await ended.wait()
        for loop in loops:
            loop.cancel()
        stop()
        await asyncio.to_thread(runs.join, _FAREWELL_SECONDS)


async def _answers(prefect: PrefectClient, ended: asyncio.Event) -> bool:
    """Wait for the Prefect server; False when told to end meanwhile."""
    while await prefect.api_healthcheck() is not None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), _KNOCK_EVERY_SECONDS)
        if ended.is_set():
            return False
    return True


async def _deploy(flow: Flow[Any, Any], name: str, cron: str | None = None) -> UUID:
    """Register a deployment, with its schedule where it has one of its own; again is no second one."""
    schedule = None if cron is None else Cron(cron, timezone=TIME_ZONE)
    deployment = await flow.ato_deployment(
        name=name, schedule=schedule, entrypoint_type=EntrypointType.MODULE_PATH
    )
    return await deployment.aapply()


async def _take_up(prefect: PrefectClient, runs: Runs, schedules: Collection[UUID]) -> None:
    """Start again the schedules' runs that died with an earlier runner; jobs come back by their leases."""
    for run in await runs.bury():
        if run.deployment_id is not None and run.deployment_id in schedules:
            await prefect.create_flow_run_from_deployment(
                run.deployment_id, parameters=run.parameters, idempotency_key=f"again:{run.id}"
            )


async def _every(seconds: float, deed: Callable[[], Awaitable[None]]) -> None:
    """Do it again and again. Whatever goes wrong is said once and tried again at the next turn: a loop that ends would leave a runner that only looks alive."""
    trouble: str | None = None
    while True:
        try:
            await deed()
            trouble = None
        except Exception as error:
            level = logging.DEBUG if repr(error) == trouble else logging.WARNING
            trouble = repr(error)
            foreseen = isinstance(error, (FlowsError, PrefectException, httpx.HTTPError))
            get_logger("hefu").log(level, "%s", error if foreseen else trouble, exc_info=not foreseen)
        await asyncio.sleep(seconds)


if __name__ == "__main__":
    serve()
