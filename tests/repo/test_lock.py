"""The lock file is current, and its checker sees each way in which it could not be."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("check_lock", ROOT / ".ci" / "check_lock.py")
check_lock = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(check_lock)

HASH = "sha256:" + "0" * 64
GOOD = f"alpha==1.2 \\\n    --hash={HASH} \\\n    --hash={HASH}\n    # via hefu (pyproject.toml)\nbuild==1 \\\n    --hash={HASH}\n"
PROJECT = {
    "project": {"dependencies": ["alpha>=1,<2"], "optional-dependencies": {"test": ["alpha>=1.1"]}},
    "build-system": {"requires": ["build"]},
}


def test_the_lock_is_current():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert check_lock.findings((ROOT / "requirements.lock").read_text(encoding="utf-8"), project) == []


def test_the_installer_is_locked_too():
    text = (ROOT / "requirements-bootstrap.lock").read_text(encoding="utf-8")
    project = {"project": {"dependencies": ["uv"]}, "build-system": {"requires": []}}
    assert check_lock.findings(text, project) == []


def test_every_pin_that_differs_by_python_says_for_which():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^([a-z0-9.-]+)(?:\[[^]]*\])?==\S+( ; .*?)? \\$", text, re.M)
    names = [name for name, _ in pins]
    assert len(names) > 100
    assert all(marker for name, marker in pins if names.count(name) > 1)


def test_a_good_lock_passes():
    assert check_lock.findings(GOOD, PROJECT) == []


@pytest.mark.parametrize(
    ("spoilt", "finding"),
    [
        (GOOD.replace("1.2", "2.0"), "the lock has alpha 2.0"),
        (GOOD.replace("1.2", "1.0"), "the lock has alpha 1.0"),
        (GOOD.replace("==1.2", ">=1.2"), "not an exact pin: alpha"),
        (GOOD.replace("==1.2", "==1.*"), "not an exact pin: alpha"),
        (GOOD.replace("build==1", "built==1"), "not in the lock: build"),
        ("alpha==1.2\nbuild==1 --hash=" + HASH, "a pin without SHA-256: alpha"),
        (GOOD.replace("sha256:", "md5:"), "a pin without SHA-256"),
        (GOOD.replace("0" * 64, "0" * 63), "a pin without SHA-256"),
        ("--index" + "-url simple\n" + GOOD, "a host, path or option"),
        ("alpha @ https://example.org/a.whl\n" + GOOD, "a host, path or option"),
        ("-e .\n" + GOOD, "a host, path or option"),
    ],
)
def test_a_spoilt_lock_is_found(spoilt, finding):
    assert any(finding in found for found in check_lock.findings(spoilt, PROJECT))
