"""Parties of a protocol as threads, with coins that a test fixes, and a record of all that each of them receives."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import pytest
from hefu.engine.channel import ChannelSet, MemoryChannel
from hefu.engine.frames import Channel, Incoming
from hefu.engine.session import Session

Program = Callable[[Session, ChannelSet], Any]
View = list[tuple[str, bytes]]


@dataclass
class Ran:
    """What every party returned, and its view: (sender, payload) of each frame in the order in which it was read."""

    values: dict[str, Any] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    errors: dict[str, BaseException] = field(default_factory=dict)

    def sizes(self, party: str) -> list[tuple[str, int]]:
        """The view without its contents."""
        return [(sender, len(payload)) for sender, payload in self.views[party]]


def _coin(seed: int, *names: str) -> bytes:
    return hashlib.sha256(repr((seed, sorted(names))).encode()).digest()


def session_of(seed: int, party: str, names: list[str]) -> Session:
    """The session of one party under fixed coins: equal seeds give equal randomness to everybody."""
    pairs = {peer: _coin(seed, party, peer) for peer in names if peer != party}
    return Session(_coin(seed), party, pairs, own_key=_coin(seed, party))


def _recorded(channel: Channel, view: View) -> None:
    count = channel._count_received

    def counted(incoming: Incoming) -> None:
        count(incoming)
        view.append((channel.peer, bytes(incoming.payload)))

    channel._count_received = counted  # type: ignore[method-assign]


def run_parties(programs: Mapping[str, Program], *, seed: int = 0, may_fail: bool = False) -> Ran:
    """Run every party's program at once under coins from the seed; the first error comes out unless it may."""
    names = sorted(programs)
    channels = {name: ChannelSet() for name in names}
    for left, right in combinations(names, 2):
        channels[left][right], channels[right][left] = MemoryChannel.pair(left, right, timeout_seconds=30)
    ran = Ran(views={name: [] for name in names})

    def one(party: str) -> None:
        try:
            session = session_of(seed, party, names)
            channels[party].handshake(session.session_id, "test", bytes(32), party)
            for channel in channels[party].values():
                _recorded(channel, ran.views[party])
            with channels[party].abort_on_error():
                ran.values[party] = programs[party](session, channels[party])
        except BaseException as error:
            ran.errors[party] = error

    threads = [threading.Thread(target=one, args=(name,), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    if not may_fail and ran.errors:
        raise next(iter(ran.errors.values()))
    return ran


@pytest.fixture(name="run_parties")
def run_parties_fixture() -> Callable[..., Ran]:
    """`run_parties(programs, seed=…)`"""
    return run_parties
