"""FlowsError
├─ SettingMissing            the environment does not say where the coordinator is or when to run, or a file it names cannot be read
├─ CoordinatorUnreachable    no answer: the coordinator is down, restarting, or not who its certificate says; worth retrying
├─ CoordinatorRefused        an answer other than the one agreed on; not worth retrying
└─ LeaseLost                 another run holds the job: this one stops
"""

from __future__ import annotations


class FlowsError(Exception):
    """Root of the flows' errors: promises that were broken. A refused job is a verdict, not an error."""


class SettingMissing(FlowsError):
    """The environment does not say where the coordinator is or when to run, or a file that it names cannot be read."""


class CoordinatorUnreachable(FlowsError):
    """No answer, or one that says "not now" (502, 503, 504). The same request may succeed later."""


class CoordinatorRefused(FlowsError):
    """The coordinator answered, but not as agreed: wrong token, unknown job, an answer of another shape."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"the coordinator answered {status}: {reason}")
        self.status = status


class LeaseLost(FlowsError):
    """Another run holds the job."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"another run holds {job_id}")
        self.job_id = job_id
