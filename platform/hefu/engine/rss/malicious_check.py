"""Is every recorded product right? Batch verification in a Galois ring, in messages of logarithmic number.

All products are made into one inner product of shared vectors over GR(2^64, 16)⁴: elementwise products z = x y each with a
random weight, matrix products Z = X Y as (ρᵀX)(Yσ) = ρᵀZσ. Then, until one product is left, the vectors are cut in
halves f0, f1 and g0, g1: with f(T) = f0 + T(f1 - f0) and g likewise, p(T) = <f(T), g(T)> has degree 2, and
p(0) + p(1) is the sum. The parties multiply p(1) and the leading coefficient as in `multiply`, which commits everybody to p, draw a coin β
and go on with f(β), g(β) and p(β). At the end a product of two random secrets joins in as a mask, and the folded one is
opened and recomputed.

A party can add any error to each product, in the computation and in the check; to no avail, because a false claim turns
true only where β is one of the two roots of a nonzero polynomial: in one repetition with probability 2/2¹⁶ each time, so
over all with at most ((2 + 2 + 2·(⌈log₂ n⌉ + 3))/2¹⁶)⁴ for n products: 2⁻⁴³ for n <= 2¹⁴, what is checked at once.
Who learns what: nobody anything; what is opened is uniform, or wrong by what the cheater put in.
Sources: Goyal, Song, Zhu, "Guaranteed Output Delivery Comes Free in Honest Majority MPC", CRYPTO 2020, section 5.1
(dimension reduction); Boyle, Gilboa, Ishai, Nof, CCS 2019 (rings by Galois extension); Freivalds, 1977 (matrix products).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hefu.engine.prg import Prg
from hefu.engine.rss.malicious_coins import CheatingDetected, Openings
from hefu.engine.rss.malicious_ring import (
    DEGREE,
    REPETITIONS,
    bits,
    embedded,
    folded,
    inner_product,
    times_challenge,
)
from hefu.engine.rss.matrix import ring_product
from hefu.engine.rss.multiply import hand_back, reshare
from hefu.engine.rss.party import Party, Words
from hefu.engine.rss.shares import Arithmetic, concatenate

_ELEMENT = (REPETITIONS, DEGREE)


@dataclass(frozen=True, slots=True)
class Claim:
    """Shared vectors (n, 4, 16) and the share (4, 16) of what is said to be their inner product."""

    left: Arithmetic
    right: Arithmetic
    product: Arithmetic


def elementwise_claim(x: Arithmetic, y: Arithmetic, z: Arithmetic, coin: Prg) -> Claim:
    """x, y, z flat and of one length: Σ rₖ xₖ yₖ = Σ rₖ zₖ with random weights."""
    weights = bits(coin.words(x.size))
    return Claim(
        x.each(lambda w: (w[:, None] * weights).reshape(-1, *_ELEMENT)),
        y.each(embedded),
        z.each(lambda w: (w @ weights).reshape(_ELEMENT)),
    )


def matrix_claim(x: Arithmetic, y: Arithmetic, z: Arithmetic, coin: Prg) -> Claim:
    """x (m, k), y (k, n), z (m, n): (ρᵀx)(yσ) = ρᵀzσ, an inner product of length k."""
    rows, columns = bits(coin.words(x.shape[0])), bits(coin.words(y.shape[1]))
    rho = rows.reshape(-1, *_ELEMENT)
    return Claim(
        x.each(lambda w: ring_product(np.ascontiguousarray(w.T), rows).reshape(-1, *_ELEMENT)),
        y.each(lambda w: ring_product(np.ascontiguousarray(w), columns).reshape(-1, *_ELEMENT)),
        z.each(
            lambda w: inner_product(
                rho, ring_product(np.ascontiguousarray(w), columns).reshape(-1, *_ELEMENT)
            )
        ),
    )


def joined(claims: list[Claim]) -> Claim:
    """One claim about the sum. The weights in each are independent, so errors in several don't cancel."""
    product = claims[0].product
    for claim in claims[1:]:
        product = product + claim.product
    return Claim(concatenate([c.left for c in claims]), concatenate([c.right for c in claims]), product)


