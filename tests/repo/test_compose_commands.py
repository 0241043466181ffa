"""The commands of docker-compose.yml start here as the file gives them, without a container engine.

Changed are only the places that a container would have given: folders, addresses, ports and the secrets' folder.
"""

import contextlib
import os
import secrets
import signal
import subprocess
import time
from pathlib import Path

import psycopg
import pytest
import yaml
from hefu.local.health import answers
from hefu.local.ports import Ports
from hefu.local.postgres_programs import find_programs
from hefu.local.supervisor import Service, Supervisor

pytestmark = [pytest.mark.server, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


def command_of(name: str, changes: dict[str, str]) -> list[str]:
    """The service's command after compose's own unescaping of `$$`, with each change made at least once."""
    words = [word.replace("$$", "$") for word in COMPOSE["services"][name]["command"]]
    for old, new in changes.items():
        assert any(old in word for word in words), (name, old)
        words = [word.replace(old, new) for word in words]
    return words


def check_of(name: str, changes: dict[str, str]) -> list[str]:
    """The service's health check, changed alike."""
    words = COMPOSE["services"][name]["healthcheck"]["test"][1:]
    for old, new in changes.items():
        words = [word.replace(old, new) for word in words]
    return words


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "secrets"
    folder.mkdir()
    return folder


@pytest.fixture
def port(tmp_path):
    return Ports(tmp_path / "ports.json").get("service")


def environment_of(name: str, changes: dict[str, str]) -> dict[str, str]:
    environment = {key: str(value) for key, value in COMPOSE["services"][name].get("environment", {}).items()}
    for old, new in changes.items():
        environment = {key: value.replace(old, new) for key, value in environment.items()}
    return environment


def path_with_our_programs() -> str:
    import sys

    return f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def test_prefect_starts_and_keeps_strangers_out(place, port, tmp_path, database, postgres):
    url = postgres.url(database.name, database.user, database.password, driver="asyncpg")
    (place / "prefect_database_url").write_text(url)
    password = f"operator:{secrets.token_hex(16)}"
    (place / "prefect_auth").write_text(password)
    changes = {"/run/secrets": str(place), "0.0.0.0": "127.0.0.1", "4200": str(port)}  # noqa: S104
    health = check_of("prefect", {"4200": str(port), "python": "python"})
    service = Service(
        "prefect",
        command_of("prefect", changes),
        tmp_path / "prefect.log",
        lambda: subprocess.run(health, env={"PATH": path_with_our_programs()}, check=False).returncode == 0,
        env={**environment_of("prefect", {"/var/lib/hefu": str(tmp_path)}), "PATH": path_with_our_programs()},
        ready_seconds=120,
    )
    with Supervisor() as supervisor:
        pid = supervisor.start(service)
        assert not answers(f"http://127.0.0.1:{port}/api/admin/version")
        command = Path(f"/proc/{pid}/cmdline").read_text()
        assert password not in command
        assert database.password not in command
        with psycopg.connect(database.dsn) as connection:
            assert connection.execute("SELECT count(*) FROM deployment").fetchone() == (0,)


def test_postgres_command_starts_a_server_with_scram(tmp_path, port, scratch):
    programs = find_programs(prefer_system=False)
    from hefu.local.postgres_programs import service_user

    user = service_user()
    data = scratch / f"compose-postgres-{port}"
    data.mkdir()
    if user.switch:
        os.chown(data, user.uid, user.gid)
    (scratch / "pw").write_text("first")
    (scratch / "pw").chmod(0o644)
    options = COMPOSE["services"]["postgres"]["environment"]["POSTGRES_INITDB_ARGS"].split()
    initdb = [
        str(programs / "initdb"),
        "-D",
        str(data),
        "-U",
        "postgres",
        f"--pwfile={scratch / 'pw'}",
        *options,
    ]
    subprocess.run(initdb, check=True, capture_output=True, cwd="/", **user.popen_arguments())
    command = command_of("postgres", {})
    assert command[0] == "postgres"
    command = [
        str(programs / "postgres"),
        *command[1:],
        "-D",
        str(data),
        "-k",
        str(data),
        "-p",
        str(port),
        "-h",
        "127.0.0.1",
    ]
    server = subprocess.Popen(command, cwd="/", stderr=subprocess.DEVNULL, **user.popen_arguments())
    dsn = f"postgresql://postgres:first@127.0.0.1:{port}/postgres"
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(dsn) as connection:
                settings = dict(
                    connection.execute(
                        "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)",
                        [
                            [
                                "fsync",
                                "full_page_writes",
                                "password_encryption",
                                "data_checksums",
                                "max_connections",
                            ]
                        ],
                    ).fetchall()
                )
                break
            time.sleep(0.1)
        assert settings == {
            "fsync": "on",
            "full_page_writes": "on",
            "password_encryption": "scram-sha-256",
            "data_checksums": "on",
            "max_connections": "200",
        }
        health = check_of("postgres", {})
        health = [str(programs / health[0]), *health[1:], f"--port={port}"]
        assert subprocess.run(health, check=False).returncode == 0
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(dsn.replace("first", "second"))
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


@pytest.fixture(scope="module")
def system(scratch):
    """A local system, set up and with its Prefect server running: what the containers' volumes and secrets would hold."""
    from hefu.local.system import LocalSystem

    with LocalSystem(scratch / "compose-system") as made:
        made.initialise()
        made.supervisor.start(made._prefect())
        yield made


def local(name: str, system, org: str, port: str) -> dict[str, str]:
    """Where a container's places are here."""
    secret = system.directory / f"passphrase-{org}"
    secret.write_text(system._secrets["passphrases"][org])
    secret.chmod(0o600)
    folder = system.coordinator.root if org == "coordinator" else system.node(org).root
    return {"/var/lib/hefu": str(folder), "/run/secrets/passphrase": str(secret)}


@pytest.mark.parametrize(
    ("name", "org"),
    [("coordinator", "coordinator")]
    + [
        (f"node-{org}", org)
        for org in ("institution", "bank", "regulator", "operator", "exchange", "auditor")
    ],
)
def test_coordinator_and_every_node_start_as_the_file_gives_them(name, org, system, tmp_path):
    number = system.port("coordinator" if org == "coordinator" else f"node-{org}")
    health = check_of(name, {"8443": str(number), "7443": str(number)})
    environment = {"PATH": path_with_our_programs()}
    service = Service(
        name,
        command_of(name, local(name, system, org, str(number))),
        tmp_path / "service.log",
        lambda: subprocess.run(health, env=environment, check=False, capture_output=True).returncode == 0,
        env={**environment_of(name, {}), **environment},
        ready_seconds=120,
    )
    with Supervisor() as supervisor:
        pid = supervisor.start(service)
        assert system._secrets["passphrases"][org] not in Path(f"/proc/{pid}/cmdline").read_text()


def test_the_runner_starts_as_the_file_gives_it(system, tmp_path):
    (tmp_path / "prefect_auth").write_text(system._secrets["prefect"])
    places = {
        "/run/secrets/prefect_auth": str(tmp_path / "prefect_auth"),
        "/run/secrets/internal_token": str(system.coordinator.token),
        "/run/secrets/coordinator_certificate": str(system.coordinator.certificate),
        "http://prefect:4200": f"http://127.0.0.1:{system.port('prefect')}",
        "https://coordinator:8443": f"https://127.0.0.1:{system.port('coordinator')}",
        "/var/lib/hefu": str(tmp_path),
    }
    (tmp_path / "prefect").mkdir()
    environment = {**environment_of("runner", places), "PATH": path_with_our_programs()}
    health = check_of("runner", {})
    service = Service(
        "runner",
        [
            word.replace("/run/secrets/prefect_auth", str(tmp_path / "prefect_auth"))
            for word in command_of("runner", {})
        ],
        tmp_path / "runner.log",
        lambda: subprocess.run(health, env=environment, check=False).returncode == 0,
        env=environment,
        ready_seconds=120,
    )
    with Supervisor() as supervisor:
        supervisor.start(system._coordinator_service())
        supervisor.start(service)


def test_the_console_starts_as_the_file_gives_it(system, tmp_path):
    number = system.port("console")
    system._console()  # writes console.json
    config = system.directory / "console" / "console.json"
    # The container serves TLS with a certificate in its own folder; here it listens without.
    health = [
        word.replace("https://127.0.0.1:8501", f"http://127.0.0.1:{number}")
        for word in check_of("console", {})
    ]
    environment = {"PATH": path_with_our_programs()}
    service = Service(
        "console",
        command_of("console", {"/var/lib/hefu/console.json": str(config)}),
        tmp_path / "console.log",
        lambda: subprocess.run(health, env=environment, check=False).returncode == 0,
        env=environment,
        cwd=tmp_path,
        ready_seconds=120,
    )
    with Supervisor() as supervisor:
        supervisor.start(service)
