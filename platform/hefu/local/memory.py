"""Peak memory of a whole process tree.

Counted is PSS (proportional set size): a page shared by n processes counts 1/n in each, so that the sum is what the
machine gives up. Where the kernel does not tell PSS (other systems, other users' processes) RSS is taken, which
counts shared pages once per process and so says too much; `Peak.measure` tells which it was.
Source: proc_pid_smaps_rollup in proc(5).
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self

import psutil

Measure = Literal["pss", "rss", "mixed"]


@dataclass(frozen=True)
class Peak:
    """The highest sum seen.

    measure  "pss", "rss", or "mixed" when some processes of the peak sample told only RSS
    samples  how many sums were taken; a spike between two of them goes unseen
    """

    total_bytes: int
    measure: Measure
    processes: int
    samples: int

    @property
    def total_mb(self) -> float:
        """Megabytes of 10**6 bytes."""
        return self.total_bytes / 1e6


class PeakMemory:
    """Samples the given processes and all their descendants until it is closed."""

    def __init__(self, roots: Iterable[int], interval_seconds: float = 0.5):
        self._roots = list(roots)
        self._interval_seconds = interval_seconds
        self._peak = Peak(0, "pss", 0, 0)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="peak-memory", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def add(self, pid: int) -> None:
        """Watch one more process tree, such as a server that belongs to another session."""
        with self._lock:
            self._roots.append(pid)

    @property
    def peak(self) -> Peak:
        """The highest sum so far."""
        return self._peak

    def _run(self) -> None:
        while True:
            with self._lock:
                roots = list(self._roots)
            now = tree_memory(roots)
            best = now if now.total_bytes >= self._peak.total_bytes else self._peak
            self._peak = Peak(best.total_bytes, best.measure, best.processes, self._peak.samples + 1)
            if self._stop.wait(self._interval_seconds):
                return


def tree_memory(roots: Iterable[int]) -> Peak:
    """The sum over these processes and their descendants now; each process counts once."""
    total = 0
    kinds: set[Measure] = set()
    members = _members(roots)
    for process in members:
        try:
            size, kind = _size(process)
        except psutil.Error:  # ended meanwhile
            continue
        total += size
        kinds.add(kind)
    measure: Measure = kinds.pop() if len(kinds) == 1 else ("mixed" if kinds else "pss")
    return Peak(total, measure, len(members), 1)


def _members(roots: Iterable[int]) -> set[psutil.Process]:
    found: set[psutil.Process] = set()
    for pid in roots:
        try:
            root = psutil.Process(pid)
            found |= {root, *root.children(recursive=True)}
        except psutil.Error:
            continue
    return found


def _size(process: psutil.Process) -> tuple[int, Measure]:
    try:
        pss = getattr(process.memory_full_info(), "pss", None)
    except psutil.AccessDenied:
        pss = None
    if pss:
        return int(pss), "pss"
    return int(process.memory_info().rss), "rss"
