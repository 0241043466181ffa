"""How Prefect is started: on loopback, behind a password, silent towards the outside; asking for it costs nothing."""

import subprocess
import sys
from pathlib import Path

from hefu_flows.settings import prefect_environment, runner_command, server_command

URL = "postgresql+asyncpg://prefect:pw@/prefect?host=/run/pg&port=5432"


def test_prefect_stays_inside(tmp_path: Path) -> None:
    environment = prefect_environment(tmp_path, URL, 4200, "hefu:word")
    assert environment["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"
    assert (
        environment["PREFECT_API_AUTH_STRING"] == environment["PREFECT_SERVER_API_AUTH_STRING"] == "hefu:word"
    )
    assert environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] == URL
    assert environment["PREFECT_HOME"] == str(tmp_path)
    assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert environment["PREFECT_SERVER_UI_ENABLED"] == "false"
    assert environment["PREFECT_RESULTS_DEFAULT_SERIALIZER"] == "json"
    assert all(isinstance(value, str) for value in environment.values())
    command = server_command(4200)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert "word" not in " ".join([*command, *runner_command()])


def test_prefect_knows_every_setting(tmp_path: Path) -> None:
    program = "from prefect.settings import get_current_settings as s; v = s().to_environment_variables(); print(*v, sep='\\n')"
    environment = prefect_environment(tmp_path, URL, 4200, "hefu:word")
    known = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    wanted = {name for name in environment if name.startswith("PREFECT_")}
    assert wanted - set(known) == set()


def test_the_supervisor_may_ask_without_importing_prefect() -> None:
    program = "import sys, hefu_flows.settings, hefu_flows.client; sys.exit('prefect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
