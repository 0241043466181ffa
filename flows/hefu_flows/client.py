"""Client of the coordinator's internal API.

One TLS peer is believed: the holder of exactly the certificate that the environment names. The operator's flow runner
proves itself by a bearer token, read from a file.

    HEFU_COORDINATOR_URL           https://host:port
    HEFU_COORDINATOR_CERTIFICATE   path of the coordinator's certificate (PEM)
    HEFU_INTERNAL_TOKEN_FILE       path of the token
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
from hefu.domain.contract import ContractId
from hefu.domain.job import JobId, JobState, Stage
from hefu.keys.tls import load_certificate, org_of, pinned_client_context, spki_digest
from pydantic import TypeAdapter, ValidationError

from hefu_flows.errors import CoordinatorRefused, CoordinatorUnreachable, LeaseLost, SettingMissing
from hefu_flows.messages import (
    Closing,
    ContractSchedule,
    DueJobs,
    LeaseTerm,
    Review,
    StageAnswer,
    StartableJob,
)

URL = "HEFU_COORDINATOR_URL"
CERTIFICATE = "HEFU_COORDINATOR_CERTIFICATE"
TOKEN_FILE = "HEFU_INTERNAL_TOKEN_FILE"  # noqa: S105  the name of a variable that names a file

REVIEW_SECONDS = 300.0  # every node of every contract is asked, each for a minute and a half at most
_NOT_NOW = (502, 503, 504)
T = TypeVar("T")


class CoordinatorClient:
    """The internal API, one method per request; safe to use from several threads.

    certificate_pem  the coordinator's own certificate, the only one believed
    raises           CertificateInvalid when it is no organisation's certificate.
                     Every method: CoordinatorUnreachable · CoordinatorRefused; those of a job also LeaseLost
    """

    def __init__(self, url: str, certificate_pem: str, token: str, *, timeout_seconds: float = 15.0) -> None:
        certificate = load_certificate(certificate_pem)
        context = pinned_client_context(
            certificate_pem, pin_spki=spki_digest(certificate), org_id=org_of(certificate)
        )
        self._http = httpx.Client(
            base_url=url,
            verify=context,
            trust_env=False,
            timeout=timeout_seconds,
            headers={"Authorization": f"Bearer {token}"},
        )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """A client for the coordinator that the environment names.

        raises  SettingMissing
        """
        try:
            url = environment[URL]
            certificate = Path(environment[CERTIFICATE]).read_text(encoding="ascii")
            token = Path(environment[TOKEN_FILE]).read_text(encoding="ascii").strip()
        except (KeyError, OSError, UnicodeDecodeError) as error:
            raise SettingMissing(str(error)) from error
        return cls(url, certificate, token)

    def schedules(self) -> list[ContractSchedule]:
        """The schedules of the contracts in force, paused ones included."""
        return self._ask("GET", "/internal/schedules", list[ContractSchedule])

    def due_jobs(self, contract_id: ContractId) -> DueJobs:
        """Create one job for each day not yet covered, if today is a run day, and hand them out to the caller."""
        return self._ask("POST", f"/internal/contracts/{contract_id}/due-jobs", DueJobs)

    def startable(self) -> list[StartableJob]:
        """The jobs that wait for a flow run: handed out with this answer, each under a new lease."""
        return self._ask("GET", "/internal/jobs/startable", list[StartableJob])

    def hold(self, job_id: JobId, lease: int) -> float:
        """Keep the job: a run is alive and works on it. Returns how many seconds that lasts."""
        return self._ask_of_job(job_id, "lease", lease, LeaseTerm).seconds

    def advance(self, job_id: JobId, stage: Stage, lease: int) -> StageAnswer:
        """Start the stage, or learn how far it is. Repeating the request does no harm."""
        return self._ask_of_job(job_id, f"stages/{stage}", lease, StageAnswer)

    def finish(self, job_id: JobId, lease: int) -> JobState:
        """Close the job according to its verdicts. Repeating the request does no harm."""
        return self._ask_of_job(job_id, "finish", lease, Closing).state

    def sweep(self) -> Review:
        """Have every node delete what is due, and learn who has not certified. Repeating the request does no harm."""
        return self._ask("POST", "/internal/retention", Review, timeout_seconds=REVIEW_SECONDS)

    def reevaluate(self) -> Review:
        """Compare what ran with what was assessed, here and at every data owner. Repeating the request does no harm."""
        return self._ask("POST", "/internal/reevaluation", Review, timeout_seconds=REVIEW_SECONDS)

    def due_soon(self) -> Review:
        """What ends within thirty days."""
        return self._ask("GET", "/internal/due-soon", Review)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask_of_job(self, job_id: JobId, what: str, lease: int, shape: type[T]) -> T:
        try:
            return self._ask("POST", f"/internal/jobs/{job_id}/{what}", shape, {"lease": lease})
        except CoordinatorRefused as refusal:
            if refusal.status == httpx.codes.CONFLICT:
                raise LeaseLost(job_id) from refusal
            raise

    def _ask(
        self,
        method: str,
        path: str,
        shape: type[T],
        body: dict[str, Any] | None = None,
        *,
        timeout_seconds: float | None = None,
    ) -> T:
        timeout = self._http.timeout if timeout_seconds is None else httpx.Timeout(timeout_seconds)
        try:
            answer = self._http.request(method, path, json=body, timeout=timeout)
        except httpx.TransportError as error:
            raise CoordinatorUnreachable(f"{method} {path}: {error!r}") from error
        if answer.status_code in _NOT_NOW:
            raise CoordinatorUnreachable(f"{method} {path}: {answer.status_code}")
        if not answer.is_success:
            raise CoordinatorRefused(answer.status_code, answer.text[:500])
        try:
            return TypeAdapter(shape).validate_json(answer.content)
        except ValidationError as error:
            raise CoordinatorRefused(answer.status_code, f"not a {shape}: {error}") from error
