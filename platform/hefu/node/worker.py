"""A worker: one process for one job's attempt, started by the node and gone with the job.

It reads its task from standard input (keys never touch a file), confines itself to the job's folder, bounds its own
memory, and answers in JSON lines on standard output: `{"progress": …}`, at last `{"report": …}` or `{"error": …}`.
Connections from peers arrive as file descriptors from the node's switchboard.

| task | does |
|---|---|
| `prepare` | reads an owner's files into rows, keeps them, answers counts and the salted digest |
| `compute` | this organisation's part of the contract's component: owner, N0, N1 or N2, or several of them |
"""

from __future__ import annotations

import errno
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""A file system, a quota, or a limit on the size of files that takes no more."""


def main() -> None:
    """Entry point of `python -m hefu.node.worker`."""
    task = json.loads(sys.stdin.buffer.read())
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints goes to the log, not into the answer
    try:
        _limit(task)
        report = _prepare(task) if task["task"] == "prepare" else _compute(task, out)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        report |= {
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
            "peak_rss_mb": usage.ru_maxrss // 1024,
        }
        print(json.dumps({"report": report}), file=out)
    except BaseException as error:
        print(json.dumps({"error": _describe(error)}), file=out)
        out.flush()
        raise SystemExit(1) from error


def _limit(task: dict[str, Any]) -> None:
    from hefu.local.confine import confine

    memory = int(task["memory_mb"]) << 20
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    kernels = os.environ.get("NUMBA_CACHE_DIR")  # numba uses a cache only where it may write
    writable = [Path(task["folder"]), *([Path(kernels)] if kernels else [])]
    confine(writable, [Path(p) for p in task.get("read_only", [])])


def _describe(error: BaseException) -> dict[str, str]:
    """Code and text of an error, without any value of a row."""
    from hefu.engine.errors import EngineError, PeerAborted, PeerLost, PeerTimeout
    from hefu.node.sources.errors import SourceError

    if isinstance(error, SourceError):
        return {"code": "source_invalid", "zh": error.message_zh, "en": error.message_en}
    if isinstance(error, PeerAborted | PeerLost | PeerTimeout):
        return {"code": "peer_aborted", "zh": f"对端中止：{error}", "en": str(error)}
    if isinstance(error, EngineError):
        return {"code": error.code, "zh": str(error), "en": str(error)}
    if isinstance(error, MemoryError):
        return {"code": "memory_limit", "zh": "内存超出任务上限", "en": "the job's memory limit was reached"}
    if _no_space(error):
        return {"code": "disk_full", "zh": "磁盘空间不足", "en": "no space left on the disk"}
    return {
        "code": "work_failed",
        "zh": f"内部错误 {type(error).__name__}",
        "en": f"internal error {type(error).__name__}",
    }


def _no_space(error: BaseException | None) -> bool:
    """Whether a write found no room, however deep in the chain of what came of it (closing a zip fails once more)."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            return True
        error = error.__cause__ or error.__context__
    return False


def _prepare(task: dict[str, Any]) -> dict[str, Any]:
    from hefu.node.programs import prepare

    return prepare(task)


def _compute(task: dict[str, Any], out: Any) -> dict[str, Any]:
    from hefu.node.programs import program

    last, current, begun = 0.0, "", time.monotonic()

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal last, current
        moment = time.monotonic()
        if stage != current:
            current = stage
            print(
                f"{task['job']}/{task['attempt']} {task['org']}: {stage} at {moment - begun:.2f} s",
                file=sys.stderr,
            )
        if done >= total or moment - last > 0.2:
            last = moment
            print(json.dumps({"progress": [stage, done, total]}), file=out)

    return program(task, progress).work()


if __name__ == "__main__":
    main()
