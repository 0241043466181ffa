"""Active security with abort for products and openings: one party that lies is caught before anything is released.

    active = ActiveParty(party)
    z = active.multiply(x, y)
    values = active.open_to_all(z)      # verifies all products so far, opens, compares all copies, then returns

A lie in a product adds an error to it and nothing else; every product is recorded and verified (`malicious_check`) before
the next opening; of every opened component both copies are compared (`malicious_coins`); and nobody returns a value before
all have said that they found nothing wrong. Inputs by a party and linear operations need no check: the two honest
parties' components always make one value. Probability of missing a lie: below 2⁻⁴⁰.
Covers: multiply, matmul, dot, opening to all and to one, of ring elements; AND, OR and opening of bits. Does NOT cover, and
stays semi-honest: truncation (P1 deals; so fixed-point products), conversions between ring elements and bits and all that
uses them (comparison, equality, select), shuffle, sort, group-by, inputs from outside, halves for receivers outside. Mixed with those, their results are not verified.
The cheater may keep the honest parties from a result, or one of the two (abort is not by common consent).
Sources: Araki et al., CCS 2016 (products secure up to an additive error); Lindell, Nof, CCS 2017; see malicious_check.
"""

from __future__ import annotations

import numpy as np

from hefu.engine.rss import multiply as semi_honest
from hefu.engine.rss.malicious_bits import unpacked, verify_ands
from hefu.engine.rss.malicious_check import Claim, elementwise_claim, joined, matrix_claim, verify_claim
from hefu.engine.rss.malicious_coins import CheatingDetected, Openings, confirm, settle
from hefu.engine.rss.party import Party, Words
from hefu.engine.rss.shares import Arithmetic, Bits, broadcast, concatenate, invert

__all__ = ["MAX_BATCH", "ActiveParty", "CheatingDetected"]

MAX_BATCH = 1 << 13
"""How many products are verified at once: about 3 KiB of memory each."""

MAX_BITS = 1 << 16
"""How many ANDs are verified at once: about 200 bytes of memory each."""

_Triple = tuple[Arithmetic, Arithmetic, Arithmetic]


