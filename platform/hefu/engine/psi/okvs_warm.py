"""Compile the kernels of the OKVS and of the intersections on it ahead."""

from typing import Any

import numpy as np

from hefu.engine.field.warm import warm as warm_field
from hefu.engine.launch import run_together
from hefu.engine.prg import Prg
from hefu.engine.psi import dealer, okvs, rr22_two_party
from hefu.engine.psi.okvs_bins import Binned


def warm() -> None:
    """Tiny intersections, with a dealer and without, run every kernel with the types that protocols use."""
    warm_field()
    items = np.arange(2 * 9, dtype=np.uint64).reshape(-1, 2)

    def receive(session: Any, channels: Any) -> Any:
        return dealer.receive(session, channels, items, sender="s", dealer="d", operation=0)

    def send(session: Any, channels: Any) -> Any:
        return dealer.send(session, channels, items, receiver="r", dealer="d", operation=0)

    def deal(session: Any, channels: Any) -> Any:
        return dealer.deal(session, channels, receiver="r", sender="s", operation=0)

    run_together({"r": receive, "s": send, "d": deal}, parties="threads")

    Binned(items, 2, bytes(16))
    rows = okvs.RowHash(bytes(32)).rows(np.arange(40, dtype=np.uint64).reshape(-1, 2), 16)
    okvs.encode(rows, np.zeros((20, 2), dtype=np.uint64), 16, Prg(bytes(16)))  # its core is not empty
    many = np.arange(2 * 900, dtype=np.uint64).reshape(-1, 2)  # enough for LPN
    run_together(
        {
            "r": lambda session, channels: rr22_two_party.receive(session, channels["s"], many, operation=0),
            "s": lambda session, channels: rr22_two_party.send(session, channels["r"], many, operation=0),
        },
        parties="threads",
    )
