"""Secure aggregation over channels: the server in the middle of a star.

    total = serve(channels, plan)                              # at the server
    participate(channel_to_the_server, client, vector)         # at each client

A channel that breaks, aborts, times out or carries garbage makes its client a drop-out, whatever the step; the others
go on while the threshold is met. `round_seconds` limits each step, so that a silent client costs no more than that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hefu.engine.aggregation import messages
from hefu.engine.aggregation.client import Client
from hefu.engine.aggregation.errors import MessageInvalid
from hefu.engine.aggregation.plan import Plan
from hefu.engine.aggregation.server import Aggregate, Server
from hefu.engine.errors import ChannelError
from hefu.engine.frames import Channel, Payload

DEFAULT_ROUND_SECONDS = 300.0


def serve(
    channels: Mapping[str, Channel], plan: Plan, *, round_seconds: float = DEFAULT_ROUND_SECONDS
) -> Aggregate:
    """The server's side: answers the sum over all clients whose vector arrived.

    raises  TooFewClients, AggregationError
    """
    star = _Star(channels, Server(plan), round_seconds)
    server = star.server
    star.send(server.advertise(star.gather(messages.KEYS, plan.names)))
    relayed = server.share_keys(star.gather(messages.SHARES, star.reached))
    star.send(relayed)
    star.gather_masked()
    star.send(server.close_masked())
    star.send(server.sign_survivors(star.gather(messages.SIGNATURE, star.reached)))
    found = server.unmask(star.gather(messages.UNMASK, star.reached))
    star.dismiss()
    return found


def participate(channel: Channel, client: Client, vector: NDArray[Any]) -> None:
    """A client's side: the vector (plan.length,) of ring words goes into the sum, or an error says why not."""
    plan = client.plan

    def receive(kind: int) -> bytes:
        return channel.recv(messages.max_bytes(plan, kind))

    channel.send(client.advertise())
    channel.send(client.share_keys(receive(messages.KEY_LIST)))
    channel.send(client.masked_input(receive(messages.RELAYED), vector))
    channel.send(client.sign_survivors(receive(messages.SURVIVORS)))
    channel.send(client.unmask(receive(messages.SIGNATURES)))


class _Star:
    """The server's channels; `reached` are the clients that got the last message."""

    def __init__(self, channels: Mapping[str, Channel], server: Server, round_seconds: float) -> None:
        self.channels = channels
        self.server = server
        self.round_seconds = round_seconds
        self.reached: list[str] = []
        self._dismissed: set[str] = set()

    def dismiss(self) -> None:
        """Tell those that have dropped out, so that none of them waits for us."""
        for name in self.server.dropped.keys() & self.channels.keys() - self._dismissed:
            self._dismissed.add(name)
            self.channels[name].say_abort("dropped_out")
            self.channels[name].close()

    def send(self, outgoing: Mapping[str, Payload]) -> None:
        self.reached = []
        self.dismiss()
        for name, message in outgoing.items():
            if self._try(name, lambda c, m=message: c.send(m)):  # type: ignore[misc]  # a default binds the loop's value
                self.reached.append(name)

    def gather(self, kind: int, names: Iterable[str]) -> dict[str, bytes]:
        limit = messages.max_bytes(self.server.plan, kind)
        received: dict[str, bytes] = {}

        def receive(channel: Channel) -> None:
            received[channel.peer] = channel.recv(limit)

        self._step(names, receive)
        return received

    def gather_masked(self) -> None:
        """One vector in memory at a time, whatever the number of clients."""
        buffer = np.empty(messages.max_bytes(self.server.plan, messages.MASKED), dtype=np.uint8)

        def receive(channel: Channel) -> None:
            channel.recv_into(buffer)
            self.server.add_masked(channel.peer, buffer)

        self._step(self.reached, receive)

    def _step(self, names: Iterable[str], receive: Callable[[Channel], None]) -> None:
        until = time.monotonic() + self.round_seconds
        for name in names:
            if name in self.channels and name not in self.server.dropped:
                channel = self.channels[name]
                overall = channel.deadline
                channel.deadline = until if overall is None else min(until, overall)
                self._try(name, receive)
                channel.deadline = overall

    def _try(self, name: str, work: Callable[[Channel], None]) -> bool:
        try:
            work(self.channels[name])
        except (ChannelError, MessageInvalid) as error:
            self.server.drop(name, str(error))
            self.dismiss()
            return False
        return True