class ActiveParty:
    """A party whose products and openings are verified. All three parties make the same calls in the same order."""

    def __init__(self, party: Party) -> None:
        self.party = party
        self._openings = Openings(party)
        self._products: list[_Triple] = []
        self._matrices: list[_Triple] = []
        self._ands: list[Words] = []
        self._waiting = 0
        self._bits_waiting = 0

    def multiply(self, x: Arithmetic, y: Arithmetic) -> Arithmetic:
        """x * y mod 2^64, element by element; shapes broadcast. To be verified."""
        x, y = broadcast(x, y)
        z = semi_honest.multiply(self.party, x, y)
        self._products.append((_row(x), _row(y), _row(z)))
        self._waiting += x.size
        if self._waiting >= MAX_BATCH:
            self._verify_products()
        return z

    def matmul(self, x: Arithmetic, y: Arithmetic) -> Arithmetic:
        """x @ y mod 2^64 for (m, k) and (k, n). To be verified: the cost grows with m k + k n + m n."""
        z = semi_honest.matmul(self.party, x, y)
        if z.size:
            self._matrices.append((*_not_empty(x, y), z))
        return z

    def dot(self, x: Arithmetic, y: Arithmetic) -> Arithmetic:
        """The inner product of two vectors. To be verified."""
        z = semi_honest.dot(self.party, x, y)
        left, right = _not_empty(x.reshape((1, x.size)), y.reshape((y.size, 1)))
        self._matrices.append((left, right, z.reshape((1, 1))))
        return z

    def both(self, x: Bits, y: Bits) -> Bits:
        """x AND y. To be verified, bit by bit."""
        z = semi_honest.both(self.party, x, y)
        self._ands.append(np.stack([unpacked(bits) for bits in (x, y, z)]).astype(np.uint8))
        self._bits_waiting += x.planes * x.size
        if self._bits_waiting >= MAX_BITS:
            self._verify_ands()
        return z

    def either(self, x: Bits, y: Bits) -> Bits:
        """x OR y, at the price of an AND."""
        return invert(self.party, self.both(invert(self.party, x), invert(self.party, y)))

    def verify(self) -> None:
        """All products so far, here and at the others; raises CheatingDetected or, when another found it, PeerAborted."""
        self._verify_products()
        self._verify_matrices()
        self._verify_ands()
        confirm(self.party)

    def open_to_all(self, x: Arithmetic) -> Words:
        """The secret, at every party, when all products so far and this opening are verified at all of them."""
        self.verify()
        value = self._openings.value(x)
        self._openings.compare()
        confirm(self.party)
        return value

    def open_bits_to_all(self, x: Bits) -> Words:
        """Packed bits, (planes, words), at every party; verified in the same way."""
        self.verify()
        self.party.begin("verified open bits")
        value = self._openings.components(x.first, x.second) ^ x.first ^ x.second
        self._openings.compare()
        confirm(self.party)
        return value

    def open_to(self, x: Arithmetic, receiver: int) -> Words | None:
        """The secret at P_receiver, None at the others; verified in the same way."""
        self.verify()
        self.party.begin("verified open to one")
        value = self._received(x, receiver % 3)
        confirm(self.party)
        return value

    def _received(self, x: Arithmetic, receiver: int) -> Words | None:
        """Both holders of the missing component send it: whole, so that they are compared word by word."""
        party = self.party
        me = (party.index - receiver) % 3
        if me == 2:
            party.send(receiver, np.ascontiguousarray(x.first).reshape(-1))
            return None
        if me == 1:
            party.send(receiver, np.ascontiguousarray(x.second).reshape(-1))
            return None
        copies = np.empty((2, x.size), dtype=np.uint64)
        party.receive(receiver - 1, copies[0])
        party.receive(receiver + 1, copies[1])
        if not np.array_equal(copies[0], copies[1]):
            raise CheatingDetected("two parties gave different copies of an opened value")
        return np.asarray(x.first + x.second + copies[0].reshape(x.shape))

    def _verify_products(self) -> None:
        triples, self._products, self._waiting = self._products, [], 0
        if not any(x.size for x, _, _ in triples):
            return
        x, y, z = (concatenate([triple[i] for triple in triples]) for i in range(3))
        settle(self.party)
        for start in range(0, x.size, MAX_BATCH):
            part = slice(start, start + MAX_BATCH)
            claim = elementwise_claim(x[part], y[part], z[part], self._openings.coin())
            verify_claim(self.party, self._openings, claim)

    def _verify_ands(self) -> None:
        ands, self._ands, self._bits_waiting = self._ands, [], 0
        if not any(part.size for part in ands):
            return
        x, y, z = np.concatenate(ands, axis=2)
        settle(self.party)
        for start in range(0, x.shape[1], MAX_BITS):
            parts = (c[:, start : start + MAX_BITS].astype(np.uint64) for c in (x, y, z))
            verify_ands(self.party, self._openings, *parts)

    def _verify_matrices(self) -> None:
        triples, self._matrices = self._matrices, []
        if not triples:
            return
        settle(self.party)
        claims: list[Claim] = []
        length = 0
        for x, y, z in triples:
            claims.append(matrix_claim(x, y, z, self._openings.coin()))
            length += x.shape[1]
            if length >= MAX_BATCH:
                verify_claim(self.party, self._openings, joined(claims))
                claims, length = [], 0
        if claims:
            verify_claim(self.party, self._openings, joined(claims))


def _not_empty(x: Arithmetic, y: Arithmetic) -> tuple[Arithmetic, Arithmetic]:
    """A matrix product with inner length 0 as one with inner length 1, all zeros: it is to be zero, verifiably."""
    if x.shape[1]:
        return x, y
    column, row = (np.zeros(shape, dtype=np.uint64) for shape in ((x.shape[0], 1), (1, y.shape[1])))
    return Arithmetic(column, column), Arithmetic(row, row)


def _row(x: Arithmetic) -> Arithmetic:
    return x.each(lambda words: np.ascontiguousarray(words).reshape(-1))