def verify_claim(party: Party, openings: Openings, claim: Claim) -> None:
    """Raises CheatingDetected unless the inner product is right, except with the probability above.

    Costs 16 words of 8 bytes times 8, and a coin of 16 bytes, to each neighbour for each halving; compares all openings.
    """
    left, right, product = claim.left, claim.right, claim.product
    while left.shape[0] > 1:
        left, right = _even(left), _even(right)
        one, leading = _multiplied(party, left, right)
        challenge = int(openings.coin().words(1)[0])
        left, right = _folded(left, challenge), _folded(right, challenge)
        product = _at(product - one, one, leading, challenge)
    left, right = _with_mask(party, left), _with_mask(party, right)
    one, leading = _multiplied(party, left, right)
    challenge = _nowhere_zero(int(openings.coin().words(1)[0]))
    left, right = _folded(left, challenge), _folded(right, challenge)
    product = _at(product, one, leading, challenge)
    openings.compare()  # the coins: nothing masked by them is opened before
    opened = openings.value(concatenate([left, right, product.reshape((1, *_ELEMENT))]))
    openings.compare()
    if not np.array_equal(inner_product(opened[:1], opened[1:2]), opened[2]):
        raise CheatingDetected("a product is wrong: one of the three parties did not follow the protocol")


def _even(vector: Arithmetic) -> Arithmetic:
    """A vector of even length: a zero more where it is odd."""
    if vector.shape[0] % 2 == 0:
        return vector
    nothing = np.zeros((1, *_ELEMENT), dtype=np.uint64)
    return concatenate([vector, Arithmetic(nothing, nothing)])


def _multiplied(party: Party, left: Arithmetic, right: Arithmetic) -> tuple[Arithmetic, Arithmetic]:
    """Shares of p(1) = <f1, g1> and of the leading coefficient <f1 - f0, g1 - g0>, as honest as their senders."""
    op = party.begin("check")
    half = left.shape[0] // 2
    out = np.stack(
        [
            _local(left[half:], right[half:]),
            _local(left[half:] - left[:half], right[half:] - right[:half]),
        ]
    )
    reshare(op, out)
    both = hand_back(party, out)
    return both[0], both[1]


def _local(f: Arithmetic, g: Arithmetic) -> Words:
    """This party's additive share of <f, g>."""
    return inner_product(f.first, g.first + g.second) + inner_product(f.second, g.first)


def _folded(vector: Arithmetic, challenge: int) -> Arithmetic:
    half = vector.shape[0] // 2
    return vector.each(lambda w: folded(w[:half], w[half:], challenge))


def _at(zero: Arithmetic, one: Arithmetic, leading: Arithmetic, challenge: int) -> Arithmetic:
    """p(β) = p(0) + β (p(1) - p(0) - leading + β leading)."""
    inner = one - zero - leading + leading.each(lambda w: times_challenge(w, challenge))
    return zero + inner.each(lambda w: times_challenge(w, challenge))


def _with_mask(party: Party, vector: Arithmetic) -> Arithmetic:
    """The vector and a random secret that nobody knows."""
    op = party.begin("check mask")
    me = party.index
    first, second = (
        op.stream(key, "mask").words(REPETITIONS * DEGREE).reshape(1, *_ELEMENT) for key in (me, me + 1)
    )
    return concatenate([vector, Arithmetic(first, second)])


def _nowhere_zero(challenge: int) -> int:
    """β = 0 would leave the mask out: where a repetition drew it, β = 1."""
    for r in range(REPETITIONS):
        if not (challenge >> (DEGREE * r)) & ((1 << DEGREE) - 1):
            challenge |= 1 << (DEGREE * r)
    return challenge
