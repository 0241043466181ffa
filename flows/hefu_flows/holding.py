"""Holding jobs: a thread tells the coordinator, every few seconds, that this run is alive.

When the run dies, nobody tells it any more, the lease runs out, and the coordinator hands the job out again. Losing a
lease is not told from here: the coordinator answers the next request for a stage with LeaseLost.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from hefu.domain.job import JobId

from hefu_flows.client import CoordinatorClient
from hefu_flows.errors import CoordinatorRefused, CoordinatorUnreachable, LeaseLost

INTERVAL_SECONDS = 3.0


class Held:
    """The jobs that are being held; made by `holding`."""

    def __init__(self, coordinator: CoordinatorClient, leases: Mapping[JobId, int]) -> None:
        self._coordinator = coordinator
        self._leases = dict(leases)
        self._lock = threading.Lock()

    def let_go(self, job_id: JobId) -> None:
        """Hold this job no longer: once it returns, no further word about it leaves from here."""
        with self._lock:
            self._leases.pop(job_id, None)

    def beat(self) -> None:
        """Tell the coordinator once about every job."""
        with self._lock:
            for job_id, lease in list(self._leases.items()):
                try:
                    self._coordinator.hold(job_id, lease)
                except (LeaseLost, CoordinatorRefused):
                    del self._leases[job_id]  # the stages hear of it themselves
                except CoordinatorUnreachable:
                    return  # it may be restarting; the next beat tries again


@contextmanager
def holding(leases: Mapping[JobId, int], interval_seconds: float = INTERVAL_SECONDS) -> Iterator[Held]:
    """Hold these jobs while the block lasts, or until let go.

    leases  job → the lease under which it was handed out
    raises  SettingMissing
    """
    with CoordinatorClient.from_environment() as coordinator:
        held, ended = Held(coordinator, leases), threading.Event()
        thread = threading.Thread(
            target=_beat, args=(held, interval_seconds, ended), name="holding", daemon=True
        )
        thread.start()
        try:
            yield held
        finally:
            ended.set()
            thread.join()


def _beat(held: Held, interval_seconds: float, ended: threading.Event) -> None:
    while True:
        held.beat()
        if ended.wait(interval_seconds):
            return
