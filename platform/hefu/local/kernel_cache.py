"""Compiled kernels for confined processes: compiled once per machine, then a copy in each organisation's own folder.

numba keeps compiled code only where it may write, and a confined process may write nowhere but in its own folder;
without this every job would compile anew. Copies, not one shared folder: whoever can write another's compiled code
runs in its place. A copy that no longer fits the sources is compiled anew by numba itself.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import hefu.engine
from hefu.local.errors import LocalError

VARIABLE = "NUMBA_CACHE_DIR"
_WARM = "from hefu.engine.warmup import warm; warm()"


def warm_directory() -> Path:
    """Where this installation's compiled kernels lie: beside its interpreter, readable to all, written by set-up."""
    return Path(sys.prefix) / "var" / "hefu" / "kernels"


def warm_kernels(directory: Path | None = None) -> bool:
    """Compile every kernel into `directory` (default: `warm_directory()`) unless that is done already.

    returns  whether anything had to be compiled
    raises   LocalError with the compiler's words
    """
    directory = directory or warm_directory()
    stamp, state = directory / "sources", _sources()
    if stamp.exists() and stamp.read_text(encoding="ascii") == state:
        return False
    directory.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", _WARM],
        env={**os.environ, VARIABLE: str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LocalError(f"the kernels could not be compiled:\n{done.stderr.strip()[-2000:]}")
    stamp.write_text(state, encoding="ascii")
    return True


def give_kernels(own: Path, warm: Path | None = None) -> dict[str, str]:
    """Copy the compiled kernels into `own` (a folder of one organisation) where it has none or older ones.

    returns  the environment for the organisation's processes; right as well when nothing was compiled before
    """
    warm = warm or warm_directory()
    stamp = warm / "sources"
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stamp.exists() and not _same(stamp, own / "sources"):
        shutil.copytree(warm, own, dirs_exist_ok=True)
    return {VARIABLE: str(own)}


def _same(one: Path, other: Path) -> bool:
    return other.exists() and one.read_bytes() == other.read_bytes()


def _sources() -> str:
    files = [
        (path.relative_to(place), path)
        for place in hefu.engine.__path__
        for path in Path(place).rglob("*.py")
    ]
    return "\n".join(
        f"{name} {path.stat().st_mtime_ns} {path.stat().st_size}" for name, path in sorted(files)
    )
