"""What the coordinator's internal API says to the flows: ids, counts and verdicts, nothing else."""

from __future__ import annotations

from typing import Annotated, Literal

from hefu.domain.businessdays import RunDays
from hefu.domain.contract import ContractId
from hefu.domain.job import JobId, JobState
from hefu.domain.verdict import Verdict
from pydantic import BaseModel, ConfigDict, Field

Lease = Annotated[int, Field(ge=0)]


class Message(BaseModel):
    """One answer. Fields that a newer coordinator adds are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ContractSchedule(Message):
    """When a contract's T+1 run starts. The coordinator decides which of these days are run days."""

    contract_id: ContractId
    cron: str
    time_zone: str
    run_days: RunDays
    paused: bool


class StartableJob(Message):
    """A job handed out to a flow run. The lease grows each time the job is handed out."""

    job_id: JobId
    lease: Lease


class DueJobs(Message):
    """The jobs of the days not yet covered, handed out to the asking run, oldest first; or why there are none."""

    jobs: tuple[StartableJob, ...]
    finding: str | None = None


class LeaseTerm(Message):
    """How long the job stays with this run unless it asks again."""

    seconds: Annotated[float, Field(gt=0)]


class StageAnswer(Message):
    """How far a stage is: running (ask again), waiting (this run ends, a later one tries again), or finished."""

    state: Literal["running", "finished", "waiting"]
    verdict: Verdict | None = None
    percent: int = 0
    step: str = ""


class Closing(Message):
    """The state in which the coordinator left the job."""

    state: JobState


class Review(Message):
    """What a scheduled check found: how many of what, and the verdict. Which findings, the platform's own tables keep."""

    counts: dict[str, int]
    verdict: Verdict
