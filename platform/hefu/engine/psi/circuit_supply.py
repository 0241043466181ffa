"""Where a circuit intersection has its correlated randomness from: the two parties alone, or a node that deals.

Alone: silent VOLE, and transfers in both directions from `vole_small`. Dealt: VOLE as in `dealer`; triples and random
transfers from streams that each party shares with the dealer, with one message for what does not fit both.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from hefu.engine.channel import Channel
from hefu.engine.prg import Prg
from hefu.engine.psi.circuit_bits import Bits, Chooser, Numbers, Offerer
from hefu.engine.psi.dealer import DealtSender, vole_receiver
from hefu.engine.psi.okvs_bins import plan
from hefu.engine.psi.vole import VoleReceiver, VoleSender
from hefu.engine.psi.vole_silent import SilentReceiver, SilentSender
from hefu.engine.session import Session

_VOLE, _BACK = 1 << 32, 1 << 33  # operation numbers of the parts: callers' own are below 2^32


class Supply(Protocol):
    """One party's end of everything."""

    def announce(self, items: int) -> None:
        """R: tell a dealer how many items there are."""

    def vole_receiver(self, keys: int) -> VoleReceiver:
        """R: for an OKVS of so many keys."""

    def vole_sender(self, keys: int) -> VoleSender:
        """S: the other side."""

    def chooser(self, back: bool = False) -> Chooser:
        """R, with `back` S: the end of the gates that chooses."""

    def offerer(self, back: bool = False) -> Offerer:
        """S, with `back` R: the other end."""


def supply_of(session: Session, channel: Channel, dealer: Channel | None, operation: int) -> Supply:
    """Dealt where there is a dealer, else between the two."""
    return (
        Alone(session, channel, operation) if dealer is None else Dealt(session, channel, dealer, operation)
    )


class Alone:
    """Between two parties."""

    def __init__(self, session: Session, channel: Channel, operation: int) -> None:
        self._session, self._channel, self._operation = session, channel, operation

    def announce(self, items: int) -> None:
        """Nobody to tell."""

    def vole_receiver(self, keys: int) -> VoleReceiver:
        """Silent."""
        return SilentReceiver(
            self._session, self._channel, plan(keys).size, operation=self._operation + _VOLE
        )

    def vole_sender(self, keys: int) -> VoleSender:
        """Silent."""
        return SilentSender(self._session, self._channel, plan(keys).size, operation=self._operation + _VOLE)

    def chooser(self, back: bool = False) -> Chooser:
        """From base transfers of its own."""
        return Chooser(self._session, self._channel, self._operation + _BACK * back, _purpose(back))

    def offerer(self, back: bool = False) -> Offerer:
        """From base transfers of its own."""
        return Offerer(self._session, self._channel, self._operation + _BACK * back, _purpose(back))


class Dealt:
    """With a dealer."""

    def __init__(self, session: Session, channel: Channel, dealer: Channel, operation: int) -> None:
        self._session, self._channel, self._dealer, self._operation = session, channel, dealer, operation

    def announce(self, items: int) -> None:
        """8 bytes to the dealer."""
        self._dealer.send(np.array([items], dtype=np.uint64))

    def vole_receiver(self, keys: int) -> VoleReceiver:
        """From two streams."""
        return vole_receiver(self._session, self._dealer.peer, self._operation)

    def vole_sender(self, keys: int) -> VoleSender:
        """B comes from the dealer."""
        delta = self._session.prg(self._dealer.peer, self._operation, "psi vole delta")
        return DealtSender(delta, self._dealer)

    def chooser(self, back: bool = False) -> Chooser:
        """From one stream, and the dealer's words."""
        return DealtChooser(self._channel, self._dealer, self._stream(f"{_purpose(back)} chooser"))

    def offerer(self, back: bool = False) -> Offerer:
        """From one stream, and the dealer's bits."""
        return DealtOfferer(self._channel, self._dealer, self._stream(f"{_purpose(back)} offerer"))

    def _stream(self, purpose: str) -> Prg:
        return self._session.prg(self._dealer.peer, self._operation, purpose)


class DealtChooser(Chooser):
    """Its choices and its triples come from its stream; the chosen words from the dealer."""

    def __init__(self, channel: Channel, dealer: Channel, stream: Prg) -> None:
        self._channel, self._dealer, self._stream = channel, dealer, stream

    def transfers(self, count: int) -> tuple[Bits, Numbers]:
        """As `Chooser`."""
        words = np.empty(count, dtype=np.uint64)
        choices = random_bits(self._stream, count)
        self._dealer.recv_into(words)
        return choices, words

    def triples(self, count: int) -> tuple[Bits, Bits, Bits]:
        """As `Chooser`."""
        a, b, c = (random_bits(self._stream, count) for _ in range(3))
        return a, b, c


class DealtOfferer(Offerer):
    """Both words, a and b come from its stream; c from the dealer."""

    def __init__(self, channel: Channel, dealer: Channel, stream: Prg) -> None:
        self._channel, self._dealer, self._stream = channel, dealer, stream

    def transfers(self, count: int) -> tuple[Numbers, Numbers]:
        """As `Offerer`."""
        return self._stream.words(count), self._stream.words(count)

    def triples(self, count: int) -> tuple[Bits, Bits, Bits]:
        """As `Offerer`."""
        a, b = random_bits(self._stream, count), random_bits(self._stream, count)
        packed = np.empty(-(-count // 8), dtype=np.uint8)
        self._dealer.recv_into(packed)
        return a, b, np.unpackbits(packed)[:count]


def random_bits(stream: Prg, count: int) -> Bits:
    """The next bits of a stream, whole words at a time."""
    return np.unpackbits(stream.words(-(-count // 64)).view(np.uint8))[:count]


def _purpose(back: bool) -> str:
    return "circuit back" if back else "circuit"
