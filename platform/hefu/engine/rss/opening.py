"""Opening: to everybody, to one party, to a receiver outside.

Who learns what: those to whom it is opened learn the value, nobody anything else. 8 bytes an element to each of them,
one round. A semi-honest protocol: a lying party can shift what the others open.
Source: Araki, Furukawa, Lindell, Nof, Ohara, CCS 2016, section 2.
"""

import numpy as np

from hefu.engine.errors import ResultInvalid
from hefu.engine.rss.party import Party, Words
from hefu.engine.rss.shares import Arithmetic, Bits, flat


def open_to_all(party: Party, x: Arithmetic) -> Words:
    """The secret, at every party: each sends its first component to the next."""
    party.begin("open")
    missing = np.empty(x.shape, dtype=np.uint64)
    party.pass_on(flat(x.first), missing.reshape(-1))
    return np.asarray(x.first + x.second + missing)


def open_to(party: Party, x: Arithmetic, receiver: int) -> Words | None:
    """The secret at P_receiver, None at the others."""
    party.begin("open to one")
    missing = _missing(party, x.first, receiver)
    return None if missing is None else np.asarray(x.first + x.second + missing)


def open_bits_to_all(party: Party, x: Bits) -> Words:
    """(planes, words) packed bits, at every party; unpack a plane with `unpack(row, x.shape)`."""
    party.begin("open bits")
    missing = np.empty(x.first.shape, dtype=np.uint64)
    party.pass_on(flat(x.first), missing.reshape(-1))
    return x.first ^ x.second ^ missing


def open_bits_to(party: Party, x: Bits, receiver: int) -> Words | None:
    """Packed bits at P_receiver, None at the others."""
    party.begin("open bits to one")
    missing = _missing(party, x.first, receiver)
    return None if missing is None else x.first ^ x.second ^ missing


def half(party: Party, x: Arithmetic) -> Words | None:
    """What this party hands to a receiver outside: x_0 + x_1 at P0, x_2 at P2, None at P1. To be sealed by the caller."""
    if party.index == 0:
        return np.asarray(x.first + x.second)
    return x.first.copy() if party.index == 2 else None


def join_halves(half0: Words, half2: Words) -> Words:
    """At the receiver: the secret from both halves; raises ResultInvalid when their shapes differ."""
    if half0.shape != half2.shape:
        raise ResultInvalid(f"halves of shapes {half0.shape} and {half2.shape} do not belong together")
    return np.asarray(half0 + half2)


def _missing(party: Party, first: Words, receiver: int) -> Words | None:
    if party.index == (receiver - 1) % 3:
        party.send(receiver, flat(first))
    if party.index != receiver % 3:
        return None
    missing = np.empty(first.shape, dtype=np.uint64)
    party.receive(receiver - 1, missing.reshape(-1))
    return missing
