"""A million items a side: bytes and memory stay within what the pages say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hefu.engine.launch import measure
from hefu.engine.prg import Prg
from hefu.engine.psi import dealer, rr22_two_party
from hefu.engine.psi.okvs_warm import warm

N = 1 << 20


@pytest.mark.slow
@pytest.mark.server
def test_a_million_items_a_side() -> None:
    x, y = (Prg(bytes([i]) * 16).words(2 * N).reshape(-1, 2) for i in (1, 2))
    y[: N // 2] = x[N // 2 :]

    def sends(session: Any, channels: Any) -> Any:
        return dealer.send(session, channels, y, receiver="r", dealer="d", operation=0)

    two = measure(
        {
            "r": lambda session, channels: rr22_two_party.receive(session, channels["s"], x, operation=0),
            "s": lambda session, channels: rr22_two_party.send(session, channels["r"], y, operation=0),
        },
        prepare=warm,
    )
    three = measure(
        {
            "r": lambda session, channels: dealer.receive(
                session, channels, x, sender="s", dealer="d", operation=0
            ),
            "s": sends,
            "d": lambda session, channels: dealer.deal(
                session, channels, receiver="r", sender="s", operation=0
            ),
        },
        prepare=warm,
    )
    for reports, limit in ((two, 40), (three, 52)):
        assert np.array_equal(reports["r"].value.rows, np.arange(N // 2, N))
        assert sum(report.bytes_sent for report in reports.values()) < limit * N
        assert max(report.peak_mb - report.idle_mb for report in reports.values()) < 140
