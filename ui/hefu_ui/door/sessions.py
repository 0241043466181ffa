"""Server-side sessions. The browser holds a random token; this process holds its SHA-256 and what belongs to it.

The node's own token never reaches the browser. A session ends on logout, when idle too long, or when the node's token
expires, whichever comes first; sessions do not survive a restart of the console.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from hefu.node.console_models import Session, User

Language = Literal["zh", "en"]


@dataclass
class SignedIn:
    """One signed-in person; `language` is the only thing that changes."""

    user: User
    org_id: str
    node_token: str
    expires_at: datetime
    last_seen: datetime
    language: Language


class Sessions:
    """All sessions of this console, by the SHA-256 of their tokens."""

    def __init__(self, idle: timedelta) -> None:
        self._idle = idle
        self._lock = threading.Lock()
        self._by_hash: dict[str, SignedIn] = {}

    def begin(self, org_id: str, session: Session, language: Language) -> str:
        """Remember a session that the node has opened; returns the new cookie token (256 random bits)."""
        token = secrets.token_urlsafe(32)
        now = datetime.now(UTC)
        signed_in = SignedIn(session.user, org_id, session.token, session.expires_at, now, language)
        with self._lock:
            self._by_hash = {key: held for key, held in self._by_hash.items() if self._is_live(held, now)}
            self._by_hash[_digest(token)] = signed_in
        return token

    def find(self, token: str | None, *, touch: bool = False) -> SignedIn | None:
        """The live session of a cookie token, or None. `touch` counts as the person being there."""
        if not token:
            return None
        now = datetime.now(UTC)
        with self._lock:
            held = self._by_hash.get(_digest(token))
            if held is None:
                return None
            if not self._is_live(held, now):
                del self._by_hash[_digest(token)]
                return None
            if touch:
                held.last_seen = now
            return held

    def end(self, token: str | None) -> SignedIn | None:
        """Forget a session; returns what it held."""
        with self._lock:
            return self._by_hash.pop(_digest(token), None) if token else None

    def _is_live(self, held: SignedIn, now: datetime) -> bool:
        return now < held.expires_at and now - held.last_seen < self._idle


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
