"""A signed-in user's client of a node's console API, as the demo and the command line use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import httpx

from hefu.keys.certificates import load_certificate
from hefu.keys.public import spki_digest
from hefu.keys.tls import pinned_client_context


class ConsoleError(Exception):
    """The node refused; carries what it said."""

    def __init__(self, org_id: str, status: int, body: dict[str, Any]) -> None:
        message = body.get("message_en", body.get("detail", ""))
        mend = body.get("mend_en", "")
        super().__init__(
            f"{org_id}: {status} {body.get('code', '')}: {message}" + (f" ({mend})" if mend else "")
        )
        self.status, self.body = status, body


class ConsoleClient:
    """One user at one organisation's node."""

    def __init__(self, org_id: str, url: str, certificate: Path, username: str, password: str) -> None:
        self.org_id = org_id
        pem = certificate.read_text()
        context = pinned_client_context(pem, pin_spki=spki_digest(load_certificate(pem)), org_id=org_id)
        self._http = httpx.Client(
            base_url=url,
            verify=context,
            trust_env=False,
            timeout=300,
            limits=httpx.Limits(keepalive_expiry=2),
        )
        session = self.post("/console/login", {"username": username, "password": password})
        self._http.headers["Authorization"] = f"Bearer {session['token']}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        """GET; answers JSON. Raises ConsoleError."""
        return self._read(self._http.get(path, params=params))

    def get_bytes(self, path: str) -> bytes:
        """GET a file. Raises ConsoleError."""
        answer = self._http.get(path)
        self._raise(answer)
        return answer.content

    def post(self, path: str, body: Any = None) -> Any:
        """POST JSON; answers JSON. Raises ConsoleError."""
        return self._read(self._http.post(path, json=body))

    def upload(self, path: str, file: Path) -> Any:
        """POST a file. Raises ConsoleError."""
        with file.open("rb") as stream:
            return self._read(self._http.post(path, files={"file": (file.name, stream, "text/csv")}))

    def _read(self, answer: httpx.Response) -> Any:
        self._raise(answer)
        return answer.json() if answer.content else None

    def _raise(self, answer: httpx.Response) -> None:
        if answer.is_error:
            try:
                body = answer.json()
            except ValueError:
                body = {}
            raise ConsoleError(self.org_id, answer.status_code, body if isinstance(body, dict) else {})
