"""One PostgreSQL cluster for the local system and for tests.

Unix socket only, one line of pg_hba.conf: everybody, the superuser included, proves a password by SCRAM-SHA-256.
The superuser's password lies in a file of mode 0600 beside the data. Each role may connect to the databases it
was given and to no other. The data directory and the processes belong to an unprivileged user (postgres_programs).

For one machine: whoever is root there can read everything. It is not the protected deployment; that is a
PostgreSQL server of its own, with TLS.
Source: PostgreSQL 18 documentation, chapters 18.3 (starting), 20.1 (pg_hba.conf), 19.5 (durability).
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from hefu.local.errors import DurabilityOff
from hefu.local.postgres_programs import find_programs, reachable_programs, service_user
from hefu.local.postgres_server import (
    PORT,
    SUPERUSER,
    create_cluster,
    end,
    launch,
    locked,
    make_directory,
    make_socket_directory,
    running_socket_directory,
    superuser_password,
)

_DURABILITY = ("fsync", "synchronous_commit", "full_page_writes")
_FAST_FOR_TESTS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_OPTIONS = {
    "listen_addresses": "",
    "port": str(PORT),
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_error_statement": "panic",  # statements hold values; the log must not
    "log_min_duration_statement": "-1",
}


class LocalPostgres:
    """A running cluster. Made by `start`; `stop` ends it if this object started it."""

    def __init__(
        self, directory: Path, socket_directory: Path, password: str, server: subprocess.Popen[bytes] | None
    ):
        self.directory = directory
        self.socket_directory = socket_directory
        self._password = password
        self._server = server

    @classmethod
    def start(
        cls,
        directory: Path,
        *,
        prefer_system: bool = False,
        for_tests: bool = False,
        timeout_seconds: float = 60.0,
    ) -> Self:
        """Start the cluster in `directory`, creating it first when there is none.

        A cluster that already runs there (started by another process of ours) is joined, and `stop` leaves it
        alone. What a killed server left behind is cleared up. The server ends with the thread that called this, so
        call it from the main thread.

        directory      made for this cluster; under no home directory when run as root
        prefer_system  use /usr/lib/postgresql/*/bin where present instead of the pip package
        for_tests      the server runs without fsync: fast, and unsafe for anything to be kept
        raises         ProgramsMissing, DirectoryUnusable, StartFailed, DurabilityOff
        """
        directory = directory.absolute()
        user = service_user()
        make_directory(directory, user)
        with locked(directory):
            programs = reachable_programs(find_programs(prefer_system), user, directory)
            password = superuser_password(directory)
            if not (directory / "data" / "PG_VERSION").exists():
                create_cluster(programs, directory, user, password)
            running = running_socket_directory(directory)
            if running is not None:
                postgres = cls(directory, running, password, None)
            else:
                sockets = make_socket_directory(directory, user)
                options = _OPTIONS | (_FAST_FOR_TESTS if for_tests else {})
                server = launch(programs, directory, sockets, user, options, password, timeout_seconds)
                postgres = cls(directory, sockets, password, server)
            try:
                postgres._close_defaults()
                if not for_tests:
                    postgres._require_durability()
            except BaseException:
                postgres.stop()
                raise
        return postgres

    @property
    def started_here(self) -> bool:
        """Whether this object started the server (and `stop` will end it)."""
        return self._server is not None

    @property
    def pid(self) -> int | None:
        """Process id of the server, where this object started it."""
        return self._server.pid if self._server else None

    def stop(self, timeout_seconds: float = 30.0) -> None:
        """End the server: open sessions are cut, everything committed stays. Harmless when repeated."""
        server, self._server = self._server, None
        if server is None:
            return
        if server.poll() is None:
            end(server, timeout_seconds)
        if not self.socket_directory.is_relative_to(self.directory):
            shutil.rmtree(self.socket_directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def dsn(self, dbname: str, user: str, password: str) -> str:
        """libpq URL, as psycopg.connect takes it."""
        return f"postgresql://{self._address(dbname, user, password)}"

    def url(self, dbname: str, user: str, password: str, driver: str = "psycopg") -> str:
        """SQLAlchemy URL; `driver` is "psycopg" or "asyncpg"."""
        return f"postgresql+{driver}://{self._address(dbname, user, password)}"

    def admin_dsn(self, dbname: str = "postgres") -> str:
        """libpq URL of the superuser: for setting up, never for a service."""
        return self.dsn(dbname, SUPERUSER, self._password)

    def ensure_role(self, name: str, password: str | None) -> None:
        """Make the role, or give it this password. Without a password it may not log in (an owner role)."""
        with self._admin() as connection:
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
            if not known:
                connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
            if password is None:
                may_log_in: sql.Composable = sql.SQL("NOLOGIN PASSWORD NULL")
            else:  # the verifier travels, not the password
                verifier = connection.pgconn.encrypt_password(
                    password.encode(), name.encode(), b"scram-sha-256"
                )
                may_log_in = sql.SQL("LOGIN PASSWORD {}").format(sql.Literal(verifier.decode()))
            rights = sql.SQL("NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS")
            statement = sql.SQL("ALTER ROLE {} {} {}")
            connection.execute(statement.format(sql.Identifier(name), rights, may_log_in))

    def ensure_database(self, name: str, owner: str) -> None:
        """Make the database; only `owner` may connect (others through `allow_connect`)."""
        with self._admin() as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
            if not known:
                statement = sql.SQL("CREATE DATABASE {} OWNER {}")
                connection.execute(statement.format(sql.Identifier(name), sql.Identifier(owner)))
            statement = sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC")
            connection.execute(statement.format(sql.Identifier(name)))
        with self._admin(name) as connection:
            connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")

    def allow_connect(self, dbname: str, role: str) -> None:
        """Let one more role connect to a database; it gets no right to anything inside."""
        with self._admin() as connection:
            statement = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")
            connection.execute(statement.format(sql.Identifier(dbname), sql.Identifier(role)))

    def drop_database(self, name: str) -> None:
        """Remove a database and cut its sessions (tests)."""
        with self._admin() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def drop_role(self, name: str) -> None:
        """Remove a role that owns nothing any more (tests)."""
        with self._admin() as connection:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))

    def _address(self, dbname: str, user: str, password: str) -> str:
        host = quote(str(self.socket_directory), safe="/")
        return f"{quote(user, safe='')}:{quote(password, safe='')}@/{quote(dbname, safe='')}?host={host}&port={PORT}"

    def _admin(self, dbname: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self.admin_dsn(dbname), autocommit=True)

    def _close_defaults(self) -> None:
        with self._admin() as connection:
            for name in ("postgres", "template1"):
                connection.execute(
                    sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name))
                )

    def _require_durability(self) -> None:
        with self._admin() as connection:
            rows = connection.execute(
                "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(_DURABILITY)]
            ).fetchall()
        off = sorted(name for name, setting in rows if setting == "off")
        if off:
            raise DurabilityOff(f"{', '.join(off)} off in {self.directory}: committed evidence could be lost")
