"""The whole system on one machine: PostgreSQL, Prefect, the coordinator, six nodes, the flow runner and the console.

It is the real thing: separate processes with separate keys, databases and folders, each node confined to its own. What
is local about it: one person starts all of it, and the state folder keeps the passphrases that in earnest six
organisations would each type themselves (`secrets.json`, readable by its owner alone and by no node).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import psycopg
from hefu_ledger.store import install

from hefu.coordinator.service import initialise as initialise_coordinator
from hefu.coordinator.settings import CoordinatorPaths, CoordinatorSettings
from hefu.domain.kit import Kit
from hefu.local.confine import confined_command
from hefu.local.errors import LocalError
from hefu.local.health import ready_at
from hefu.local.kernel_cache import give_kernels
from hefu.local.organisations import IN_KIT, OPERATOR, ORGANISATIONS
from hefu.local.ports import Ports
from hefu.local.postgres import LocalPostgres
from hefu.local.supervisor import Service, Supervisor
from hefu.node.service import initialise as initialise_node
from hefu.node.settings import NodePaths, NodeSettings, write_private

Say = Callable[[str], None]


def default_directory() -> Path:
    """`.hefu/` here; for root a folder made for it outside any home, since PostgreSQL then runs as a user of its own."""
    if os.geteuid() != 0:
        return Path(".hefu").resolve()
    return Path("/var/lib/hefu") / hashlib.sha256(str(Path.cwd()).encode()).hexdigest()[:12]


class LocalSystem:
    """One local system in one state folder; a second start resumes the same state."""

    def __init__(self, directory: Path, *, say: Say = print) -> None:
        self.directory = directory.absolute()
        self.say = say
        self.coordinator = CoordinatorPaths(self.directory / "coordinator")
        self.logs = self.directory / "logs"
        self._ports: Ports | None = None
        self._secrets: dict[str, Any] = {}
        self.postgres: LocalPostgres | None = None
        self.supervisor = Supervisor(grace_seconds=10.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def node(self, org_id: str) -> NodePaths:
        """A node's folder."""
        return NodePaths(self.directory / "nodes" / org_id)

    def port(self, name: str) -> int:
        """A loopback port, the same at every start: applications and contracts name it."""
        if self._ports is None:
            self._ports = Ports(self.directory / "ports.json")
        return self._ports.as_dict().get(name) or self._ports.get(name)

    @property
    def initialised(self) -> bool:
        """Whether this folder holds a system."""
        return (self.directory / "secrets.json").exists() and self.coordinator.kit.exists()

    @property
    def accounts(self) -> dict[str, dict[str, str]]:
        """Sample accounts: org id → {username, password, reviewer}."""
        self._load_secrets()
        return dict(self._secrets["accounts"])

    # Setting up.

    def initialise(self) -> None:
        """Databases, keys, applications, start-up kit; harmless when done already, begun anew when it was interrupted.

        raises  LocalError when a finished system's secrets are gone
        """
        self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.logs.mkdir(mode=0o700, exist_ok=True)
        self._start_postgres()
        if self.initialised:
            self._load_secrets()
            return
        self._clear_unfinished()
        self._secrets = {
            "databases": {
                name: secrets.token_urlsafe(24)
                for name in ("coordinator", "prefect", *map(_database, ORGANISATIONS))
            },
            "passphrases": {name: secrets.token_urlsafe(24) for name in ("coordinator", *ORGANISATIONS)},
            "prefect": "hefu:" + secrets.token_urlsafe(24),
            "accounts": {
                org: {
                    "username": org,
                    "password": secrets.token_urlsafe(12),
                    "reviewer": secrets.token_urlsafe(12),
                }
                for org in ORGANISATIONS
            },
        }
        self._make_databases()
        kit = self._make_coordinator()
        for org_id in ORGANISATIONS:
            self._make_node(org_id)
        applications = {o: base64.b64encode(self.node(o).application.read_bytes()).decode() for o in IN_KIT}
        kit = kit.model_copy(update={"applications": applications})
        write_private(self.directory / "secrets.json", json.dumps(self._secrets, indent=2).encode())
        for org_id in ORGANISATIONS:
            write_private(self.node(org_id).kit, kit.to_bytes())
        write_private(self.coordinator.kit, kit.to_bytes())

    def _clear_unfinished(self) -> None:
        """Remove the folders of a first start that was interrupted; the coordinator's kit, written last, tells.

        Nobody has signed anything with their keys yet, and the passphrases of some are lost.
        """
        if self.coordinator.kit.exists():
            raise LocalError(
                f"{self.directory / 'secrets.json'} is gone: the system beside it cannot be started"
            )
        for folder in (self.coordinator.root, self.directory / "nodes"):
            if folder.exists():
                shutil.rmtree(folder)

    def _start_postgres(self) -> None:
        if self.postgres is None:
            self.postgres = LocalPostgres.start(self.directory / "postgres")

    def _load_secrets(self) -> None:
        if not self._secrets:
            self._secrets = json.loads((self.directory / "secrets.json").read_text())

    def _url(self, name: str, driver: str = "psycopg") -> str:
        if self.postgres is None:
            raise RuntimeError("PostgreSQL is not running")
        return self.postgres.url(name, name, self._secrets["databases"][name], driver)

    def _make_databases(self) -> None:
        if self.postgres is None:
            raise RuntimeError("PostgreSQL is not running")
        for name, password in self._secrets["databases"].items():
            self.postgres.ensure_role(name, password)
            self.postgres.ensure_database(name, name)
        with psycopg.connect(self.postgres.admin_dsn("coordinator"), autocommit=True) as connection:
            roles = ["coordinator"]
            install(connection, submit_roles=roles, read_roles=roles, sequencer_roles=roles)

    def _make_coordinator(self) -> Kit:
        if self.postgres is None:
            raise RuntimeError("PostgreSQL is not running")
        port = self.port("coordinator")
        return initialise_coordinator(
            self.coordinator,
            CoordinatorSettings(port=port, operator=OPERATOR, ledger_origin="hefu.local/ledger"),
            url=f"https://127.0.0.1:{port}",
            database_url=self._url("coordinator"),
            ledger_dsn=self.postgres.dsn(
                "coordinator", "coordinator", self._secrets["databases"]["coordinator"]
            ),
            passphrase=self._secrets["passphrases"]["coordinator"].encode(),
        )

    def _make_node(self, org_id: str) -> None:
        initialise_node(
            self.node(org_id).root,
            NodeSettings(
                org_id=org_id,
                port=self.port(f"node-{org_id}"),
                channel_port=self.port(f"channel-{org_id}"),
                sync_seconds=1.0,
            ),
            ORGANISATIONS[org_id],
            database_url=self._url(_database(org_id)),
            passphrase=self._secrets["passphrases"][org_id].encode(),
        )

    # Running.

    def start(self, *, console: bool = True) -> None:
        """Start every process and wait until each answers."""
        self.initialise()
        services = [
            self._prefect(),
            self._coordinator_service(),
            *(self.node_service(o) for o in ORGANISATIONS),
        ]
        if console:
            services.append(self._console())
        for service in services:
            self.supervisor.launch(service)
        for service in services:
            self.supervisor.wait_ready(service.name)
        self.supervisor.start(self._runner())

    def start_ledger(self) -> None:
        """Start what the ledger's commands need: the database."""
        if not self.initialised:
            raise FileNotFoundError(f"{self.directory}: no system here; run `hefu demo` first")
        self._start_postgres()
        self._load_secrets()

    def stop(self) -> None:
        """Stop everything, in reverse order."""
        self.supervisor.stop()
        if self.postgres is not None:
            self.postgres.stop()
            self.postgres = None

    def _service(self, name: str, argv: list[str], **rest: Any) -> Service:
        return Service(name=name, argv=argv, log_path=self.logs / f"{name}.log", **rest)

    def _prefect(self) -> Service:
        port = self.port("prefect")
        return self._service(
            "prefect",
            [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            env=self._prefect_environment(),
            ready=ready_at(f"http://127.0.0.1:{port}/api/health"),
            ready_seconds=420.0,
        )

    def _prefect_environment(self) -> dict[str, str]:
        from importlib.metadata import entry_points

        environment = next(iter(entry_points(group="hefu.services", name="prefect-environment"))).load()
        home = self.directory / "prefect"
        home.mkdir(mode=0o700, exist_ok=True)
        made: dict[str, str] = environment(
            home, self._url("prefect", "asyncpg"), self.port("prefect"), self._secrets["prefect"]
        )
        return made

    def _coordinator_service(self) -> Service:
        return self._service(
            "coordinator",
            [
                sys.executable,
                "-m",
                "hefu.cli",
                "coordinator",
                "serve",
                "--dir",
                str(self.coordinator.root),
                "--passphrase-fd",
                "{fd:passphrase}",
            ],
            secrets={"passphrase": self._secrets["passphrases"]["coordinator"].encode()},
            ready=ready_at(f"https://127.0.0.1:{self.port('coordinator')}/healthz"),
            ready_seconds=300.0,
        )

    def node_service(self, org_id: str) -> Service:
        """How a node is started: confined to its folder, its passphrase from a descriptor."""
        root = self.node(org_id).root
        scratch = root / "tmp"
        scratch.mkdir(mode=0o700, exist_ok=True)
        serve = [
            sys.executable,
            "-m",
            "hefu.cli",
            "node",
            "serve",
            "--dir",
            str(root),
            "--passphrase-fd",
            "{fd:passphrase}",
        ]
        return self._service(
            f"node-{org_id}",
            confined_command(serve, [root]),
            env={**give_kernels(root / "kernels"), "TMPDIR": str(scratch), "HOME": str(root)},
            cwd=root,
            secrets={"passphrase": self._secrets["passphrases"][org_id].encode()},
            ready=ready_at(f"https://127.0.0.1:{self.port(f'node-{org_id}')}/healthz"),
            ready_seconds=300.0,
        )

    def _runner(self) -> Service:
        return self._service(
            "runner", [sys.executable, "-m", "hefu.cli", "flows", "serve"], env=self.runner_environment()
        )

    def runner_environment(self) -> dict[str, str]:
        """What the flow runner needs: Prefect's address, the coordinator's certificate and token file."""
        prefect = self._prefect_environment()
        del prefect["PREFECT_SERVER_DATABASE_CONNECTION_URL"]  # the server's, with its password
        return prefect | {
            "HEFU_COORDINATOR_URL": f"https://127.0.0.1:{self.port('coordinator')}",
            "HEFU_COORDINATOR_CERTIFICATE": str(self.coordinator.certificate),
            "HEFU_INTERNAL_TOKEN_FILE": str(self.coordinator.token),
        }

    def _console(self) -> Service:
        folder = self.directory / "console"
        folder.mkdir(mode=0o700, exist_ok=True)
        nodes = {
            org_id: {
                "url": f"https://127.0.0.1:{self.port(f'node-{org_id}')}",
                "certificate": str(self.node(org_id).certificate),
                "name_zh": profile.legal_name,
                "name_en": profile.legal_name_en,
            }
            for org_id, profile in ORGANISATIONS.items()
        }
        port = self.port("console")
        config = {"nodes": nodes, "host": "127.0.0.1", "port": port}
        write_private(folder / "console.json", json.dumps(config, ensure_ascii=False, indent=2).encode())
        return self._service(
            "console",
            [sys.executable, "-m", "hefu.cli", "console", "serve", "--config", str(folder / "console.json")],
            cwd=folder,
            ready=ready_at(f"http://127.0.0.1:{port}/auth/login"),
            ready_seconds=300.0,
        )


def _database(org_id: str) -> str:
    return f"node_{org_id}"
