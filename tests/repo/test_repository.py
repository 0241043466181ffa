"""What the repository as a whole promises: no hosts, no machine's paths, no shadowing packages, every target there."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("ledger", "platform", "flows", "ui")

# Spelt in pieces, so that this file does not find itself.
REGISTRIES = [
    "py" + r"pi\.(org|python\.org|tuna|doubanio|mirrors)",
    "files\\.python" + "hosted",
    "mirrors?\\.(aliyun|ali" + r"yuncs|tuna|ustc|cloud\.tencent|huaweicloud)",
    "(docker|gh" + r"cr|quay|gcr)\.io/",
    "registry\\.(npm" + r"js|hub|docker)",
    "--(extra-)?index" + "-url[= ]",
    "--find" + "-links[= ]",
]
MACHINE_PATHS = [
    r"(?<![\w.])/ho" + "me/[a-z]",
    r"(?<![\w.])/ro" + "ot/",
    r"(?<![\w.])/wo" + "rk/",
    "/U" + "sers/[A-Z]",
]


def tracked() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def texts() -> list[tuple[Path, str]]:
    found = []
    for path in tracked():
        try:
            found.append((path, path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue  # a picture or another binary
    return found


@pytest.mark.parametrize("pattern", REGISTRIES + MACHINE_PATHS)
def test_no_tracked_file_names_a_registry_or_a_machine(pattern):
    hits = [
        f"{path.relative_to(ROOT)}:{number}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert hits == []


@pytest.mark.parametrize(
    "sample",
    [
        "pip install --index" + "-url https://x",
        "https://py" + "pi.org/simple",
        "FROM gh" + "cr.io/x/y",
        "https://py" + "pi.tuna.tsinghua.edu.cn",
        "open('/ho" + "me/li/data.csv')",
        "cd /wo" + "rk/main",
    ],
)
def test_the_patterns_find_what_they_are_for(sample):
    assert any(re.search(pattern, sample) for pattern in REGISTRIES + MACHINE_PATHS)


def test_no_package_shadows_the_standard_library():
    for room in ROOMS:
        assert not (ROOT / room / "__init__.py").exists()
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_test_file_names_are_unique():
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_source_roots_hold_exactly_the_packages():
    built = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    for package in built["targets"]["wheel"]["packages"]:
        assert (ROOT / package / "__init__.py").is_file()
        assert (ROOT / package / "py.typed").is_file()


def test_every_promised_target_exists_and_is_described():
    done = subprocess.run(
        ["make", "-C", str(ROOT), "--no-print-directory", "help"], capture_output=True, text=True
    )
    described = {line.split()[0] for line in done.stdout.splitlines()}
    assert {"setup", "demo", "test", "test-fast", "check", "lint", "bench", "clean"} <= described


def test_an_old_python_is_refused_with_its_version(tmp_path):
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && { echo Python 3.9.2; exit 0; }\nexit 1\n')
    old.chmod(0o755)
    command = ["make", "-C", str(ROOT), f"PYTHON={old}", f"VENV={tmp_path / 'venv'}", "setup"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "Python 3.9.2" in done.stderr


def test_ci_script_reads_nothing_and_lets_nothing_be_skipped():
    script = ROOT / ".ci" / "run"
    text = script.read_text(encoding="utf-8")
    assert script.stat().st_mode & 0o111
    assert "set -euo pipefail" in text
    assert "exec </dev/null" in text
    assert "HEFU_REQUIRE_ALL=1" in text
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_shipped_code_holds_no_assert():
    hits = [
        str(path.relative_to(ROOT))
        for path, text in texts()
        if path.suffix == ".py"
        and path.relative_to(ROOT).parts[0] in ROOMS
        and re.search(r"^\s*assert\b", text, re.M)
    ]
    assert hits == []


def test_nothing_made_by_running_is_tracked():
    made = [
        p
        for p in tracked()
        if p.suffix in {".pyc", ".log"} or {"__pycache__", ".venv", ".hefu", "secrets"} & set(p.parts)
    ]
    assert made == []
