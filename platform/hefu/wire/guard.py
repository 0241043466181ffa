"""The guard at an organisation's door: who may send a request, and that it is this one, now, to us, once.

In this order: signature fields there and readable · addressed to us · fresh · sender known under this key · signature ·
sender's standing; then the body is read, and: still fresh · body digest · nonce never seen. So a stranger's body is never
held in memory. A nonce is remembered only under a valid signature, so that strangers
cannot fill the memory; it is remembered as long as the request could pass as fresh, and by the recipient's database, so
that a restart forgets nothing.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from hefu.wire.errors import Refused, SignatureRefused
from hefu.wire.signing import (
    SIGNED_HEADERS,
    Message,
    VerifiedRequest,
    read_request,
    verify_body,
    verify_head,
)

Standing = Literal["active", "suspended", "revoked"]
MAX_AGE = dt.timedelta(seconds=120)
MAX_SKEW = dt.timedelta(seconds=30)


@dataclass(frozen=True)
class Sender:
    """An organisation as its admission and the latest standing notice have it."""

    public_key: Ed25519PublicKey
    standing: Standing


class SenderDirectory(Protocol):
    """Where the guard finds senders. Called from worker threads."""

    def lookup(self, sender: str, key_id: str) -> Sender | None:
        """The sender under this key id, or None when the sender or the key is unknown."""


class NonceStore(Protocol):
    """Remembers nonces, durably. Called from worker threads."""

    def remember(self, sender: str, nonce: str, expires_at: dt.datetime) -> bool:
        """Remember a nonce at least until `expires_at` (UTC); False when it was remembered already. Atomic."""


class MemoryNonceStore:
    """Nonces in memory: for tests and single-run tools. A restart forgets them."""

    def __init__(self) -> None:
        self._expiry: dict[tuple[str, str], dt.datetime] = {}
        self._lock = threading.Lock()

    def remember(self, sender: str, nonce: str, expires_at: dt.datetime) -> bool:
        """See NonceStore. Never forgets."""
        with self._lock:
            if (sender, nonce) in self._expiry:
                return False
            self._expiry[(sender, nonce)] = expires_at
            return True


def utc_now() -> dt.datetime:
    """The system's clock."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Guard:
    """Checks requests to `own_id`.

    clock    the time in UTC
    max_age  how old a request may be; max_skew, how far in the future
    """

    own_id: str
    directory: SenderDirectory
    nonces: NonceStore
    clock: Callable[[], dt.datetime] = utc_now
    max_age: dt.timedelta = MAX_AGE
    max_skew: dt.timedelta = MAX_SKEW

    async def check(
        self, request: Request, read_body: Callable[[], Awaitable[bytes]]
    ) -> tuple[VerifiedRequest, bytes]:
        """Check a request, reading its body once the rest of it has passed; answers its sender and the body.

        raises  Refused, and whatever `read_body` raises
        """
        headers = signature_headers(request)
        verified = await run_in_threadpool(self.check_head, message_of(request, b""), headers)
        body = await read_body()
        await run_in_threadpool(self.check_body, verified, headers, body)
        return verified, body

    def check_message(self, message: Message, headers: Mapping[str, str]) -> VerifiedRequest:
        """As `check`, without HTTP. `headers`: the signature fields, names in lower case.

        raises  Refused
        """
        verified = self.check_head(message, headers)
        self.check_body(verified, headers, message.body)
        return verified

    def check_head(self, message: Message, headers: Mapping[str, str]) -> VerifiedRequest:
        """All that can be told without the body. Raises Refused."""
        try:
            claimed = read_request(headers)
            if claimed.recipient != self.own_id:
                raise Refused("wrong_recipient")
            self.check_fresh(claimed.created)
            sender = self.directory.lookup(claimed.sender, claimed.key_id)
            if sender is None:
                raise Refused("unknown_sender")
            verified = verify_head(message, headers, recipient=self.own_id, public_key=sender.public_key)
        except SignatureRefused as error:
            raise Refused(error.code) from error
        self.check_standing(sender)
        return verified

    def check_body(self, verified: VerifiedRequest, headers: Mapping[str, str], body: bytes) -> None:
        """The body is the signed one, and it did not come so slowly that the nonce may be forgotten. Raises Refused."""
        self.check_fresh(verified.created)
        try:
            verify_body(body, headers)
        except SignatureRefused as error:
            raise Refused(error.code) from error
        self.check_new(verified)

    def check_fresh(self, created: int) -> None:
        """raises Refused("stale") when a request is older than max_age or further ahead than max_skew."""
        age = self.clock().timestamp() - created
        if not -self.max_skew.total_seconds() <= age <= self.max_age.total_seconds():
            raise Refused("stale")

    def check_standing(self, sender: Sender) -> None:
        """raises Refused("sender_suspended") unless the sender is active."""
        if sender.standing != "active":
            raise Refused("sender_suspended")

    def check_new(self, verified: VerifiedRequest) -> None:
        """raises Refused("replayed") when the sender used the nonce before."""
        created = dt.datetime.fromtimestamp(verified.created, dt.UTC)
        keep_until = created + self.max_age + self.max_skew
        if not self.nonces.remember(verified.sender, verified.nonce, keep_until):
            raise Refused("replayed")


def signature_headers(request: Request) -> dict[str, str]:
    """The signature fields of a request. One that came more than once is unreadable, not the first or the last.

    raises  Refused("signature_invalid")
    """
    found: dict[str, str] = {}
    for name in (*SIGNED_HEADERS, "host"):
        values = request.headers.getlist(name)
        if len(values) > 1:
            raise Refused("signature_invalid")
        if values and name != "host":
            found[name] = values[0]
    return found


def message_of(request: Request, body: bytes) -> Message:
    """The parts of a request that its signature covers, as they came over the wire."""
    raw_path = request.scope.get("raw_path") or request.scope["path"].encode()
    return Message(
        method=request.method,
        authority=request.headers.get("host", ""),
        path=raw_path.split(b"?", 1)[0].decode("latin-1"),
        query=request.scope.get("query_string", b"").decode("latin-1"),
        body=body,
    )
