"""One PostgreSQL cluster for the local system and for tests.

Unix socket only, one line of pg_hba.conf: everybody, the superuser included, proves a password by SCRAM-SHA-256.
The superuser's password lies in a file of mode 0600 beside the data. Each role may connect to the databases it
was given and to no other. The data directory and the processes belong to an unprivileged user (postgres_programs).

For one machine: whoever is root there can read everything. It is not the protected deployment; that is a
PostgreSQL server of its own, with TLS.
Source: PostgreSQL 18 documentation, chapters 18.3 (starting), 20.1 (pg_hba.conf), 19.5 (durability).
"""

import fcntl
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from hefu.local.errors import DirectoryUnusable, DurabilityOff, PostgresError, StartFailed
from hefu.local.parent_death import die_with_parent
from hefu.local.postgres_programs import ServiceUser, find_programs, reachable_programs, service_user

SUPERUSER = "hefu_setup"
PORT = 5432  # names the socket file; no TCP port is opened
_SOCKET_PATH_LIMIT = 107 - len(f"/.s.PGSQL.{PORT}.lock")  # bytes in sockaddr_un, unix(7)
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
        alone. What a killed server left behind is cleared up.

        directory      made for this cluster; under no home directory when run as root
        prefer_system  use /usr/lib/postgresql/*/bin where present instead of the pip package
        for_tests      the server runs without fsync: fast, and unsafe for anything to be kept
        raises         ProgramsMissing, DirectoryUnusable, StartFailed, DurabilityOff
        """
        directory = directory.absolute()
        user = service_user()
        _make_directory(directory, user)
        with _locked(directory):
            programs = reachable_programs(find_programs(prefer_system), user, directory)
            password = _superuser_password(directory)
            if not (directory / "data" / "PG_VERSION").exists():
                _create_cluster(programs, directory, user, password)
            running = _running_socket_directory(directory)
            if running is not None:
                postgres = cls(directory, running, password, None)
            else:
                sockets = _make_socket_directory(directory, user)
                options = _OPTIONS | (_FAST_FOR_TESTS if for_tests else {})
                server = _launch(programs, directory, sockets, user, options, password, timeout_seconds)
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
        if server is None or server.poll() is not None:
            return
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast, immediate, last resort
            server.send_signal(how)
            try:
                server.wait(timeout_seconds)
                return
            except subprocess.TimeoutExpired:
                continue

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


def _make_directory(directory: Path, user: ServiceUser) -> None:
    missing = [p for p in (directory, *directory.parents) if not p.exists()]
    for path in reversed(missing):
        path.mkdir()
        path.chmod(0o711)
    if user.switch:
        for parent in directory.parents:
            status = parent.stat()
            owner_may = status.st_uid == user.uid and status.st_mode & 0o100
            if not (owner_may or status.st_mode & 0o001):
                raise DirectoryUnusable(
                    f"{parent} is closed to the user PostgreSQL runs as; choose a directory outside of it"
                )
    directory.chmod(0o711)
    _owned_folder(directory / "data", 0o700, user)
    _owned_folder(directory / "log", 0o700, user)


def _owned_folder(path: Path, mode: int, user: ServiceUser) -> None:
    path.mkdir(exist_ok=True)
    path.chmod(mode)
    if user.switch:
        os.chown(path, user.uid, user.gid)


def _make_socket_directory(directory: Path, user: ServiceUser) -> Path:
    """Beside the data where the path is short enough for a socket address, else a fresh one under /tmp."""
    near = directory / "socket"
    if len(os.fsencode(near)) <= _SOCKET_PATH_LIMIT:
        _owned_folder(near, 0o711, user)
        return near
    tag = hashlib.sha256(os.fsencode(directory)).hexdigest()[:8]
    far = Path(tempfile.mkdtemp(prefix=f"hefu-{tag}-", dir="/tmp"))
    _owned_folder(far, 0o711, user)
    return far


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    with (directory / "lock").open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _superuser_password(directory: Path) -> str:
    path = directory / "superuser.password"
    if not path.exists():
        if (directory / "data" / "PG_VERSION").exists():
            raise PostgresError(f"{path} is gone: the cluster beside it cannot be administered")
        with tempfile.NamedTemporaryFile("w", dir=directory, delete=False) as handle:  # mode 0600
            handle.write(secrets.token_urlsafe(32))
        Path(handle.name).replace(path)
    return path.read_text(encoding="ascii")


def _create_cluster(programs: Path, directory: Path, user: ServiceUser, password: str) -> None:
    data = directory / "data"
    for leftover in data.iterdir():  # an earlier attempt that was interrupted
        shutil.rmtree(leftover) if leftover.is_dir() and not leftover.is_symlink() else leftover.unlink()
    reading, writing = os.pipe()
    try:
        os.write(writing, password.encode() + b"\n")
        os.close(writing)
        os.fchown(reading, user.uid, user.gid)  # initdb opens it again by name
        done = subprocess.run(
            [
                str(programs / "initdb"),
                *("-D", str(data), "-U", SUPERUSER, f"--pwfile=/dev/fd/{reading}", "--auth=scram-sha-256"),
                *("--data-checksums", "--encoding=UTF8", "--locale=C", "--no-instructions"),
            ],
            capture_output=True,
            text=True,
            pass_fds=[reading],
            cwd="/",
            env=_environment(),
            **user.popen_arguments(),
        )
    finally:
        os.close(reading)
    if done.returncode != 0:
        (data / "PG_VERSION").unlink(missing_ok=True)
        raise StartFailed(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")
    rules = data / "pg_hba.conf"
    rules.write_text(
        "# Unix socket only; no exception for anybody.\nlocal all all scram-sha-256\n", encoding="ascii"
    )


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _running_socket_directory(directory: Path) -> Path | None:
    """Socket folder of the server running on this data, or None after clearing a dead server's pid file."""
    pid_file = directory / "data" / "postmaster.pid"
    try:
        lines = pid_file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    try:
        process = psutil.Process(int(lines[0]))
        ours = str(directory / "data") in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError, IndexError):
        ours = False
    if not ours:
        pid_file.unlink(missing_ok=True)  # its number may by now belong to somebody else
        return None
    if len(lines) < 5 or not lines[4]:
        raise StartFailed(f"a server is just starting on {directory}")
    return Path(lines[4])


def _launch(
    programs: Path,
    directory: Path,
    sockets: Path,
    user: ServiceUser,
    options: dict[str, str],
    password: str,
    timeout_seconds: float,
) -> subprocess.Popen[bytes]:
    arguments = [str(programs / "postgres"), "-D", str(directory / "data"), "-k", str(sockets)]
    for name, value in options.items():
        arguments += ["-c", f"{name}={value}"]
    deadline = time.monotonic() + timeout_seconds
    log_path = directory / "log" / "server.log"
    while True:
        with log_path.open("ab") as log:
            offset = log.tell()
            server = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=directory / "data" if not user.switch else "/",
                env=_environment(),
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGINT),
                **user.popen_arguments(),
            )
        if _answers(server, sockets, password, deadline):
            return server
        ended = server.poll() is not None
        if not ended:
            server.kill()
            server.wait()
        said = log_path.read_bytes()[offset:].decode("utf-8", "replace")
        # The children of a server that was killed hold its shared memory for a moment longer.
        if not (ended and "shared memory block" in said and time.monotonic() < deadline):
            raise StartFailed(f"PostgreSQL did not start:\n{said[-2000:].strip()}")
        time.sleep(0.2)


def _answers(server: subprocess.Popen[bytes], sockets: Path, password: str, deadline: float) -> bool:
    while time.monotonic() < deadline and server.poll() is None:
        try:
            psycopg.connect(
                host=str(sockets),
                port=PORT,
                dbname="postgres",
                user=SUPERUSER,
                password=password,
                connect_timeout=5,
            ).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return True
    return False
