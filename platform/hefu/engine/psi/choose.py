"""Which intersection protocol for which sets, link and helpers: from cost formulas, with the reason in words.

    choice = choose(1_000_000, 1_000_000, megabits_per_second=100, helper=False)
    choice.protocol, choice.reason          # "rr22", "rr22: about 4.0 s, ..."

Seconds are the slower party's CPU, the bytes on the link and the round trips, added up. CPU figures were measured on one
core of a Zen 4 server (x86-64 with AES and AVX-512); on other machines the order rarely changes, the figures do. All
protocols here are semi-honest and give the receiver the same result; they differ in what they assume (see each one).
The choice depends on the two numbers of items, which both parties tell each other anyway, and on nothing secret.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from hefu.engine.errors import InputInvalid
from hefu.engine.group.ristretto import FAST_POINTS
from hefu.engine.ot.bits import BLOCK_ROWS
from hefu.engine.psi.cuckoo import HASHES, region_bins
from hefu.engine.psi.values import value_bytes

PROTOCOLS = ("ecdh", "kkrt", "rr22", "dealt")
"""Two parties by `ecdh`, `kkrt`, `rr22_two_party`; with a helping node by `dealer`."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one protocol would cost.

    bytes              on all links together
    receiver_seconds, sender_seconds, helper_seconds   CPU of each party
    rounds             times that someone waits for an answer
    """

    protocol: str
    bytes: float
    receiver_seconds: float
    sender_seconds: float
    helper_seconds: float
    rounds: int

    @property
    def cpu_seconds(self) -> float:
        """Of all parties together."""
        return self.receiver_seconds + self.sender_seconds + self.helper_seconds

    def seconds(self, megabits_per_second: float, round_trip_seconds: float) -> float:
        """From beginning to end."""
        slowest = max(self.receiver_seconds, self.sender_seconds, self.helper_seconds)
        return slowest + self.bytes * 8e-6 / megabits_per_second + self.rounds * round_trip_seconds


@dataclass(frozen=True, slots=True)
class Choice:
    """The protocol with the shortest estimated time, why, and what each protocol in question would have cost."""

    protocol: str
    reason: str
    estimates: tuple[Estimate, ...]


def choose(
    receiver_items: int,
    sender_items: int,
    *,
    megabits_per_second: float = 1000.0,
    round_trip_seconds: float = 0.001,
    helper: bool = False,
    cardinality: bool = False,
    available: Collection[str] = PROTOCOLS,
    fast_group: bool = False,
) -> Choice:
    """Pick a protocol.

    receiver_items, sender_items  distinct items of each party
    helper       whether a third node that colludes with neither party can deal
    cardinality  only the number of common items may come out
    available    protocols that both parties have
    fast_group   both have `ristretto.fast()`: eight points at a time
    raises       InputInvalid for impossible numbers, or when no protocol is left
    """
    if receiver_items < 0 or sender_items < 0 or megabits_per_second <= 0 or round_trip_seconds < 0:
        raise InputInvalid("numbers of items, bandwidth and round trip cannot be negative")
    left_out = {}
    for name in PROTOCOLS:
        if name not in available:
            left_out[name] = "not available to both parties"
        elif name == "dealt" and not helper:
            left_out[name] = "no helping node"
        elif cardinality and name != "ecdh":
            left_out[name] = "it would show which items are common, not only how many"
    names = [name for name in PROTOCOLS if name not in left_out]
    if not names:
        raise InputInvalid("no intersection protocol is left: " + _list(left_out))
    estimates = tuple(estimate(name, receiver_items, sender_items, fast_group=fast_group) for name in names)

    def seconds(one: Estimate) -> float:
        return one.seconds(megabits_per_second, round_trip_seconds)

    ranked = sorted(estimates, key=seconds)
    told = [f"{_cost(one)}, about {seconds(one):.3g} s" for one in ranked]
    reason = f"{receiver_items} x {sender_items} items at {megabits_per_second:g} Mbit/s: {told[0]}"
    if len(told) > 1:
        reason += "; slower: " + "; ".join(told[1:])
    if left_out:
        reason += "; left out: " + _list(left_out)
    return Choice(ranked[0].protocol, reason, estimates)


def estimate(protocol: str, receiver_items: int, sender_items: int, *, fast_group: bool = False) -> Estimate:
    """Bytes by each protocol's formula, CPU by measurement; raises InputInvalid for an unknown name."""
    if protocol not in _FORMULAS:
        raise InputInvalid(f"no intersection protocol is called {protocol!r}")
    if not receiver_items or not sender_items:
        return Estimate(protocol, 80.0, 0.0, 0.0, 0.0, 1)
    return _FORMULAS[protocol](receiver_items, sender_items, fast_group)


def _ecdh(r: int, s: int, fast_group: bool) -> Estimate:
    def seconds(own: int, other: int) -> float:
        onto = 7e-6 if fast_group and own >= FAST_POINTS else 55e-6  # hash, map and multiply
        again = 6e-6 if fast_group and other >= FAST_POINTS else 40e-6  # multiply
        return onto * own + again * other

    sent = 32 * (r + s) + value_bytes(r, s) * r
    return Estimate("ecdh", sent, seconds(r, s), seconds(s, r), 0.0, 3)


def _kkrt(r: int, s: int, fast_group: bool) -> Estimate:
    base = 0.07  # 512 base transfers
    rows = HASHES * -(-region_bins(r) // BLOCK_ROWS) * BLOCK_ROWS
    sent = 33_000 + 64 * rows + 3 * value_bytes(r, s) * s
    return Estimate("kkrt", sent, base + 0.55e-6 * r + 0.1e-6 * s, base + 0.15e-6 * r + 0.5e-6 * s, 0.0, 4)


def _rr22(r: int, s: int, fast_group: bool) -> Estimate:
    base = 0.06  # 128 base transfers and the seed of the VOLE
    sent = min(400_000.0, 25_000 + 700.0 * r) + 23.8 * r + value_bytes(r, s) * s
    return Estimate("rr22", sent, base + 0.9e-6 * r + 0.05e-6 * s, base + 0.35e-6 * r + 0.3e-6 * s, 0.0, 8)


def _dealt(r: int, s: int, fast_group: bool) -> Estimate:
    sent = 41.6 * r + value_bytes(r, s) * s
    return Estimate("dealt", sent, 0.45e-6 * r + 0.05e-6 * s, 0.1e-6 * r + 0.3e-6 * s, 0.05e-6 * r, 3)


_FORMULAS: dict[str, Callable[[int, int, bool], Estimate]] = {
    "ecdh": _ecdh,
    "kkrt": _kkrt,
    "rr22": _rr22,
    "dealt": _dealt,
}


def _cost(one: Estimate) -> str:
    return f"{one.protocol}: {one.bytes / 1e6:.3g} MB, {one.cpu_seconds:.3g} s of CPU"


def _list(left_out: dict[str, str]) -> str:
    return ", ".join(f"{name} ({why})" for name, why in left_out.items())
