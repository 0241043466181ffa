"""The longest chain of messages: those that cross count once, those that wait for one another add up."""

import pytest

from bench.rounds import longest_chain


def test_a_ping_and_its_pong_are_two() -> None:
    assert longest_chain({"a": [("to", "b"), ("from", "b")], "b": [("from", "a"), ("to", "a")]}) == 2


def test_an_exchange_is_one() -> None:
    assert longest_chain({"a": [("to", "b"), ("from", "b")], "b": [("to", "a"), ("from", "a")]}) == 1


def test_a_ring_that_moves_at_once_is_one_each_time() -> None:
    ring = {"a": ("c", "b"), "b": ("a", "c"), "c": ("b", "a")}
    events = {p: [("to", before), ("from", after)] * 5 for p, (before, after) in ring.items()}
    assert longest_chain(events) == 5


def test_a_stream_in_one_direction_is_one() -> None:
    assert longest_chain({"a": [("to", "b")] * 50, "b": [("from", "a")] * 50}) == 1


def test_a_chain_goes_through_a_third_party() -> None:
    events = {"a": [("to", "b")], "b": [("from", "a"), ("to", "c")], "c": [("from", "b")]}
    assert longest_chain(events) == 2


def test_nobody_speaks() -> None:
    assert longest_chain({"a": [], "b": []}) == 0
    assert longest_chain({}) == 0


def test_a_message_from_nowhere_is_noticed() -> None:
    with pytest.raises(ValueError, match="no other party sent"):
        longest_chain({"a": [("from", "b")], "b": []})
