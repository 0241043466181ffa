"""Make the peers' virtual environments in .bench-peers, each from its pinned list. usage: install.py [NAME ...]

A peer that does not install is named with its reason, and the others go on: the benchmark leaves it out. What is
installed already stays, unless its list has changed.
"""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LISTS = Path(__file__).resolve().parent / "requirements"
ORDER = ("spu", "openmined-psi", "mpyc", "phe", "heu", "crypten")


def install(name: str) -> str | None:
    """None when the environment stands, else why it does not."""
    folder, wanted = ROOT / ".bench-peers" / name, (LISTS / f"{name}.txt").read_text()
    stamp = folder / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return None
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    # The lists are complete; CrypTen's own would ask for packages that no longer exist.
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    done = subprocess.run(
        [*pip, "--no-deps", "-r", str(LISTS / f"{name}.txt")], capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "ERROR" in line] or done.stderr.splitlines()
        return said[-1] if said else "pip failed without a word"
    stamp.write_text(wanted)
    return None


def main() -> int:
    names = sys.argv[1:] or ORDER
    absent = 0
    for name in names:
        print(f"{name}: installing", flush=True)
        reason = install(name)
        absent += reason is not None
        print(f"{name}: {'installed' if reason is None else f'not installed: {reason}'}", flush=True)
    return 1 if absent == len(names) else 0


if __name__ == "__main__":
    sys.exit(main())
