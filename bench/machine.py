"""What a figure was measured on, and what else ran meanwhile."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path


def described() -> dict[str, str | float]:
    """Processor, cores, memory, Python, load and date."""
    return {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": os.cpu_count() or 0,
        "memory_gb": round(int((_field("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) / 1e6, 1),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[2], 1),
        "load_now": round(os.getloadavg()[0], 1),
        "date": datetime.now(UTC).date().isoformat(),
    }


def sentence() -> str:
    """The same, to be read."""
    m = described()
    return (
        f"{m['cores']} cores of {m['cpu']}, {m['memory_gb']} GB, Python {m['python']}, {m['date']}; "
        f"load average over the last minute {m['load_now']}, over the last quarter of an hour {m['load_before']} "
        "(the measurement itself is part of it)"
    )


def _field(path: str, name: str) -> str:
    try:
        for line in Path(path).read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    except OSError:
        pass
    return ""
