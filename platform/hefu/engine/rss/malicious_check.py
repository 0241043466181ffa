"""Is every recorded product right? Batch verification in a Galois ring, in messages of logarithmic number.

All products are made into one inner product of shared vectors over GR(2^64, 16)⁴: elementwise products z = x y each with a
random weight, matrix products Z = X Y as (ρᵀX)(Yσ) = ρᵀZσ. Then, until one product is left, the vectors are cut in
halves f0, f1 and g0, g1: with f(T) = f0 + T(f1 - f0) and g likewise, p(T) = <f(T), g(T)> has degree 2, and
p(0) + p(1) is the sum. The parties multiply p(1) and the leading coefficient as in `multiply`, which commits everybody to p, draw a coin β
and go on with f(β), g(β) and p(β). At the end a product of two random secrets joins in as a mask, and the folded one is
opened and recomputed.

A party can add any error to each product, in the computation and in the check; to no avail, because a false claim turns
true only where β is one of the two roots of a nonzero polynomial: in one repetition with probability 2/2¹⁶ each time, so
over all with at most ((2 + 2·⌈log₂ n⌉ + 3)/2¹⁶)⁴ for an inner product of length n (2 for the weights, 3 for the last fold,
whose β is not zero): 2⁻⁴⁴ for n <= 2¹³, 2⁻⁴⁰ up to n = 2²⁸.
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
    local_products,
    times_challenge,
    weighed,
)
from hefu.engine.rss.matrix import ring_product
from hefu.engine.rss.multiply import hand_back, reshare
from hefu.engine.rss.party import Party
from hefu.engine.rss.shares import Arithmetic, concatenate

_ELEMENT = (REPETITIONS, DEGREE)


@dataclass(frozen=True, slots=True)
class Claim:
    """Shared vectors (4, 16, n) and the share (4, 16) of what is said to be their inner product.

    The right one may be (n,), of elements of Z_2^64: the first halving is much cheaper on those.
    """

    left: Arithmetic
    right: Arithmetic
    product: Arithmetic


def elementwise_claim(x: Arithmetic, y: Arithmetic, z: Arithmetic, coin: Prg) -> Claim:
    """x, y, z flat and of one length: Σ rₖ xₖ yₖ = Σ rₖ zₖ with random weights."""
    weights = coin.words(x.size)
    return Claim(
        x.each(lambda w: weighed(w, weights)),
        y,
        z.each(lambda w: weighed(w, weights).sum(axis=-1)),
    )


def matrix_claim(x: Arithmetic, y: Arithmetic, z: Arithmetic, coin: Prg) -> Claim:
    """x (m, k), y (k, n), z (m, n): (ρᵀx)(yσ) = ρᵀzσ, an inner product of length k."""
    rows, columns = bits(coin.words(x.shape[0])), bits(coin.words(y.shape[1]))
    rho = rows.reshape(*_ELEMENT, -1)
    return Claim(
        x.each(lambda w: ring_product(rows, w).reshape(*_ELEMENT, -1)),
        y.each(lambda w: ring_product(columns, w.T).reshape(*_ELEMENT, -1)),
        z.each(lambda w: inner_product(rho, ring_product(columns, w.T).reshape(*_ELEMENT, -1))),
    )


def joined(claims: list[Claim]) -> Claim:
    """One claim about the sum. The weights in each are independent, so errors in several don't cancel."""
    product = claims[0].product
    for claim in claims[1:]:
        product = product + claim.product
    return Claim(
        concatenate([c.left for c in claims], axis=-1),
        concatenate([c.right for c in claims], axis=-1),
        product,
    )


def verify_claim(party: Party, openings: Openings, claim: Claim) -> None:
    """Raises CheatingDetected unless the inner product is right, except with the probability above.

    Each party sends 1024 bytes and a coin of 16 bytes for each halving, in two rounds; at the end all openings are compared.
    """
    left, right, product = claim.left, claim.right, claim.product
    while left.shape[-1] > 1:
        left, right = _even(left), _even(right)
        one, leading = _multiplied(party, left, right)
        challenge = int(openings.coin().words(1)[0])
        left, right = _folded(left, challenge), _folded(right, challenge)
        product = _at(product - one, one, leading, challenge)
    if len(right.shape) == 1:
        right = right.each(embedded)
    left, right = _with_mask(party, left), _with_mask(party, right)
    one, leading = _multiplied(party, left, right)
    challenge = _nowhere_zero(int(openings.coin().words(1)[0]))
    left, right = _folded(left, challenge), _folded(right, challenge)
    product = _at(product, one, leading, challenge)
    openings.compare()  # the coins: nothing masked by them is opened before
    opened = openings.value(concatenate([left, right, product.reshape((*_ELEMENT, 1))], axis=-1))
    openings.compare()
    if not np.array_equal(inner_product(opened[..., :1], opened[..., 1:2]), opened[..., 2]):
        raise CheatingDetected("a product is wrong: one of the three parties did not follow the protocol")


def _even(vector: Arithmetic) -> Arithmetic:
    """A vector of even length: a zero more where it is odd."""
    if vector.shape[-1] % 2 == 0:
        return vector
    nothing = np.zeros((*vector.shape[:-1], 1), dtype=np.uint64)
    return concatenate([vector, Arithmetic(nothing, nothing)], axis=-1)


def _multiplied(party: Party, left: Arithmetic, right: Arithmetic) -> tuple[Arithmetic, Arithmetic]:
    """Shares of p(1) = <f1, g1> and of the leading coefficient <f1 - f0, g1 - g0>, as honest as their senders."""
    op = party.begin("check")
    out = local_products(left.first, left.second, right.first, right.second)
    reshare(op, out)
    both = hand_back(party, out)
    return both[0], both[1]


def _folded(vector: Arithmetic, challenge: int) -> Arithmetic:
    return vector.each(lambda w: folded(w, challenge))


def _at(zero: Arithmetic, one: Arithmetic, leading: Arithmetic, challenge: int) -> Arithmetic:
    """p(β) = p(0) + β (p(1) - p(0) - leading + β leading)."""
    inner = one - zero - leading + leading.each(lambda w: times_challenge(w, challenge))
    return zero + inner.each(lambda w: times_challenge(w, challenge))


def _with_mask(party: Party, vector: Arithmetic) -> Arithmetic:
    """The vector and a random secret that nobody knows."""
    op = party.begin("check mask")
    me = party.index
    first, second = (
        op.stream(key, "mask").words(REPETITIONS * DEGREE).reshape(*_ELEMENT, 1) for key in (me, me + 1)
    )
    return concatenate([vector, Arithmetic(first, second)], axis=-1)


def _nowhere_zero(challenge: int) -> int:
    """β = 0 would leave the mask out: where a repetition drew it, β = 1."""
    for r in range(REPETITIONS):
        if not (challenge >> (DEGREE * r)) & ((1 << DEGREE) - 1):
            challenge |= 1 << (DEGREE * r)
    return challenge
