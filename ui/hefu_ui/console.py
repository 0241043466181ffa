"""The running console: its configuration, sessions and one client per organisation's node.

Streamlit runs pages in threads of the server's process; they reach what the server holds through `running()`.
"""

from __future__ import annotations

import threading
from datetime import timedelta

from hefu_ui.config import ConsoleConfig
from hefu_ui.door.sessions import Sessions
from hefu_ui.door.throttle import Throttle
from hefu_ui.errors import ConsoleError
from hefu_ui.node_api import NodeApi, NodeLine


class Console:
    """What one console process holds."""

    def __init__(self, config: ConsoleConfig) -> None:
        self.config = config
        self.sessions = Sessions(timedelta(minutes=config.idle_minutes))
        self.throttle = Throttle()
        self._lines: dict[str, NodeLine] = {}
        self._lock = threading.Lock()

    def node(self, org_id: str, token: str | None = None) -> NodeApi:
        """The API of an organisation's node, as the holder of `token`."""
        with self._lock:
            line = self._lines.get(org_id)
            if line is None:
                line = self._lines[org_id] = NodeLine(org_id, self.config.nodes[org_id])
        return NodeApi(line, token)

    def log_out(self, token: str | None) -> None:
        """End a session here and at the node. A node that is down forgets it when its own token expires."""
        held = self.sessions.end(token)
        if held is not None:
            try:
                self.node(held.org_id, held.node_token).logout()
            except ConsoleError:
                return


_running: Console | None = None


def install(console: Console | None) -> None:
    """Make this the process's console."""
    global _running
    _running = console


def running() -> Console:
    """The process's console.

    raises  ConsoleError when none was installed
    """
    if _running is None:
        raise ConsoleError("no console is running in this process: start it with `hefu console serve`")
    return _running
