"""The client for signed requests to other organisations.

One pooled HTTPS connection set per peer, each trusting exactly that peer's pinned certificate. No answer is parsed, and no
error in it believed, before its signature and its binding to the request are verified. Nothing is retried here: a caller
that tries again makes a new request with a new nonce.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hefu.keys.errors import KeysError
from hefu.keys.tls import pinned_client_context
from hefu.wire.errors import AcknowledgementInvalid, PeerRefused, PeerUnreachable, SignatureRefused
from hefu.wire.guard import utc_now
from hefu.wire.signing import Message, sign_request, verify_response

MAX_ANSWER_BYTES = 256 * 1024 * 1024
_KEEPALIVE_SECONDS = (
    4  # shorter than a server's five, so that a pooled connection is not used while it closes
)


@dataclass(frozen=True)
class Peer:
    """Another organisation as a contract or the kit pins it.

    url              https://host:port
    certificate_pem  its TLS certificate; spki, the pinned digest of that certificate's key
    """

    org_id: str
    url: str
    certificate_pem: str
    spki: str
    identity_key: Ed25519PublicKey


class SignedClient:
    """Sends requests signed by `own_id`. Safe to use from several threads.

    resolve  org id → Peer; asked for each request, so that a change of pins takes effect at the next
    """

    def __init__(
        self,
        own_id: str,
        identity_key: Ed25519PrivateKey,
        resolve: Callable[[str], Peer],
        *,
        timeout_seconds: float = 30.0,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self._own_id, self._key, self._resolve = own_id, identity_key, resolve
        self._timeout, self._max_answer_bytes = timeout_seconds, max_answer_bytes
        self._clients: dict[tuple[str, str, str, str], httpx.Client] = {}
        self._lock = threading.Lock()

    def post(
        self, recipient: str, path: str, content: Any = None, *, timeout_seconds: float | None = None
    ) -> Any:
        """POST bytes as they are, nothing for None, or anything else as JSON.

        returns  the answer's JSON, or its bytes where it is not JSON, or None where it is empty
        raises   PeerUnreachable · PeerRefused · AcknowledgementInvalid
        """
        if isinstance(content, bytes | bytearray):
            body, kind = bytes(content), "application/octet-stream"
        else:
            body, kind = (b"" if content is None else orjson.dumps(content)), "application/json"
        return self._request("POST", recipient, path, None, body, {"content-type": kind}, timeout_seconds)

    def get(
        self,
        recipient: str,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        timeout_seconds: float | None = None,
    ) -> Any:
        """GET; answers and errors as for `post`."""
        return self._request("GET", recipient, path, params, b"", {}, timeout_seconds)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close()

    def __enter__(self) -> SignedClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _request(
        self,
        method: str,
        recipient: str,
        path: str,
        params: Mapping[str, str | int] | None,
        body: bytes,
        headers: dict[str, str],
        timeout_seconds: float | None,
    ) -> Any:
        peer = self._resolve(recipient)
        client = self._client_of(peer)
        timeout = httpx.Timeout(timeout_seconds if timeout_seconds is not None else self._timeout)
        request = client.build_request(
            method, path, params=params, content=body, headers=headers, timeout=timeout
        )
        raw_path, _, raw_query = request.url.raw_path.partition(b"?")
        message = Message(method, request.headers["host"], raw_path.decode(), raw_query.decode(), body)
        signed = sign_request(
            message,
            sender=self._own_id,
            recipient=peer.org_id,
            key=self._key,
            created=int(utc_now().timestamp()),
        )
        request.headers.update(signed)
        status, answer_headers, answer = self._send(client, peer, request)
        try:
            verify_response(
                status,
                answer_headers,
                answer,
                sender=peer.org_id,
                public_key=peer.identity_key,
                request_signature=signed["signature"],
            )
        except SignatureRefused as error:
            raise AcknowledgementInvalid(peer.org_id, f"{error.detail} (status {status})") from error
        return _read_answer(peer.org_id, status, answer_headers.get("content-type", ""), answer)

    def _send(
        self, client: httpx.Client, peer: Peer, request: httpx.Request
    ) -> tuple[int, dict[str, str], bytes]:
        try:
            response = client.send(request, stream=True)
            try:
                answer = bytearray()
                for chunk in response.iter_raw():
                    answer += chunk
                    if len(answer) > self._max_answer_bytes:
                        raise AcknowledgementInvalid(peer.org_id, "it is larger than allowed")
            finally:
                response.close()
        except (httpx.HTTPError, ssl.SSLError, OSError) as error:
            raise PeerUnreachable(peer.org_id, f"{type(error).__name__}: {error}") from error
        # a field that came twice is joined by a comma: no such signature field can be read
        return response.status_code, dict(response.headers.items()), bytes(answer)

    def _client_of(self, peer: Peer) -> httpx.Client:
        pool = (peer.org_id, peer.url, peer.spki, peer.certificate_pem)
        with self._lock:
            client = self._clients.get(pool)
            if client is None:
                client = self._clients[pool] = self._connect(peer)
            return client

    def _connect(self, peer: Peer) -> httpx.Client:
        if not peer.url.startswith("https://"):
            raise PeerUnreachable(peer.org_id, "its address is not https")
        try:
            context = pinned_client_context(peer.certificate_pem, pin_spki=peer.spki, org_id=peer.org_id)
            base_url = httpx.URL(peer.url)
        except (KeysError, httpx.InvalidURL) as error:
            raise PeerUnreachable(peer.org_id, str(error)) from error
        limits = httpx.Limits(max_connections=16, keepalive_expiry=_KEEPALIVE_SECONDS)
        return httpx.Client(
            base_url=base_url,
            verify=context,
            trust_env=False,
            timeout=self._timeout,
            limits=limits,
            headers={"accept-encoding": "identity"},
        )


def _read_answer(org_id: str, status: int, kind: str, answer: bytes) -> Any:
    """The content of a verified answer."""
    content: Any = answer
    if answer and kind.split(";")[0].strip() == "application/json":
        try:
            content = orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise AcknowledgementInvalid(org_id, "its body is not JSON") from error
    if status < 300:  # a redirect is refused, not followed: it would leave the pinned peer
        return content if answer else None
    said: Mapping[str, Any] = content if isinstance(content, dict) else {}
    message = str(said.get("message_en") or said.get("detail") or "")
    raise PeerRefused(org_id, status, str(said.get("code", "")), message, said)
