"""Intersection with a dealer: the laws, at three parties; sizes; hostile messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hefu.engine.errors import FrameInvalid
from hefu.engine.launch import measure
from hefu.engine.psi import dealer, okvs_shared
from hefu.engine.psi.items import from_integers
from hefu.engine.psi.outcome import agree
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

KEY = bytes(range(32))
Run = Callable[..., Any]


def items(values: Any) -> NDArray[np.uint64]:
    return from_integers(KEY, np.asarray(list(values), dtype=np.int64))


def programs(x: NDArray[np.uint64], y: NDArray[np.uint64]) -> dict[str, Any]:
    return {
        "r": lambda session, channels: dealer.receive(
            session, channels, x, sender="s", dealer="d", operation=0
        ),
        "s": lambda session, channels: dealer.send(
            session, channels, y, receiver="r", dealer="d", operation=0
        ),
        "d": lambda session, channels: dealer.deal(session, channels, receiver="r", sender="s", operation=0),
    }


def check(run_parties: Run, x: Any, y: Any) -> None:
    ran = run_parties(programs(items(x), items(y)))
    assert ran.values["r"].rows.tolist() == np.flatnonzero(np.isin(x, y)).tolist()
    assert ran.values["s"].peer_items == ran.values["d"] == len(np.unique(x))
    assert ran.values["r"].common == len(np.intersect1d(x, y))


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
        (range(500), range(500, 900)),
        (range(40), range(39, 80)),
        ([77], range(100_000)),
        (range(100_000), [-1, 77]),
        ([0, -1, 1, 2**62, -(2**62)], [2**62, 0, 9]),
    ],
)
def test_the_result_is_the_intersection(run_parties: Run, x: Any, y: Any) -> None:
    check(run_parties, np.array(list(x), dtype=np.int64), np.array(list(y), dtype=np.int64))


@given(st.lists(st.integers(-20, 20), max_size=30), st.lists(st.integers(-20, 20), max_size=30))
@settings(max_examples=15, deadline=None)
def test_any_lists(x: list[int], y: list[int]) -> None:
    from hefu.engine.launch import run_together

    found = run_together(programs(items(x), items(y)), parties="threads")["r"]
    assert found.rows.tolist() == [i for i, value in enumerate(x) if value in y]


def test_more_than_one_bin(run_parties: Run) -> None:
    check(run_parties, np.arange(70_000), np.arange(69_000, 140_000))


@pytest.mark.server
def test_processes_and_their_bytes() -> None:
    n = 20_000
    reports = measure(programs(items(range(n)), items(range(n // 2, n + n // 2))))
    assert reports["r"].value.rows.tolist() == list(range(n // 2, n))
    assert reports["r"].bytes_sent < 21 * n
    assert reports["d"].bytes_sent < 21 * n
    assert reports["s"].bytes_sent < 10 * n + 1000


def test_the_sender_is_told_when_both_want_it(run_parties: Run) -> None:
    x, y = items([3, 1, 3, 9]), items([9, 9, 4, 3])
    ran = run_parties(
        {
            "r": lambda session, channels: dealer.receive(
                session, channels, x, sender="s", dealer="d", operation=7, both=True
            ),
            "s": lambda session, channels: dealer.send(
                session, channels, y, receiver="r", dealer="d", operation=7, both=True
            ),
            "d": lambda session, channels: dealer.deal(
                session, channels, receiver="r", sender="s", operation=7
            ),
        }
    )
    assert ran.values["r"].rows.tolist() == [0, 2, 3]
    assert ran.values["s"].rows.tolist() == [0, 1, 3]


def test_a_bin_that_fails_takes_the_next_row_key(run_parties: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = okvs_shared.encode, []

    def fails_first(*arguments: Any) -> Any:
        calls.append(1)
        return None if len(calls) % 3 else real(*arguments)

    monkeypatch.setattr(okvs_shared, "encode", fails_first)
    check(run_parties, np.arange(50), np.arange(25, 75))
    assert len(calls) == 3
    monkeypatch.setattr(okvs_shared, "encode", lambda *arguments: None)
    ran = run_parties(programs(items([1]), items([1])), may_fail=True)
    assert isinstance(ran.errors["r"], okvs_shared.OkvsFailed)


@pytest.mark.parametrize("count", [1 << 31, (1 << 64) - 1])
def test_a_count_beyond_all_reason_is_refused(run_parties: Run, count: int) -> None:
    def liar(session: Any, channels: Any) -> None:
        channels["s"].send(np.array([count], dtype=np.uint64).tobytes() + b"dealt 1".ljust(24, b"\0"))
        channels["d"].send(np.array([count], dtype=np.uint64))

    ran = run_parties(programs(items([]), items([1])) | {"r": liar}, may_fail=True)
    assert isinstance(ran.errors["s"], FrameInvalid)
    assert isinstance(ran.errors["d"], FrameInvalid)


@pytest.mark.parametrize("change", ["attempt", "size"])
def test_a_malformed_bin_is_refused(run_parties: Run, change: str) -> None:
    def liar(session: Any, channels: Any) -> None:
        agree(channels["s"], 3, "dealt 1")
        channels["d"].send(np.array([3], dtype=np.uint64))
        message = np.full((81 + (change == "size"), 2), 200 if change == "attempt" else 0, dtype=np.uint64)
        channels["s"].send(message)

    ran = run_parties(programs(items([]), items([1])) | {"r": liar}, may_fail=True)
    assert isinstance(ran.errors["s"], FrameInvalid)
