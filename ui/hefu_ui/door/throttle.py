"""How often a wrong password may be tried: per account and address, and per address over all accounts."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

WINDOW_SECONDS = 300.0
PER_ACCOUNT = 5
PER_ADDRESS = 40
MAX_KEYS = 10_000


class Throttle:
    """Counts failures in a sliding window; a success clears the account's count, never the address's."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[tuple[str, ...], deque[float]] = {}

    def wait_seconds(self, org_id: str, account: str, address: str) -> int:
        """Seconds until the next try is allowed; 0 when it is allowed now."""
        with self._lock:
            waits = [
                self._wait((address, org_id, account), PER_ACCOUNT),
                self._wait((address,), PER_ADDRESS),
            ]
        return max(waits)

    def failed(self, org_id: str, account: str, address: str) -> None:
        """Record a refused login."""
        now = self._clock()
        with self._lock:
            if len(self._failures) > MAX_KEYS:
                self._failures = {
                    k: d for k, d in self._failures.items() if d and now - d[-1] < WINDOW_SECONDS
                }
            for key in ((address, org_id, account), (address,)):
                self._failures.setdefault(key, deque(maxlen=PER_ADDRESS)).append(now)

    def succeeded(self, org_id: str, account: str, address: str) -> None:
        """Record an accepted login."""
        with self._lock:
            self._failures.pop((address, org_id, account), None)

    def _wait(self, key: tuple[str, ...], limit: int) -> int:
        recent = self._failures.get(key)
        if recent is None:
            return 0
        now = self._clock()
        while recent and now - recent[0] >= WINDOW_SECONDS:
            recent.popleft()
        if len(recent) < limit:
            return 0
        return int(WINDOW_SECONDS - (now - recent[-limit])) + 1
