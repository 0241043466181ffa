"""An absent outside program is a listed skip, and a failure under HEFU_REQUIRE_ALL=1."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"
SAMPLE = """
def test_present(require_program): assert require_program("sh").endswith("/sh")
def test_absent(require_program): require_program("no-such-program")
def test_browser(require_program): assert require_program("chromium").endswith("/google-chrome")
"""


@pytest.fixture
def run(tmp_path):
    shutil.copy(CONFTEST, tmp_path)
    (tmp_path / "test_sample.py").write_text(SAMPLE)
    (tmp_path / "bin").mkdir()
    for name, target in (("sh", "/bin/sh"), ("google-chrome", "/bin/true")):
        (tmp_path / "bin" / name).symlink_to(target)

    def pytest_run(**environment: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if k not in ("HEFU_REQUIRE_ALL", "PATH")}
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                "--rootdir",
                str(tmp_path),
                str(tmp_path),
            ],
            env={**kept, "PATH": str(tmp_path / "bin"), **environment},
            capture_output=True,
            text=True,
        )

    return pytest_run


def test_absent_program_is_skipped_and_listed(run):
    done = run()
    assert done.returncode == 0
    assert "2 passed, 1 skipped" in done.stdout
    section = done.stdout.partition("outside programs that are absent")[2]
    assert "no-such-program: 1 test(s) not run" in section
    assert "test_sample.py::test_absent" in section


def test_absent_program_fails_when_all_is_required(run):
    done = run(HEFU_REQUIRE_ALL="1")
    assert done.returncode == 1
    assert "2 passed" in done.stdout
    assert "HEFU_REQUIRE_ALL=1" in done.stdout
