"""Compile the kernels of this package once, with the types that protocols use."""

from typing import Any

import numpy as np

from hefu.engine.group.warm import warm as warm_group
from hefu.engine.launch import run_together
from hefu.engine.ot.warm import warm as warm_transfers
from hefu.engine.psi import ecdh, items, kkrt
from hefu.engine.psi.okvs_warm import warm as warm_okvs


def warm() -> None:
    """Tiny intersections by every protocol."""
    warm_group()
    warm_transfers()
    warm_okvs()
    few = items.from_integers(bytes(32), np.arange(3))

    def receive(session: Any, channels: Any) -> None:
        kkrt.receive(session, channels["s"], few, operation=0)
        ecdh.receive(session, channels["s"], few, operation=1)

    def send(session: Any, channels: Any) -> None:
        kkrt.send(session, channels["r"], few, operation=0)
        ecdh.send(session, channels["r"], few, operation=1)

    run_together({"r": receive, "s": send}, parties="threads")
