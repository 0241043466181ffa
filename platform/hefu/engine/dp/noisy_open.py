"""Opening a shared result that nobody may see without noise.

Each of the three parties draws its part of the noise from its own coins and shares it; the parts are added to the result
and only the sum is opened. 16 bytes an element from each party (8 to one receiver), two rounds.
Who learns what: those to whom it is opened learn the noisy result, and each party what its own part was. Against a
party, the noise that protects is that of the other two: `noise.guarantee(2)`, the full loss for `tolerated` = 1.
Assumes semi-honest parties: one that puts in a wrong part spoils the result (it may also leave its part out: then the
others each face one honest part only, `noise.guarantee(1)`), and one that lies when opening shifts it.
With active security: `active.open_to_all(x + shared_noise(active.party, noise, x.shape))`. A party still chooses its own
part as it likes, but what is opened is then the result plus everybody's parts, or nothing.
The results are ring elements: value and noise must stay within ±2^63, or the sum wraps; the loss holds all the same.
"""

from __future__ import annotations

import numpy as np

from hefu.engine.dp.distributed import SharedNoise
from hefu.engine.errors import InputInvalid
from hefu.engine.rss.opening import open_to, open_to_all
from hefu.engine.rss.party import Party, Words
from hefu.engine.rss.shares import Arithmetic, Shape


def shared_noise(party: Party, noise: SharedNoise, shape: Shape) -> Arithmetic:
    """Shares of the sum of everybody's parts, from fresh coins; nobody learns more than its own part.

    P_j's part is x_j = PRG(k_j), x_{j+1} = part - x_j: component i of the sum is PRG(k_i) and the rest of P_{i-1}.
    raises  InputInvalid when the noise is not planned for three parties, or for fewer numbers
    """
    if noise.parties != len(party.names):
        raise InputInvalid(f"a noise of {noise.parties} parties among {len(party.names)}")
    op = party.begin("noise")
    count = int(np.prod(shape, dtype=np.int64))
    rest = noise.contribution(op.private("part"), count)
    first, second, theirs = (np.empty(count, dtype=np.uint64) for _ in range(3))
    op.stream(party.index, "mask").fill(first)
    op.stream(party.index + 1, "mask").fill(second)
    rest -= first
    party.pass_on(rest, theirs)
    first += theirs
    second += rest
    return Arithmetic(first.reshape(shape), second.reshape(shape))


def noisy_open(party: Party, x: Arithmetic, noise: SharedNoise) -> Words:
    """x plus noise, at every party."""
    return open_to_all(party, x + shared_noise(party, noise, x.shape))


def noisy_open_to(party: Party, x: Arithmetic, noise: SharedNoise, receiver: int) -> Words | None:
    """x plus noise at P_receiver, None at the others."""
    return open_to(party, x + shared_noise(party, noise, x.shape), receiver)
