"""Intersection between three and more parties around a leader: the laws, the sizes, what a broken zero share would show."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import pytest
from hefu.engine.errors import InputInvalid
from hefu.engine.psi import multi
from hefu.engine.psi.items import from_integers
from hefu.engine.psi.okvs_bins import plan

Run = Callable[..., Any]


def programs(inputs: dict[str, Any], leader: str = "a") -> dict[str, Any]:
    members = [name for name in inputs if name != leader]

    def lead(session: Any, channels: Any) -> Any:
        key = multi.share_key(session, channels, members, operation=3)
        own = from_integers(key, np.asarray(list(inputs[leader]), dtype=np.int64))
        return multi.lead(session, channels, own, members=members, operation=3)

    def join(name: str) -> Any:
        def run(session: Any, channels: Any) -> Any:
            own = from_integers(
                multi.hear_key(channels, leader), np.asarray(list(inputs[name]), dtype=np.int64)
            )
            return multi.join(session, channels, own, leader=leader, members=members, operation=3)

        return run

    return {leader: lead} | {name: join(name) for name in members}


@pytest.mark.parametrize(
    "inputs",
    [
        {"a": range(50), "b": range(20, 90), "c": range(40, 60)},
        {"a": [], "b": [1], "c": [1]},
        {"a": [1], "b": [1], "c": []},
        {"a": [1], "b": [1], "c": [1]},
        {"a": [4, 4, 1, 4], "b": [4, 2, 2], "c": [7, 4, 4]},
        {"a": range(10), "b": range(10), "c": range(10, 20)},
        {
            "a": range(1500),
            "b": range(1000, 9000),
            "c": range(500, 1400),
            "d": range(2000),
            "e": [1300, 1001],
        },
    ],
)
def test_the_leader_learns_what_all_have(run_parties: Run, inputs: dict[str, Any]) -> None:
    ran = run_parties(programs(inputs))
    common = reduce(np.intersect1d, (np.array(list(v), dtype=np.int64) for v in inputs.values()))
    expected = np.flatnonzero(np.isin(np.array(list(inputs["a"]), dtype=np.int64), common))
    assert ran.values["a"].rows.tolist() == expected.tolist()
    for name, values in inputs.items():
        if name != "a":
            assert ran.values[name] == len(set(inputs["a"]))
            assert ran.values["a"].member_items[name] == len(set(values))


def test_sizes_depend_on_counts_only(run_parties: Run) -> None:
    shapes = set()
    for shift in (0, 5, 1000):
        inputs = {"a": range(30), "b": range(shift, shift + 20), "c": range(shift, shift + 40)}
        ran = run_parties(programs(inputs), seed=2)
        shapes.add(tuple(tuple(ran.sizes(name)) for name in "abc"))
    ((leader, *_),) = shapes
    assert [size for sender, size in leader if sender == "b"] == [32, 8192, 16 * (plan(20).columns + 1)]


def partly_common(run_parties: Run) -> list[int]:
    """How many of its items the leader could place: those for which what it holds of b and of c agree with its own keys."""
    inputs = {"a": range(30), "b": range(10, 30), "c": range(0, 10)}
    seen: list[int] = []
    real = multi.hear_corrections

    def watching(channel: Any, hashes: Any, keys: Any, points: int, into: Any) -> None:
        real(channel, hashes, keys, points, into)
        seen.append(int((~into.any(axis=1)).sum()))

    multi.hear_corrections = watching
    try:
        run_parties(programs(inputs))
    finally:
        multi.hear_corrections = real
    return seen


def test_what_only_some_have_is_hidden_by_the_zero_shares(
    run_parties: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert partly_common(run_parties) == [0, 0]
    monkeypatch.setattr(multi, "_zero_share", lambda session, items, others, operation: np.zeros_like(items))
    assert partly_common(run_parties) == [20, 10]  # all-zero shares give away who has what


def test_a_member_s_share_alone_looks_random(run_parties: Run) -> None:
    """What the leader holds after b alone, for items that b has and c lacks: even bytes, and no relation to its own keys."""
    held: list[bytes] = []
    real = multi.hear_corrections

    def watching(channel: Any, hashes: Any, keys: Any, points: int, into: Any) -> None:
        real(channel, hashes, keys, points, into)
        if channel.peer == "b":
            held.append(into.tobytes())

    multi.hear_corrections = watching
    try:
        for seed in range(4):
            run_parties(programs({"a": range(300), "b": range(300), "c": [999]}), seed=seed)
    finally:
        multi.hear_corrections = real
    counts = np.bincount(np.frombuffer(b"".join(held), dtype=np.uint8), minlength=256)
    expected = counts.sum() / 256
    assert abs(((counts - expected) ** 2 / expected).sum() - 255) < 5 * (2 * 255) ** 0.5
    assert len(set(held)) == 4


def test_names_are_checked(run_parties: Run) -> None:
    ran = run_parties(programs({"a": [1], "b": [1]}), may_fail=True)
    assert isinstance(ran.errors["a"], InputInvalid)
    assert isinstance(ran.errors["b"], InputInvalid)
