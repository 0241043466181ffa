"""How the Prefect server and the flow runner are started: their environment and the server's command line.

Prefect is internal to the operator: it listens on loopback only, behind one shared password, without its web pages, and
reports to nobody. Its database is the operator's, apart from the coordinator's and the ledger's.
Source: Prefect 3.8.8, "Settings reference".
"""

from __future__ import annotations

import sys
from pathlib import Path

HOST = "127.0.0.1"
_IDLE_SERVICES = (  # nothing here uses work pools, automations, or kept events
    "FOREMAN",
    "TRIGGERS",
    "EVENT_PERSISTER",
    "DB_VACUUM",
    "PAUSE_EXPIRATIONS",
)


def prefect_environment(state_dir: Path, database_url: str, port: int, auth_string: str) -> dict[str, str]:
    """The variables that both the server and the runner need, to be added to PATH, HOME and the like.

    state_dir     where Prefect may write: an empty folder of its own
    database_url  postgresql+asyncpg://…; used by the server only
    port          the server's, on loopback
    auth_string   "name:password", which every request to the server must carry
    """
    return {
        "PREFECT_HOME": str(state_dir),
        "PREFECT_API_URL": f"http://{HOST}:{port}/api",
        "PREFECT_API_AUTH_STRING": auth_string,
        "PREFECT_SERVER_API_AUTH_STRING": auth_string,
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database_url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
        "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",  # no blocks here; a third to a half of the start-up
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "10",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "PREFECT_LOGGING_COLORS": "false",
        **{f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false" for service in _IDLE_SERVICES},
    }


def server_command(port: int) -> list[str]:
    """The Prefect server; it creates or migrates its database first. Ends on SIGTERM."""
    return [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)]


def runner_command() -> list[str]:
    """The flow runner; needs the variables of `hefu_flows.client` too."""
    return [sys.executable, "-m", "hefu_flows.runner"]
