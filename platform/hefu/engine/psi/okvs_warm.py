"""Compile the kernels of the OKVS and of the intersections on it ahead."""

from typing import Any

import numpy as np

from hefu.engine.launch import run_together
from hefu.engine.psi import dealer


def warm() -> None:
    """One tiny intersection with a dealer runs every kernel with the types that protocols use."""
    items = np.arange(2 * 9, dtype=np.uint64).reshape(-1, 2)

    def receive(session: Any, channels: Any) -> Any:
        return dealer.receive(session, channels, sender="s", dealer="d", items=items)

    def send(session: Any, channels: Any) -> Any:
        return dealer.send(session, channels, receiver="r", dealer="d", items=items)

    def deal(session: Any, channels: Any) -> Any:
        return dealer.deal(session, channels, receiver="r", sender="s")

    run_together({"r": receive, "s": send, "d": deal}, parties="threads")
