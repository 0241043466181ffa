"""The example of the README runs as it is, in three processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import hefu.engine.rss
import pytest

README = Path(hefu.engine.rss.__file__).with_name("README.md")


@pytest.mark.server
def test_the_example_runs_as_it_is(tmp_path: Path) -> None:
    code = README.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    script = tmp_path / "example.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300, check=True)
    assert "33600" in done.stdout
    assert "False,  True, False" in done.stdout
