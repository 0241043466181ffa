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


@contextmanager
def holding(leases: Mapping[JobId, int], interval_seconds: float = INTERVAL_SECONDS) -> Iterator[None]:
    """Hold these jobs while the block lasts.

    leases  job → the lease under which it was handed out
    raises  SettingMissing
    """
    with CoordinatorClient.from_environment() as coordinator:
        ended = threading.Event()
        thread = threading.Thread(
            target=_beat,
            args=(coordinator, dict(leases), interval_seconds, ended),
            name="holding",
            daemon=True,
        )
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _beat(
    coordinator: CoordinatorClient, leases: dict[JobId, int], interval_seconds: float, ended: threading.Event
) -> None:
    while True:
        for job_id, lease in list(leases.items()):
            try:
                coordinator.hold(job_id, lease)
            except (LeaseLost, CoordinatorRefused):
                del leases[job_id]  # the stages hear of it themselves
            except CoordinatorUnreachable:
                pass  # it may be restarting; the next beat tries again
        if ended.wait(interval_seconds):
            return
