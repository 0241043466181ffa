"""Start services in order, wait until each is healthy, end them in reverse.

Each service is a process group of its own, writes to a log file of its own and ends when the supervisor ends, even
by SIGKILL (parent_death.py; so keep the supervisor in the main thread). Secrets reach a service through a pipe,
never through its arguments or environment, which other processes can see; Prefect alone, which knows no other way, takes
its own from its environment.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from hefu.local.errors import ServiceFailed
from hefu.local.parent_death import die_with_parent

_POLL_SECONDS = 0.05
_LAST_LINES = 20
_PIPE_CAPACITY = 65536  # what a pipe takes before anybody reads (pipe(7))


@dataclass(frozen=True)
class Service:
    """One program to run.

    argv         the program and its arguments; "{fd:NAME}" stands for the descriptor of the secret NAME
    env          added to the supervisor's environment
    ready        asked until true; must not block for long. None: ready as soon as it runs
    secrets      bytes per NAME, each readable once from its own descriptor
    stdin        bytes given on standard input, else it is empty
    """

    name: str
    argv: Sequence[str]
    log_path: Path
    ready: Callable[[], bool] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    pass_fds: Sequence[int] = ()
    stdin: bytes | None = field(default=None, repr=False)
    ready_seconds: float = 180.0


@contextlib.contextmanager
def secret_fd(secret: bytes) -> Iterator[int]:
    """A descriptor from which a child can read `secret` once; ours is closed at the end of the block.

    raises  ValueError for more than a pipe holds (64 KiB)
    """
    if len(secret) > _PIPE_CAPACITY:
        raise ValueError(f"a secret of {len(secret)} bytes does not fit into a pipe")
    reading, writing = os.pipe()
    try:
        try:
            os.write(writing, secret)
        finally:
            os.close(writing)
        yield reading
    finally:
        os.close(reading)


class Supervisor:
    """The running services, in the order in which they were started."""

    def __init__(self, grace_seconds: float = 10.0):
        self._grace_seconds = grace_seconds
        self._running: list[tuple[Service, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, service: Service) -> int:
        """Start one service and wait until it is ready; returns its process id.

        raises  ServiceFailed with the last lines of its log when it ends or is not ready in time
        """
        process = self.launch(service)
        self.wait_ready(service.name)
        return process

    def launch(self, service: Service) -> int:
        """Start one service without waiting, so that several warm up at once; `wait_ready` follows."""
        if any(service.name == known.name for known, _ in self._running):
            raise ServiceFailed(f"{service.name} is running already")
        service.log_path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            fds = {name: stack.enter_context(secret_fd(secret)) for name, secret in service.secrets.items()}
            argv = [_with_descriptors(argument, fds) for argument in service.argv]
            stdin: int = subprocess.DEVNULL
            if service.stdin is not None:
                stdin = stack.enter_context(secret_fd(service.stdin))
            log = stack.enter_context(service.log_path.open("ab"))
            try:
                process = subprocess.Popen(
                    argv,
                    stdin=stdin,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **service.env},
                    cwd=service.cwd,
                    pass_fds=[*service.pass_fds, *fds.values()],
                    process_group=0,
                    preexec_fn=die_with_parent(signal.SIGTERM),
                )
            except OSError as error:
                raise ServiceFailed(f"{service.name} could not be started: {error}") from error
        self._running.append((service, process))
        return process.pid

    def wait_ready(self, name: str) -> None:
        """Wait until a launched service is ready.

        raises  ServiceFailed
        """
        service, process = self._find(name)
        deadline = time.monotonic() + service.ready_seconds
        while True:
            if process.poll() is not None:
                raise ServiceFailed(_ended(service, process))
            if service.ready is None or service.ready():
                return
            if time.monotonic() > deadline:
                raise ServiceFailed(
                    f"{name} was not ready after {service.ready_seconds:g} s\n{_log_tail(service)}"
                )
            time.sleep(_POLL_SECONDS)

    def check(self) -> None:
        """Say so if a service has ended by itself.

        raises  ServiceFailed
        """
        for service, process in self._running:
            if process.poll() is not None:
                raise ServiceFailed(_ended(service, process))

    def watch(self, seconds: float) -> None:
        """Sleep so long, noticing a service that ends.

        raises  ServiceFailed
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check()
            time.sleep(min(_POLL_SECONDS * 4, max(0.0, deadline - time.monotonic())))
        self.check()

    def pids(self) -> dict[str, int]:
        """Process id per service."""
        return {service.name: process.pid for service, process in self._running}

    def stop_one(self, name: str) -> None:
        """End one service and forget it; it may be started again."""
        service, process = self._find(name)
        self._end(process)
        self._running.remove((service, process))

    def stop(self) -> None:
        """End all services, the last started first, those of one kind (`node-…`) together: SIGTERM, after the grace period SIGKILL."""
        while self._running:
            kind = _kind(self._running[-1][0])
            together = []
            while self._running and _kind(self._running[-1][0]) == kind:
                together.append(self._running.pop()[1])
            for process in together:
                _signal_group(process.pid, signal.SIGTERM)
            for process in together:
                self._end(process)

    def _find(self, name: str) -> tuple[Service, subprocess.Popen[bytes]]:
        for service, process in self._running:
            if service.name == name:
                return service, process
        raise ServiceFailed(f"{name} was not started")

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self._grace_seconds)
        _signal_group(process.pid, signal.SIGKILL)  # what is left of the group, its children included
        process.wait()


def _kind(service: Service) -> str:
    return service.name.partition("-")[0]


def _with_descriptors(argument: str, fds: Mapping[str, int]) -> str:
    for name, fd in fds.items():
        argument = argument.replace("{fd:" + name + "}", str(fd))
    return argument


def _signal_group(group: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, what)


def _ended(service: Service, process: subprocess.Popen[bytes]) -> str:
    code = process.returncode
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return f"{service.name} {how}\n{_log_tail(service)}"


def _log_tail(service: Service) -> str:
    try:
        with service.log_path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 16384))
            lines = log.read().decode("utf-8", "replace").splitlines()
    except OSError as error:
        return f"({service.log_path}: {error.strerror})"
    return "\n".join([f"last lines of {service.log_path}:", *lines[-_LAST_LINES:]])
