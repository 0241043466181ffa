"""Ending the runner: its flow runs stop at their next pause, and Prefect records them as crashed, not as failed.

Their jobs stay as they are at the coordinator; when the leases run out they are handed out again.
"""

from __future__ import annotations

import signal
import threading

from prefect.exceptions import TerminationSignal

_stopping = threading.Event()


def stop() -> None:
    """Tell every flow run of this process to end."""
    _stopping.set()


def pause(seconds: float) -> None:
    """Wait.

    raises  TerminationSignal when the process is told to end meanwhile
    """
    if _stopping.wait(seconds):
        raise TerminationSignal(signal.SIGTERM)
