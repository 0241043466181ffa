"""What the actively secure mode opens: coins and values, of which every copy is compared, and the word that all is well.

Each component of a value is held by two parties. Who lacks it takes it from one of them and compares digests with the
other before anything depends on it irrevocably: a single party cannot make an honest one open something else.
A coin is opened by P_i to P_{i+1} only after P_i has received everything that P_{i+1} had to send before; the other copy
follows with the digests. So a party is bound to its messages before it sees the challenge.
Source: Furukawa, Lindell, Nof, Weinstein, EUROCRYPT 2017, sections 2.3 and 3 (opening with hashes, coin tossing).
"""

from __future__ import annotations

import hashlib
import hmac

import numpy as np

from hefu.engine.errors import ResultInvalid
from hefu.engine.prg import KEY_BYTES, Prg
from hefu.engine.rss.party import Party, Words
from hefu.engine.rss.shares import Arithmetic, flat

_DIGEST_WORDS = 4
_WELL = np.uint64(0x6C6C65772073692A)


class CheatingDetected(ResultInvalid):
    """A party did not follow the protocol; nothing was released. Which one did not can't be told from inside."""

    code = "cheating_detected"


class Openings:
    """Opened components in a running digest at both holders and at the one who lacked them."""

    def __init__(self, party: Party) -> None:
        self._party = party
        self._held = hashlib.sha256()
        self._received = hashlib.sha256()

    def coin(self) -> Prg:
        """A stream that all three parties draw anew and nobody can predict or bias (compare before use of what it checked)."""
        op = self._party.begin("coin")
        me = self._party.index
        count = KEY_BYTES // 8
        mine, following = op.stream(me, "coin").words(count), op.stream(me + 1, "coin").words(count)
        key = self.components(mine, following) + mine + following
        return Prg(key.tobytes())

    def value(self, x: Arithmetic) -> Words:
        """The secret, at every party, not compared yet."""
        self._party.begin("verified open")
        return np.asarray(self.components(x.first, x.second) + x.first + x.second)

    def components(self, first: Words, second: Words) -> Words:
        """The component that this party lacks, from the party before it."""
        missing = np.empty(first.shape, dtype=np.uint64)
        self._party.pass_on(flat(first), missing.reshape(-1))
        self._held.update(np.ascontiguousarray(second).data)
        self._received.update(missing.data)
        return missing

    def compare(self) -> None:
        """Everything opened since the last time, with the second holder; raises CheatingDetected."""
        held = np.frombuffer(self._held.digest(), dtype=np.uint64)
        theirs = np.empty(_DIGEST_WORDS, dtype=np.uint64)
        self._party.pass_back(held, theirs)
        if not hmac.compare_digest(theirs.tobytes(), self._received.digest()):
            raise CheatingDetected("two parties gave different copies of an opened value")
        self._held, self._received = hashlib.sha256(), hashlib.sha256()


def settle(party: Party) -> None:
    """When this returns, the party before us has received all that it needed so far: also from the party after us.

    Products go from P_c to P_{c-1} only, but an input of P_c's goes to P_{c+1}. Were P_{c-1} to reveal a coin while P_{c+1}
    still waits, P_c could choose its input by the coin.
    """
    said, heard = np.array([_WELL], dtype=np.uint64), np.empty(1, dtype=np.uint64)
    party.pass_on(said, heard)
    if heard[0] != _WELL:
        raise CheatingDetected("a party's word that it has come so far is garbled")


def confirm(party: Party) -> None:
    """All is well here and, when this returns, at both others. Who found otherwise says so by aborting: raises ChannelError."""
    said = np.array([_WELL], dtype=np.uint64)
    for step in (party.pass_on, party.pass_back):
        heard = np.empty(1, dtype=np.uint64)
        step(said, heard)
        if heard[0] != _WELL:
            raise CheatingDetected("a party's word that all is well is garbled")
