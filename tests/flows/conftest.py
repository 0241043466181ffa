"""A coordinator for tests: the internal API over TLS, in a thread of the test; its answers are set by the test."""

import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from hefu.keys.tls import self_signed, server_context, to_pem
from hefu.wire.serving import tls_server

TOKEN = "internal-token"


def passed(stage: str) -> dict[str, Any]:
    return {"state": "finished", "verdict": {"stage": stage, "passed": True}, "percent": 100, "step": ""}


def refused(stage: str, rule: str) -> dict[str, Any]:
    finding = {"rule": rule, "severity": "block", "message_zh": "不行", "message_en": "no"}
    return {"state": "finished", "verdict": {"stage": stage, "passed": False, "findings": [finding]}}


@dataclass
class Script:
    """What the coordinator answers, and what it was asked."""

    stages: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)  # the last answer stays
    due: dict[str, dict[str, Any]] = field(default_factory=dict)
    startable: list[dict[str, Any]] = field(default_factory=list)
    schedules: list[dict[str, Any]] = field(default_factory=list)
    reviews: dict[str, dict[str, Any]] = field(default_factory=dict)  # retention, reevaluation, due-soon
    held_elsewhere: set[tuple[str, int]] = field(default_factory=set)
    broken: list[int] = field(default_factory=list)  # statuses for the next requests of a stage
    asked: list[str] = field(default_factory=list)
    beats: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    beats_at_finish: dict[str, int] = field(default_factory=dict)

    def stages_asked(self, job_id: str) -> list[str]:
        """The stages and closings of a job in the order in which they were first asked for."""
        return list(dict.fromkeys(call.split()[1] for call in self.asked if call.startswith(f"{job_id} ")))


def application(script: Script) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def token(request: Request, call_next: Any) -> Any:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"code": "token"}, 401)
        return await call_next(request)

    @app.get("/internal/schedules")
    def schedules() -> Any:
        return script.schedules

    @app.post("/internal/contracts/{contract_id}/due-jobs")
    def due(contract_id: str) -> Any:
        script.asked.append(f"{contract_id} due")
        return script.due[contract_id]

    def review(name: str) -> Any:
        if script.broken:
            return JSONResponse({"code": "broken"}, script.broken.pop(0))
        script.asked.append(name)
        return script.reviews.get(name, {"counts": {}, "verdict": {"stage": name, "passed": True}})

    @app.post("/internal/retention")
    def retention() -> Any:
        return review("retention")

    @app.post("/internal/reevaluation")
    def reevaluation() -> Any:
        return review("reevaluation")

    @app.get("/internal/due-soon")
    def due_soon() -> Any:
        return review("due-soon")

    @app.get("/internal/jobs/startable")
    def startable() -> Any:
        return script.startable

    @app.post("/internal/jobs/{job_id}/lease")
    def lease(job_id: str, body: dict[str, int]) -> Any:
        if (job_id, body["lease"]) in script.held_elsewhere:
            return JSONResponse({"code": "lease"}, 409)
        script.beats[job_id] += 1
        return {"seconds": 30}

    @app.post("/internal/jobs/{job_id}/stages/{stage}")
    def stage(job_id: str, stage: str, body: dict[str, int]) -> Any:
        if script.broken:
            return JSONResponse({"code": "broken"}, script.broken.pop(0))
        script.asked.append(f"{job_id} {stage}")
        if (job_id, body["lease"]) in script.held_elsewhere:
            return JSONResponse({"code": "lease"}, 409)
        answers = script.stages.get((job_id, stage), [passed(stage)])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    @app.post("/internal/jobs/{job_id}/finish")
    def finish(job_id: str, body: dict[str, int]) -> Any:
        script.asked.append(f"{job_id} finish")
        script.beats_at_finish[job_id] = script.beats[job_id]
        if (job_id, body["lease"]) in script.held_elsewhere:
            return JSONResponse({"code": "lease"}, 409)
        script.startable[:] = [job for job in script.startable if job["job_id"] != job_id]
        return {"state": "succeeded"}

    return app


class CoordinatorStub:
    """The stub, served on a loopback port that stays the same over `stop` and `start`."""

    passed = staticmethod(passed)
    refused = staticmethod(refused)

    def __init__(self, folder: Path) -> None:
        self.script = Script()
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = to_pem(self_signed(key, "operator"))
        self._tls = server_context(certificate, key)
        (folder / "coordinator.pem").write_text(certificate)
        (folder / "token").write_text(TOKEN + "\n")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.environment = {
            "HEFU_COORDINATOR_URL": f"https://127.0.0.1:{self.port}",
            "HEFU_COORDINATOR_CERTIFICATE": str(folder / "coordinator.pem"),
            "HEFU_INTERNAL_TOKEN_FILE": str(folder / "token"),
        }
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._server = tls_server(
            application(self.script), host="127.0.0.1", port=self.port, context=self._tls
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            if time.monotonic() > deadline:
                raise TimeoutError("the stub did not start")
            time.sleep(0.01)

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(10)
        self._server = self._thread = None


@pytest.fixture(scope="session")
def make_coordinator() -> Callable[[Path], CoordinatorStub]:
    """`make_coordinator(folder)` gives a stub that is not started yet; its certificate and token lie in the folder."""
    return CoordinatorStub


@pytest.fixture
def coordinator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CoordinatorStub]:
    """A running stub that the environment names."""
    stub = CoordinatorStub(tmp_path)
    for name, value in stub.environment.items():
        monkeypatch.setenv(name, value)
    stub.start()
    yield stub
    stub.stop()
