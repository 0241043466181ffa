"""Byte code, written once at set-up: a confined node may not write beside its sources and would compile them at every start.

Only what the services import is compiled: each is imported once, in a process that may write.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

SERVICES = (
    "hefu.cli, hefu.local.demo",
    "hefu.node.service, hefu.node.program, hefu.node.inputs",
    "hefu.coordinator.service",
    "hefu_flows.runner",
    "hefu_ui.server, streamlit.web.bootstrap",
    "prefect.server.api.server, prefect.cli.server",
)


def warm_byte_code() -> int:
    """Import every service once; answers how many could be imported."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        return sum(pool.map(_import, SERVICES))


def _import(modules: str) -> bool:
    done = subprocess.run([sys.executable, "-c", f"import {modules}"], capture_output=True, check=False)
    return done.returncode == 0
