"""Taking scheduled flow runs from Prefect and executing them in threads of this process.

A flow here only asks and waits, so a thread serves it as well as a process of its own would, which costs seconds of CPU
to import Prefect again. Claiming is the server's doing: of two runners that propose Pending for one run, it accepts one.
A run bears the host and the process that took it; what a dead runner left is recorded as crashed at the next start.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId, FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import OrchestrationResult, SetStateStatus
from prefect.flow_engine import run_flow
from prefect.logging import get_logger
from prefect.states import Crashed, Pending

_OPEN = (StateType.PENDING, StateType.RUNNING)


class Runs:
    """The flow runs of this process, at most `limit` at a time.

    flows  deployment → the flow it runs
    """

    def __init__(self, prefect: PrefectClient, flows: Mapping[UUID, Flow[Any, Any]], limit: int) -> None:
        self._prefect = prefect
        self._flows = flows
        self._limit = limit
        self._threads: set[threading.Thread] = set()
        self._place = f"{socket.gethostname()}:{os.getpid()}"

    def room(self) -> int:
        """How many more runs fit in."""
        self._threads = {thread for thread in self._threads if thread.is_alive()}
        return max(0, self._limit - len(self._threads))

    async def take(self) -> None:
        """Claim and start the runs that are due, as many as there is room for, the earliest first."""
        room = self.room()
        if not room:
            return
        due = await self._prefect.get_scheduled_flow_runs_for_deployments(
            list(self._flows), scheduled_before=datetime.now(UTC), limit=room
        )
        for run in due:
            answer: OrchestrationResult[Any] = await self._prefect.set_flow_run_state(run.id, Pending())
            if answer.status is SetStateStatus.ACCEPT and run.deployment_id is not None:
                await self._prefect.update_flow_run(run.id, infrastructure_pid=self._place)
                self._start(self._flows[run.deployment_id], await self._prefect.read_flow_run(run.id))

    async def bury(self) -> list[FlowRun]:
        """Record as crashed what runners of this host left when they died; returns those runs."""
        left: list[FlowRun] = []
        for run in await self._prefect.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate({"state": {"type": {"any_": list(_OPEN)}}}),
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=list(self._flows))),
        ):
            if run.infrastructure_pid is not None and self._is_dead(run.infrastructure_pid):
                state: State[Any] = Crashed(message="the runner that executed it ended")
                await self._prefect.set_flow_run_state(run.id, state, force=True)
                left.append(run)
        return left

    def join(self, timeout_seconds: float) -> None:
        """Wait until the runs have ended, together at most so long."""
        end = datetime.now(UTC).timestamp() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, end - datetime.now(UTC).timestamp()))

    def _start(self, flow: Flow[Any, Any], run: FlowRun) -> None:
        thread = threading.Thread(target=_execute, args=(flow, run), name=run.name, daemon=True)
        self._threads.add(thread)
        thread.start()

    def _is_dead(self, place: str) -> bool:
        host, _, pid = place.rpartition(":")
        if host != socket.gethostname() or not pid.isdigit():
            return False
        return place == self._place or not _alive(int(pid))  # in a container every runner has the same number


def _execute(flow: Flow[Any, Any], run: FlowRun) -> None:
    try:
        run_flow(flow, flow_run=run, parameters=run.parameters, return_type="state")
    except BaseException as error:  # the run's state tells; a thread has nobody to tell it to
        get_logger("hefu").warning("%s ended by %r", run.name, error)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
