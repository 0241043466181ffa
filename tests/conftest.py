"""What every test may ask for: a PostgreSQL cluster, a database in it, an outside program."""

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hefu.local.postgres import LocalPostgres
from hypothesis import settings

# Machines are noisy: a slow example is no failure. In CI the examples are the same at every run.
settings.register_profile("hefu", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("hefu")

PROGRAMS = {
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "strace": ("strace",),
    "go": ("go",),
    "system PostgreSQL": ("initdb",),
}
_BESIDE_PATH = [str(p) for p in sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
"""Where Debian keeps programs that are not on the PATH."""
_ABSENT = re.compile(r"outside program '([^']+)' is absent")


@dataclass(frozen=True)
class Database:
    """A database of a test's own, and the role that owns it."""

    postgres: LocalPostgres
    name: str
    user: str
    password: str

    @property
    def dsn(self) -> str:
        return self.postgres.dsn(self.name, self.user, self.password)

    @property
    def url(self) -> str:
        return self.postgres.url(self.name, self.user, self.password)


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder outside every home directory, open enough for PostgreSQL's own user; removed at the end."""
    path = Path(tempfile.mkdtemp(prefix="hefu-test-", dir="/tmp"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(scratch: Path) -> Iterator[LocalPostgres]:
    """One cluster for the whole run, without fsync."""
    with LocalPostgres.start(scratch / "postgres", for_tests=True) as cluster:
        yield cluster


@pytest.fixture
def database(postgres: LocalPostgres) -> Iterator[Database]:
    """A fresh database with a role of its own."""
    tag = secrets.token_hex(6)
    fresh = Database(postgres, f"test_{tag}", f"role_{tag}", secrets.token_urlsafe(12))
    postgres.ensure_role(fresh.user, fresh.password)
    postgres.ensure_database(fresh.name, fresh.user)
    yield fresh
    postgres.drop_database(fresh.name)
    postgres.drop_role(fresh.user)


@pytest.fixture
def require_program() -> Callable[[str], str]:
    """`require_program("chromium")` gives its path; when absent the test is skipped and listed at the end.

    Under HEFU_REQUIRE_ALL=1 an absent program is a failure.
    """

    where = os.pathsep.join([os.environ.get("PATH", os.defpath), *_BESIDE_PATH])

    def find(name: str) -> str:
        for candidate in PROGRAMS.get(name, (name,)):
            path = shutil.which(candidate, path=where)
            if path is not None:
                return path
        if os.environ.get("HEFU_REQUIRE_ALL") == "1":
            pytest.fail(f"outside program {name!r} is absent, and HEFU_REQUIRE_ALL=1", pytrace=False)
        pytest.skip(f"outside program {name!r} is absent")

    return find


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    absent: dict[str, list[str]] = {}
    for outcome in ("skipped", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            found = _ABSENT.search(str(getattr(report, "longrepr", "")))
            if found:
                absent.setdefault(found[1], []).append(report.nodeid)
    if not absent:
        return
    terminalreporter.section("outside programs that are absent")
    for name, tests in sorted(absent.items()):
        terminalreporter.write_line(f"{name}: {len(tests)} test(s) not run")
        for test in tests:
            terminalreporter.write_line(f"  {test}")
