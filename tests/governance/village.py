"""The whole platform in one process: the real coordinator and six real nodes, their services called without a network.

Requests are signed and verified as always (only TCP and TLS are left out), every organisation has its own database, keys and
folder, the ledger has its sequencer, and computations run in real worker processes over real channels. What a flow run
would do is done by whoever holds the village: stage by stage, in whatever order it likes.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
from hefu.coordinator.app import create_app as create_coordinator_app
from hefu.coordinator.context import CoordinatorContext
from hefu.coordinator.ledger import start_sequencer
from hefu.coordinator.service import open_context as open_coordinator
from hefu.coordinator.settings import CoordinatorPaths
from hefu.domain.job import STAGES, Stage
from hefu.keys.keystore import open_signing_key
from hefu.local import bootstrap
from hefu.local.console_client import ConsoleError
from hefu.local.organisations import ORGANISATIONS
from hefu.local.system import LocalSystem
from hefu.node import outbox, service
from hefu.node.context import NodeContext
from hefu.node.following import follow
from hefu.node.sessions import Attempts
from hefu.node.switchboard import Switchboard
from hefu.store.base import now
from hefu.wire.client import Peer, SignedClient
from starlette.testclient import TestClient


class Bridge(SignedClient):
    """A signed client whose requests go straight into the recipient's application."""

    apps: dict[str, Any]

    def _connect(self, peer: Peer) -> httpx.Client:
        return TestClient(
            self.apps[peer.org_id],
            base_url=peer.url,
            raise_server_exceptions=False,
            headers={"accept-encoding": "identity"},
        )


