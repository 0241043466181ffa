"""Is the flow runner alive? It touches a file below PREFECT_HOME whenever it has asked the coordinator for jobs."""

import os
import time
from pathlib import Path

_STALE_SECONDS = 30.0


def beat_path() -> Path:
    """The file, below the runner's own folder."""
    return Path(os.environ.get("PREFECT_HOME", "."), "runner.beat")


def healthy() -> bool:
    """Whether the runner asked for jobs within the last half minute (or is busy with all that it can take)."""
    try:
        return time.time() - beat_path().stat().st_mtime < _STALE_SECONDS
    except FileNotFoundError:
        return False
