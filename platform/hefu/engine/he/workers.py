"""Worker processes for long arrays.

    with Workers(private_key, processes=2) as workers:
        vector = encrypt_vector(private_key, values, workers=workers)

Workers are spawned, not forked (a copy of a process with threads may hang). The key reaches them through a pipe: neither
command lines nor the environment show anything of it. Each worker makes its own table on its first task.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any

from hefu.engine.he.errors import HeError, KeyInvalid

_key: Any = None


class Workers:
    """A pool of processes that hold one key, public or private."""

    def __init__(self, key: Any, processes: int) -> None:
        self._identity = key.public
        self._private = key is not key.public
        self._pool = ProcessPoolExecutor(
            processes, multiprocessing.get_context("spawn"), initializer=_adopt, initargs=(key,)
        )

    def map(self, key: Any, function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]]) -> list[Any]:
        """function(key, *job) for every job, in order; raises KeyInvalid when the workers hold another key."""
        if key.public != self._identity or (key is not key.public and not self._private):
            raise KeyInvalid("these workers hold another key")
        try:
            return [done.result() for done in [self._pool.submit(_run, function, job) for job in jobs]]
        except BrokenProcessPool as error:
            raise HeError("a worker process died") from error

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _adopt(key: Any) -> None:
    global _key
    _key = key


def _run(function: Callable[..., Any], job: tuple[Any, ...]) -> Any:
    return function(_key, *job)
