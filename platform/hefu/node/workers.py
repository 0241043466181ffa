"""Worker processes as the node sees them: started for one task, listened to, killed when the job is over."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hefu.local.parent_death import die_with_parent


@dataclass
class Progress:
    """How far a worker is."""

    step: str = ""
    percent: int = 0


_WEIGHTS = {"connect": (0, 5), "share": (5, 15), "seal": (92, 98), "done": (100, 100)}


class WorkerProcess:
    """One worker. `wait` answers its report, or raises WorkerFailed. It ends with the *thread* that started it."""

    def __init__(self, task: dict[str, Any], log_path: Path) -> None:
        self.progress = Progress()
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._report: dict[str, Any] | None = None
        self._error: dict[str, str] | None = None
        self._killed = False
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hefu.node.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=[theirs.fileno()],
                cwd=task["folder"],
                env=_environment(task["folder"]),
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGKILL),  # one prctl call, no Python state touched
            )
        task = {**task, "inbox_fd": theirs.fileno()}
        theirs.close()
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("a worker has pipes")
        try:
            self._process.stdin.write(json.dumps(task).encode())
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # it died at once; wait() says so
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    def deliver(self, sender: str, connection: socket.socket) -> None:
        """Hand a peer's connection to the worker."""
        socket.send_fds(self._ours, [sender.encode()], [connection.fileno()])

    def wait(self) -> dict[str, Any]:
        """Wait for the end; answers the report. Raises WorkerFailed."""
        self._process.wait()
        self._reader.join(timeout=5)
        self._ours.close()
        if self._report is not None and self._process.returncode == 0:
            return self._report
        if self._killed:
            raise WorkerFailed("aborted", "任务被中止", "the job was aborted")
        error = self._error or {
            "code": "worker_died",
            "zh": f"计算进程异常退出（{self._process.returncode}）",
            "en": f"the worker died ({self._process.returncode})",
        }
        raise WorkerFailed(error["code"], error["zh"], error["en"])

    def kill(self) -> None:
        """End it at once."""
        self._killed = True
        self._process.kill()

    def _read(self) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        for line in stream:
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if "progress" in said:
                stage, done, total = said["progress"]
                low, high = _WEIGHTS.get(stage, (15, 92))
                share = done / total if total else 1.0
                self.progress = Progress(stage, max(self.progress.percent, int(low + (high - low) * share)))
            self._report = said.get("report", self._report)
            self._error = said.get("error", self._error)


class WorkerFailed(Exception):
    """A worker ended without a report; `code` is for machines, the texts for people."""

    def __init__(self, code: str, zh: str, en: str) -> None:
        super().__init__(en)
        self.code, self.zh, self.en = code, zh, en


def _environment(folder: str) -> dict[str, str]:
    """Nothing of the node's environment but what Python and numba need."""
    keep = (
        "PATH",
        "LANG",
        "LC_ALL",
        "TZ",
        "NUMBA_CACHE_DIR",
        "PYTHONPATH",
        "VIRTUAL_ENV",
        "HOME",
        "OPENBLAS_CORETYPE",
    )
    return {k: os.environ[k] for k in keep if k in os.environ} | {
        "TMPDIR": folder,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
