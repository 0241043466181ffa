"""A confined process takes its compiled kernels from its own copy."""

import os
import subprocess
import sys

import pytest
from hefu.cli import app
from hefu.local.confine import confined_command
from hefu.local.errors import LocalError
from hefu.local.kernel_cache import VARIABLE, give_kernels, warm_kernels
from typer.testing import CliRunner

LOADED = (
    "from hefu.engine.warmup import warm; warm(); import gc\n"
    "from numba.core.dispatcher import Dispatcher\n"
    "found = [d for d in gc.get_objects() if isinstance(d, Dispatcher) and d.__module__.startswith('hefu.')]\n"
    "print(sum(sum(d.stats.cache_hits.values()) for d in found), sum(sum(d.stats.cache_misses.values()) for d in found))"
)


@pytest.mark.slow
def test_copy_is_used_inside_and_nothing_is_compiled_twice(scratch):
    warm, own = scratch / "kernels", scratch / "bank" / "kernels"
    assert warm_kernels(warm)
    assert not warm_kernels(warm)
    environment = give_kernels(own, warm)
    done = subprocess.run(
        confined_command([sys.executable, "-c", LOADED], [own]),
        env={**os.environ, **environment, "TMPDIR": str(own)},  # libsodium is unpacked there
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    hits, misses = map(int, done.stdout.split())
    assert hits > 0
    assert misses == 0


def test_without_compiled_kernels_the_folder_is_there_all_the_same(tmp_path):
    environment = give_kernels(tmp_path / "own", tmp_path / "nothing")
    assert environment == {"NUMBA_CACHE_DIR": str(tmp_path / "own")}
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o700


def test_newer_kernels_replace_older_copies(tmp_path):
    warm, own = tmp_path / "warm", tmp_path / "own"
    warm.mkdir()
    for version in ("1", "2"):
        (warm / "sources").write_text(version)
        (warm / "code").write_text(version)
        give_kernels(own, warm)
        assert (own / "code").read_text() == version


def test_a_failing_compiler_is_heard(tmp_path, monkeypatch):
    monkeypatch.setattr("hefu.local.kernel_cache._WARM", "raise SystemExit('no LLVM')")
    with pytest.raises(LocalError, match="no LLVM"):
        warm_kernels(tmp_path / "kernels")
    assert not (tmp_path / "kernels" / "sources").exists()


def test_a_node_started_by_hand_uses_them_too(tmp_path, monkeypatch):
    """In a container nobody sets the variable, and the installation is read-only."""
    warm, seen = tmp_path / "warm", []
    warm.mkdir()
    (warm / "sources").write_text("state")
    (warm / "kernel.nbi").write_text("compiled")
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr("hefu.local.kernel_cache.warm_directory", lambda: warm)
    monkeypatch.setattr("hefu.node.service.serve", lambda *_: seen.append(os.environ.get(VARIABLE)))
    (tmp_path / "passphrase").write_text("a passphrase")
    arguments = ["node", "serve", "--dir", str(tmp_path), "--passphrase-file", str(tmp_path / "passphrase")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert seen == [str(tmp_path / "kernels")]
    assert (tmp_path / "kernels" / "kernel.nbi").exists()
