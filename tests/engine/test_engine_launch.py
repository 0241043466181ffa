"""Parties started together: processes over TCP and TLS, threads; a ring that moves at once; failures that name the party."""

import os
from typing import Any

import numpy as np
import pytest
from hefu.engine.channel import ChannelSet
from hefu.engine.launch import PartyFailed, measure, run_together
from hefu.engine.session import Session

RING = {"a": ("c", "b"), "b": ("a", "c"), "c": ("b", "a")}
WORDS = 1 << 20  # more than any socket buffer holds


def around(session: Session, channels: ChannelSet) -> int:
    """Send a large array to the previous party while one comes from the next."""
    before, after = RING[session.party]
    mine = np.full(WORDS, ord(session.party), dtype=np.uint64)
    theirs = np.empty_like(mine)
    channels[before].shift(mine, channels[after], theirs)
    for channel in channels.values():
        channel.verify_transcript()
    return int(theirs.min())


def test_a_ring_of_threads_moves_at_once() -> None:
    found = run_together(dict.fromkeys(RING, around), parties="threads")
    assert found == {party: ord(after) for party, (_, after) in RING.items()}


@pytest.mark.parametrize("tls", [False, True])
def test_a_ring_of_processes_moves_at_once(tls: bool) -> None:
    reports = measure(dict.fromkeys(RING, around), tls=tls, timeout_seconds=60)
    assert {party: r.value for party, r in reports.items()} == {
        p: ord(after) for p, (_, after) in RING.items()
    }
    for report in reports.values():
        assert report.bytes_sent > 8 * WORDS
        assert report.peak_mb >= report.idle_mb > 0


def fail_at_b(session: Session, channels: ChannelSet) -> Any:
    if session.party == "b":
        raise ValueError("a broken program")
    return channels["b"].recv(10)


@pytest.mark.parametrize("parties", ["processes", "threads"])
def test_a_failure_reaches_everybody_and_names_the_party(parties: Any) -> None:
    with pytest.raises(PartyFailed, match="a broken program") as failed:
        run_together(dict.fromkeys("abc", fail_at_b), parties=parties, timeout_seconds=20)
    assert failed.value.party == "b"


def die_at_b(session: Session, channels: ChannelSet) -> Any:
    if session.party == "b":
        os._exit(1)
    return channels["b"].recv(10)


def test_a_process_that_dies_is_named() -> None:
    with pytest.raises(PartyFailed):
        run_together(dict.fromkeys("abc", die_at_b), timeout_seconds=20)


def test_private_coins_differ_between_parties_and_shared_ones_agree(run_parties: Any) -> None:
    def draw(session: Session, channels: ChannelSet) -> Any:
        (peer,) = channels
        return session.private_prg(0, "x").words(2).tolist(), session.prg(peer, 0, "x").words(2).tolist()

    first = run_parties({"a": draw, "b": draw}, seed=7).values
    again = run_parties({"a": draw, "b": draw}, seed=7).values
    assert first == again
    assert first["a"][0] != first["b"][0]
    assert first["a"][1] == first["b"][1] not in (first["a"][0], first["b"][0])
