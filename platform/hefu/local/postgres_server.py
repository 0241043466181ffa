"""The folders, the creation and the process of one PostgreSQL cluster (see postgres.py for its use).

DIRECTORY/data                the cluster, mode 0700, owned by the user it runs as
DIRECTORY/log                 the server's log, the same; holds no statements, because statements hold values
DIRECTORY/socket              the Unix socket, where the path is short enough for one
DIRECTORY/superuser.password  mode 0600, owned by whoever started it
DIRECTORY/programs            a copy of the programs, only where the originals cannot be reached
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

import psutil
import psycopg

from hefu.local.errors import DirectoryUnusable, PostgresError, StartFailed
from hefu.local.parent_death import die_with_parent
from hefu.local.postgres_programs import ServiceUser

SUPERUSER = "hefu_setup"
PORT = 5432  # names the socket file; no TCP port is opened
_SOCKET_PATH_LIMIT = 107 - len(f"/.s.PGSQL.{PORT}.lock")  # bytes in sockaddr_un, unix(7)


def make_directory(directory: Path, user: ServiceUser) -> None:
    """Make the folders, and check that `user` can get there. Opens nobody else's folder.

    raises  DirectoryUnusable
    """
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


def make_socket_directory(directory: Path, user: ServiceUser) -> Path:
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
def locked(directory: Path) -> Iterator[None]:
    """Hold the cluster's lock: one process at a time creates or starts it."""
    with (directory / "lock").open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def superuser_password(directory: Path) -> str:
    """Read the superuser's password, or choose it for a cluster still to be made."""
    path = directory / "superuser.password"
    if not path.exists():
        if (directory / "data" / "PG_VERSION").exists():
            raise PostgresError(f"{path} is gone: the cluster beside it cannot be administered")
        with tempfile.NamedTemporaryFile("w", dir=directory, delete=False) as handle:  # mode 0600
            handle.write(secrets.token_urlsafe(32))
        Path(handle.name).replace(path)
    return path.read_text(encoding="ascii")


def create_cluster(programs: Path, directory: Path, user: ServiceUser, password: str) -> None:
    """Run initdb with data checksums, and let nobody in without a password.

    raises  StartFailed
    """
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


def running_socket_directory(directory: Path) -> Path | None:
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


def launch(
    programs: Path,
    directory: Path,
    sockets: Path,
    user: ServiceUser,
    options: dict[str, str],
    password: str,
    timeout_seconds: float,
) -> subprocess.Popen[bytes]:
    """Start the server and wait until it answers.

    raises  StartFailed with what the server wrote to its log
    """
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


def end(server: subprocess.Popen[bytes], timeout_seconds: float) -> None:
    """End the server: cut the sessions, else recover at the next start, else kill."""
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast, immediate, last resort
        server.send_signal(how)
        try:
            server.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            continue
        return


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
