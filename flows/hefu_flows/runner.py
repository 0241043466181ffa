"""The flow runner: one process that serves the two deployments and keeps them equal to the coordinator.

Each flow run is a child process, Prefect's own way. It costs about two CPU seconds, and buys that a run which hangs, leaks
or dies takes nothing with it, that cancelling one is a signal, and that Prefect itself records it as crashed.
The runner holds no state: killed and started again, it finds in the coordinator what has to be done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import PrefectException
from prefect.logging import get_logger
from prefect.runner import Runner
from prefect.types.entrypoint import EntrypointType

from hefu_flows.client import CoordinatorClient
from hefu_flows.deployments import start_run, sync_schedules
from hefu_flows.errors import FlowsError
from hefu_flows.job import execute_job
from hefu_flows.schedule import t_plus_1

JOBS_EVERY_SECONDS = 1.0
SCHEDULES_EVERY_SECONDS = 5.0
LIMIT = 4


def serve(limit: int = LIMIT) -> None:
    """Run until SIGTERM or SIGINT.

    limit   flow runs at a time
    raises  SettingMissing
    """
    with CoordinatorClient.from_environment() as coordinator:
        asyncio.run(_serve(coordinator, limit))


async def _serve(coordinator: CoordinatorClient, limit: int) -> None:
    runner = Runner(name="hefu", limit=limit, pause_on_shutdown=False)
    by_module = EntrypointType.MODULE_PATH
    job = await runner.aadd_flow(execute_job, name="job", entrypoint_type=by_module)
    schedule = await runner.aadd_flow(t_plus_1, name="t-plus-1", entrypoint_type=by_module)
    async with get_client() as prefect, asyncio.TaskGroup() as group:
        upkeep = (
            group.create_task(_every(JOBS_EVERY_SECONDS, lambda: _start_jobs(coordinator, prefect, job))),
            group.create_task(
                _every(SCHEDULES_EVERY_SECONDS, lambda: _follow_schedules(coordinator, prefect, schedule))
            ),
        )
        try:
            await runner.start()
        finally:
            for task in upkeep:
                task.cancel()


async def _start_jobs(coordinator: CoordinatorClient, prefect: PrefectClient, deployment_id: UUID) -> None:
    for job in await asyncio.to_thread(coordinator.startable):
        await start_run(prefect, deployment_id, job)


async def _follow_schedules(
    coordinator: CoordinatorClient, prefect: PrefectClient, deployment_id: UUID
) -> None:
    await sync_schedules(prefect, deployment_id, await asyncio.to_thread(coordinator.schedules))


async def _every(seconds: float, deed: Callable[[], Awaitable[None]]) -> None:
    """Do it again and again. A server that cannot be reached, or refuses, is tried again at the next turn; said once."""
    logger = get_logger("hefu")
    trouble: str | None = None
    while True:
        try:
            await deed()
            trouble = None
        except (FlowsError, PrefectException, httpx.HTTPError) as error:
            level = logging.DEBUG if str(error) == trouble else logging.WARNING
            trouble = str(error)
            logger.log(level, "%s", error)
        await asyncio.sleep(seconds)


if __name__ == "__main__":
    serve()
