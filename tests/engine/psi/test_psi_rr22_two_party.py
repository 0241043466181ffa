"""Intersection between two parties from an OKVS and silent VOLE: the laws, the sizes, the views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hefu.engine.launch import measure
from hefu.engine.psi import rr22_two_party as two_party
from hefu.engine.psi.items import from_integers
from hefu.engine.psi.okvs_bins import plan
from hefu.engine.psi.values import value_bytes
from numpy.typing import NDArray

Run = Callable[..., Any]


def items(values: Any) -> NDArray[np.uint64]:
    return from_integers(bytes(range(32)), np.asarray(list(values), dtype=np.int64))


def programs(x: Any, y: Any) -> dict[str, Any]:
    mine, theirs = items(x), items(y)
    return {
        "r": lambda session, channels: two_party.receive(session, channels["s"], mine, operation=0),
        "s": lambda session, channels: two_party.send(session, channels["r"], theirs, operation=0),
    }


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([], []),
        ([], [1, 2, 3]),
        ([1, 2, 3], []),
        ([5], [5]),
        ([5], [6]),
        ([3, 3, 1, 3, 2, 2], [2, 3, 2]),
        (range(500), range(500)),
        (range(2000), range(2000, 3000)),
        (range(40), range(39, 80)),
        ([77], range(100_000)),
        (range(100_000), [-1, 77]),
        (range(70_000), range(69_000, 140_000)),
    ],
)
def test_the_result_is_the_intersection(run_parties: Run, x: Any, y: Any) -> None:
    x, y = np.array(list(x), dtype=np.int64), np.array(list(y), dtype=np.int64)
    ran = run_parties(programs(x, y))
    assert ran.values["r"].rows.tolist() == np.flatnonzero(np.isin(x, y)).tolist()
    assert ran.values["s"].peer_items == len(np.unique(x))


def test_sizes_depend_on_counts_only(run_parties: Run) -> None:
    shapes = set()
    for x, y in [
        (range(1000), range(20)),
        (range(1000), range(2000, 2020)),
        (range(50, 1050), range(90, 110)),
    ]:
        ran = run_parties(programs(x, y), seed=3)
        shapes.add((tuple(ran.sizes("r")), tuple(ran.sizes("s"))))
    ((receiver, sender),) = shapes
    assert sender[-1] == ("r", 16 * (plan(1000).columns + 1))
    assert receiver[-1] == ("s", 20 * value_bytes(1000, 20))
    assert len(sender) == 5
    assert len(receiver) == 4


def test_what_travels_is_even_for_different_sets(run_parties: Run) -> None:
    for x, y in [(range(8), range(8)), ([2**62 - i for i in range(8)], range(500, 508))]:
        vectors, values = [], []
        for seed in range(12):
            ran = run_parties(programs(x, y), seed=seed)
            vectors.append(ran.views["s"][-1][1][16:])
            values.append(ran.views["r"][-1][1])
        for frames in (vectors, values):
            counts = np.bincount(np.frombuffer(b"".join(frames), dtype=np.uint8), minlength=256)
            expected = counts.sum() / 256
            assert abs(((counts - expected) ** 2 / expected).sum() - 255) < 5 * (2 * 255) ** 0.5


@pytest.mark.server
def test_processes_and_their_bytes() -> None:
    n = 1 << 16
    reports = measure(programs(range(n), range(n // 2, n + n // 2)))
    assert reports["r"].value.rows.tolist() == list(range(n // 2, n))
    assert sum(report.bytes_sent for report in reports.values()) < 40 * n


def test_the_sender_is_told_when_both_want_it(run_parties: Run) -> None:
    x, y = items([3, 1, 3, 9]), items([9, 9, 4, 3])
    ran = run_parties(
        {
            "r": lambda session, channels: two_party.receive(
                session, channels["s"], x, operation=7, both=True
            ),
            "s": lambda session, channels: two_party.send(session, channels["r"], y, operation=7, both=True),
        }
    )
    assert ran.values["r"].rows.tolist() == [0, 2, 3]
    assert ran.values["s"].rows.tolist() == [0, 1, 3]
