"""All tests, in two runs side by side: those of the whole system, and all others.

The first mostly wait for processes; the second compute. With arguments, one plain run of pytest with these.
"""

import subprocess
import sys
import tempfile

PYTEST = [sys.executable, "-m", "pytest"]


def main() -> int:
    """The exit code: the greater one of both runs."""
    if sys.argv[1:]:
        return subprocess.run([*PYTEST, *sys.argv[1:]], check=False).returncode
    with tempfile.TemporaryFile("w+") as said:
        system = subprocess.Popen([*PYTEST, "tests/system"], stdout=said, stderr=subprocess.STDOUT)
        try:
            others = subprocess.run([*PYTEST, "tests", "--ignore=tests/system"], check=False).returncode
            code = max(others, system.wait())
        finally:
            system.terminate()
        said.seek(0)
        print(said.read(), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
