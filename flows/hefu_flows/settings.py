"""How the Prefect server and the flow runner are started: their environment and the server's command line.

Prefect is internal to the operator: it listens on loopback only, behind one shared password, without its web pages, and
reports to nobody. Its database is the operator's, apart from the coordinator's and the ledger's.
Source: Prefect 3.8.8, "Settings reference".
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from hefu_flows.errors import SettingMissing

HOST = "127.0.0.1"
TIME_ZONE = "Asia/Shanghai"
SCHEDULES: Mapping[str, tuple[str, str]] = {
    "retention": ("HEFU_RETENTION_CRON", "20 4 * * *"),
    "reevaluation": ("HEFU_REEVALUATION_CRON", "40 4 * * 1"),
    "due-soon": ("HEFU_DUE_SOON_CRON", "0 7 * * *"),
}
"""Scheduled compliance work: deployment → the variable that moves it, and when it runs where nobody does. In TIME_ZONE."""
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


def compliance_crons(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """When each deployment of SCHEDULES runs: five fields of cron.

    raises  SettingMissing naming the variable that holds something else
    """
    crons = {}
    for name, (variable, default) in SCHEDULES.items():
        crons[name] = environment.get(variable, "").strip() or default
        if len(crons[name].split()) != 5:
            raise SettingMissing(f"{variable}: {crons[name]!r} is not a cron of five fields")
    return crons


def server_command(port: int) -> list[str]:
    """The Prefect server; it creates or migrates its database first. Ends on SIGTERM."""
    return [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)]


def runner_command() -> list[str]:
    """The flow runner; needs the variables of `hefu_flows.client` too."""
    return [sys.executable, "-m", "hefu_flows.runner"]