class Person:
    """A signed-in person at one organisation, with the interface of `ConsoleClient`."""

    def __init__(self, org_id: str, app: Any, username: str, password: str) -> None:
        self.org_id = org_id
        self._http = TestClient(app, base_url="https://node", raise_server_exceptions=False)
        token = self.post("/console/login", {"username": username, "password": password})["token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Person:
        return self

    def __exit__(self, *_: object) -> None:
        """The session stays: signing in anew costs a password hash."""

    def get(self, path: str, **params: Any) -> Any:
        return self._read(self._http.get(path, params=params))

    def post(self, path: str, body: Any = None) -> Any:
        return self._read(self._http.post(path, json=body))

    def upload(self, path: str, name: str, content: bytes) -> Any:
        return self._read(self._http.post(path, files={"file": (name, content, "text/csv")}))

    def _read(self, answer: httpx.Response) -> Any:
        if answer.is_error:
            try:
                body = answer.json()
            except ValueError:
                body = {}
            raise ConsoleError(self.org_id, answer.status_code, body)
        return answer.json() if answer.content else None


class Village:
    """The running platform."""

    def __init__(self, directory: Path) -> None:
        self.system = LocalSystem(directory)
        self.nodes: dict[str, NodeContext] = {}
        self.attempts: dict[str, Attempts] = {}
        self.apps: dict[str, Any] = {}
        self._people: dict[tuple[str, bool], Person] = {}
        self._switchboards: list[Switchboard] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def start(self) -> None:
        """Keys, databases, services; everybody admitted; data sets registered."""
        self.system.initialise()
        self._start_coordinator()
        for org_id in ORGANISATIONS:
            self._start_node(org_id)
        for ctx in [self.coordinator, *self.nodes.values()]:
            ctx.client.apps = self.apps  # type: ignore[attr-defined]  # a Bridge
        for ctx in self.nodes.values():
            for target in (
                lambda c=ctx: follow(c, None),  # type: ignore[misc]  # no server to give a certificate to
                lambda c=ctx: outbox.work(c),  # type: ignore[misc]
            ):
                thread = threading.Thread(target=target, daemon=True)
                thread.start()
                self._threads.append(thread)
        bootstrap.add_sample_accounts(self.system)
        with self.people():
            bootstrap.admit_everybody(self.system)
            bootstrap.register_data_sets(self.system)

    def stop(self) -> None:
        """Stop threads, workers and the database."""
        for ctx in self.nodes.values():
            ctx.stop.set()
            ctx.wake_outbox.set()
            ctx.wake_sync.set()
        self.coordinator.stop.set()
        self.coordinator.wake_sequencer.set()
        for attempts in self.attempts.values():
            attempts.stop()
        for board in self._switchboards:
            board.close()
        for thread in self._threads:
            thread.join(timeout=10)
        for ctx in [self.coordinator, *self.nodes.values()]:
            ctx.engine.dispose()
        self.system.stop()

    @contextlib.contextmanager
    def people(self) -> Iterator[None]:
        """While this lasts, the demo's own set-up signs in here."""
        before, bootstrap.sign_in = bootstrap.sign_in, self.sign_in  # type: ignore[assignment]
        try:
            yield
        finally:
            bootstrap.sign_in = before

    def sign_in(self, _system: Any, org_id: str, *, reviewer: bool = False) -> Person:
        """The sample account of an organisation, or its second person."""
        with self._lock:
            if (org_id, reviewer) not in self._people:
                account = self.system.accounts[org_id]
                name, password = (
                    (f"{org_id}-reviewer", account["reviewer"])
                    if reviewer
                    else (account["username"], account["password"])
                )
                self._people[org_id, reviewer] = Person(org_id, self.apps[org_id], name, password)
            return self._people[org_id, reviewer]

    def at(self, org_id: str, *, reviewer: bool = False) -> Person:
        """A person at an organisation."""
        return self.sign_in(self.system, org_id, reviewer=reviewer)

    # What a flow run does.

    def internal(self, path: str, body: Any = None) -> tuple[int, Any]:
        """POST as the flow runner; answers status and JSON."""
        answer = self._internal.post(
            f"/internal{path}", json=body, headers={"Authorization": f"Bearer {self._token}"}
        )
        return answer.status_code, answer.json() if answer.content else None

    def lease(self, job_id: str) -> int:
        """Take the job, whoever had it."""
        from hefu.store.coordinator_tables import JobRow

        with self.coordinator.session() as session:
            job = session.get_one(JobRow, job_id)
            job.lease += 1
            session.add(job)
            session.commit()
            return job.lease

    def advance(self, job_id: str, stage: Stage, seconds: float = 120) -> dict[str, Any]:
        """Run one stage to its end; answers `{state, verdict}`."""
        lease = self.lease(job_id)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status, answer = self.internal(f"/jobs/{job_id}/stages/{stage.value}", {"lease": lease})
            if status != 200:
                return {"state": "refused", "verdict": {"passed": False, "findings": [answer]}}
            if answer["state"] != "running":
                return dict(answer)
            time.sleep(0.05)
        raise TimeoutError(f"{stage} of {job_id}")

    def finish(self, job_id: str) -> str:
        """Close the job as its verdicts say, or let it wait."""
        status, answer = self.internal(f"/jobs/{job_id}/finish", {"lease": self.lease(job_id)})
        return str(answer["state"]) if status == 200 else "refused"

    def form(
        self, contract_id: str, title: str, title_en: str, first_day: date, **more: Any
    ) -> dict[str, Any]:
        """The form of a reconciliation between institution and bank for the regulator, in force for a month."""
        moment = now()
        return {
            "contract_id": contract_id,
            "title": title,
            "title_en": title_en,
            "purpose": "核对业务记录与资金流水 / consistency of business records and fund flows",
            "institutions": ["institution"],
            "banks": ["bank"],
            "regulator": "regulator",
            "compute_parties": ["operator", "bank", "exchange"],
            "auditor": "auditor",
            "data_sets": bootstrap.DATA_SETS,
            "match_keys": ["serial"],
            "max_uses": 9,
            "max_rows": 100,
            "valid_from": (moment - timedelta(minutes=5)).isoformat(),
            "valid_until": (moment + timedelta(days=30)).isoformat(),
            "first_day": first_day.isoformat(),
            "retry_seconds": 2,
            **more,
        }

    def carry_on(self, job: str, seconds: float = 60) -> dict[str, Any]:
        """As the flow runner does: tried again for as long as it waits for what is on its way."""
        deadline = time.monotonic() + seconds
        while True:
            answer = dict(self.carry(job))
            if answer["state"] != "waiting" or time.monotonic() > deadline:
                return answer
            time.sleep(0.5)

    def carry(self, job_id: str) -> dict[str, Any]:
        """All stages in their order, to the first that does not pass; answers its verdict."""
        answer: dict[str, Any] = {}
        for stage in STAGES:
            answer = self.advance(job_id, stage)
            if answer["state"] != "finished" or not answer["verdict"]["passed"]:
                break
        self.finish(job_id)
        return answer

    def request(self, contract_id: str, day: date) -> str:
        """A job for one day, as the regulator asks for it."""
        body = {
            "contract_id": contract_id,
            "first_day": day.isoformat(),
            "last_day": day.isoformat(),
            "reason": "test",
        }
        found = self.nodes["regulator"].client.post("coordinator", "/api/jobs", body)
        return str(found[0]["job_id"])

    # Setting up.

    def _start_coordinator(self) -> None:
        root = self.system.coordinator.root
        self.coordinator: CoordinatorContext = open_coordinator(root, self._passphrase("coordinator"))
        self.coordinator.client = Bridge(
            "coordinator", self.coordinator.keys.identity, self.coordinator.directory.resolve
        )
        paths = CoordinatorPaths(root)
        dsn = paths.ledger_dsn.read_text()
        self._token = paths.token.read_text().strip()
        app = create_coordinator_app(self.coordinator, ledger_dsn=dsn, internal_token=self._token)
        self.apps["coordinator"] = app
        self._internal = TestClient(app, base_url="https://coordinator", raise_server_exceptions=False)
        key = open_signing_key(paths.log_key, self._passphrase("coordinator"))
        self._threads.append(start_sequencer(self.coordinator, dsn, key))

    def _start_node(self, org_id: str) -> None:
        ctx = service.open_context(self.system.node(org_id).root, self._passphrase(org_id))
        ctx.client = Bridge(org_id, ctx.keys.identity, ctx.directory.resolve)
        board = Switchboard(ctx.settings.listen, ctx.settings.channel_port)
        board.start()
        attempts = Attempts(ctx, board)
        self._switchboards.append(board)
        self.nodes[org_id], self.attempts[org_id] = ctx, attempts
        self.apps[org_id] = service.create_app(ctx, attempts)

    def _passphrase(self, name: str) -> bytes:
        self.system._load_secrets()
        return str(self.system._secrets["passphrases"][name]).encode()
