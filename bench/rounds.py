"""Rounds of a run: the longest chain of messages in which each had to wait for the one before.

Every party writes down what it sends and receives, in order; from all lists together the chain is computed. Two messages
that cross count once, a ring that moves at once counts once. Over a link with a delay, no run is faster than its rounds
times the delay.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from hefu.engine.channel import ChannelSet

Event = tuple[str, str]
"""("to" or "from", peer)."""


def watch(channels: ChannelSet) -> list[Event]:
    """A list that grows with every frame that leaves or arrives from now on."""
    events: list[Event] = []
    for peer, channel in channels.items():
        _watch(channel, peer, events)
    return events


def _watch(channel: Any, peer: str, events: list[Event]) -> None:
    sent, received = channel._count_sent, channel._count_received

    def count_sent(outgoing: Any) -> None:
        sent(outgoing)
        if outgoing:
            events.append(("to", peer))

    def count_received(incoming: Any) -> None:
        received(incoming)
        events.append(("from", peer))

    channel._count_sent, channel._count_received = count_sent, count_received


def longest_chain(events: Mapping[str, Sequence[Event]]) -> int:
    """Messages on the longest chain; raises ValueError when somebody received what nobody sent."""
    depth = dict.fromkeys(events, 0)
    at = dict.fromkeys(events, 0)
    under_way: dict[tuple[str, str], deque[int]] = {}
    moved = True
    while moved:
        moved = False
        for party, mine in events.items():
            while at[party] < len(mine):
                kind, peer = mine[at[party]]
                if kind == "to":
                    under_way.setdefault((party, peer), deque()).append(depth[party] + 1)
                else:
                    waiting = under_way.get((peer, party))
                    if not waiting:
                        break
                    depth[party] = max(depth[party], waiting.popleft())
                at[party] += 1
                moved = True
    if any(at[party] < len(mine) for party, mine in events.items()):
        raise ValueError("a party received a message that no other party sent")
    return max(depth.values(), default=0)
