"""All tests, in two runs side by side: those that mostly wait for processes, and all others, which mostly compute.

With arguments, one plain run of pytest with these.
"""

import subprocess
import sys
import tempfile
import threading

PYTEST = [sys.executable, "-m", "pytest"]
WAITING = [
    "tests/flows",
    "tests/repo",
    "tests/ui",
    "tests/governance",
    "tests/system",
]  # the whole system last: it stays up until the end


def main() -> int:
    """The exit code: the greater one of both runs."""
    if sys.argv[1:]:
        return subprocess.run([*PYTEST, *sys.argv[1:]], check=False).returncode
    with tempfile.TemporaryFile("w+") as said:
        waiting = subprocess.Popen([*PYTEST, *WAITING], stdout=said, stderr=subprocess.STDOUT)
        reaper = threading.Thread(target=waiting.wait, daemon=True)  # or it would lie there as a zombie
        reaper.start()
        try:
            others = subprocess.run(
                [*PYTEST, "tests", *(f"--ignore={folder}" for folder in WAITING)], check=False
            ).returncode
            reaper.join()
            code = max(others, waiting.returncode)
        finally:
            waiting.terminate()
        said.seek(0)
        print(said.read(), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
