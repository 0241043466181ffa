"""Compile the kernels of the OKVS and of the intersections on it ahead."""

from typing import Any

import numpy as np

from hefu.engine.launch import run_together
from hefu.engine.field.warm import warm as warm_field
from hefu.engine.psi import dealer, rr22_two_party


def warm() -> None:
    """Tiny intersections, with a dealer and without, run every kernel with the types that protocols use."""
    warm_field()
    items = np.arange(2 * 9, dtype=np.uint64).reshape(-1, 2)

    def receive(session: Any, channels: Any) -> Any:
        return dealer.receive(session, channels, sender="s", dealer="d", items=items)

    def send(session: Any, channels: Any) -> Any:
        return dealer.send(session, channels, receiver="r", dealer="d", items=items)

    def deal(session: Any, channels: Any) -> Any:
        return dealer.deal(session, channels, receiver="r", sender="s")

    run_together({"r": receive, "s": send, "d": deal}, parties="threads")

    many = np.arange(2 * 900, dtype=np.uint64).reshape(-1, 2)  # enough for LPN
    run_together(
        {
            "r": lambda session, channels: rr22_two_party.receive(session, channels, sender="s", items=many),
            "s": lambda session, channels: rr22_two_party.send(session, channels, receiver="r", items=many),
        },
        parties="threads",
    )
