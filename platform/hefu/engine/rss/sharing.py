"""Secrets come in: from one of the three parties, or from an owner outside who splits them between two of them.

Who learns what: nobody anything beyond the shape, which all three know beforehand.
  a party     8 bytes an element (x_j from k_j, the rest to P_{j+1}, third component zero), one round
  an outsider hands a seed to P_s and x - PRG(seed) to P_{s+1}; the seed goes on to the third party, and so do the masked
              words under a fresh mask: 8 bytes an element and 32, one round
"""

import numpy as np

from hefu.engine.errors import InputInvalid
from hefu.engine.prg import KEY_BYTES, Prg
from hefu.engine.rss.party import Operation, Party, Words
from hefu.engine.rss.shares import Arithmetic, Bits, Shape, flat, words_for
from hefu.engine.session import derive_key

SEED_BYTES = 32


def share_from(party: Party, owner: int, words: Words | None, shape: Shape) -> Arithmetic:
    """Shares of P_owner's ring elements. `words` counts at the owner only.

    raises  InputInvalid when the owner's words don't have the shape
    """
    op = party.begin("share")
    if party.index != owner % 3:
        return _receive_share(op, owner, shape)
    if words is None or words.shape != shape:
        raise InputInvalid(f"the owner was to share an array of shape {shape}")
    first = np.empty(shape, dtype=np.uint64)
    op.stream(owner, "mask").fill(first.reshape(-1))
    second = np.asarray(words - first)
    party.send(owner + 1, second.reshape(-1))
    return Arithmetic(first, second)


def share_bits_from(party: Party, owner: int, planes: Words | None, shape: Shape, count: int = 1) -> Bits:
    """Xor shares of P_owner's packed bits, (count, words_for(n)); `planes` counts at the owner only."""
    op = party.begin("share bits")
    size = (count, words_for(int(np.prod(shape, dtype=np.int64))))
    if party.index != owner % 3:
        found = _receive_share(op, owner, size)
        return Bits(found.first, found.second, shape)
    if planes is None or planes.shape != size:
        raise InputInvalid(f"the owner was to share {count} planes for the shape {shape}")
    first = np.empty(size, dtype=np.uint64)
    op.stream(owner, "mask").fill(first.reshape(-1))
    second = planes ^ first
    party.send(owner + 1, second.reshape(-1))
    return Bits(first, second, shape)


def _receive_share(op: Operation, owner: int, shape: Shape) -> Arithmetic:
    """What P_{owner+1} and P_{owner-1} hold of an input: the masked rest and zero, zero and the mask."""
    filled, nothing = np.empty(shape, dtype=np.uint64), np.zeros(shape, dtype=np.uint64)
    if op.party.index == (owner + 1) % 3:
        op.party.receive(owner, filled.reshape(-1))
        return Arithmetic(filled, nothing)
    op.stream(owner, "mask").fill(filled.reshape(-1))
    return Arithmetic(nothing, filled)


def mask_with_seed(words: Words, seed: bytes) -> Words:
    """At an outside owner: words - PRG(seed). The seed (32 fresh bytes, one use) goes to P_s, this to P_{s+1}, both sealed."""
    return np.asarray(words - _seeded(seed, words.shape))


def share_from_outside(
    party: Party, part: bytes | Words | None, shape: Shape, seed_at: int = 0
) -> Arithmetic:
    """Shares of what an outside owner split: `part` is the seed at P_seed_at, the masked words at the next, None at the third.

    x_s = PRG(seed), the seed passed on from P_s to the third; x_{s+1} = PRG(k_{s+1}); x_{s+2} = masked - x_{s+1}, sent from
    P_{s+1} to the third.
    raises  InputInvalid when the part has another form
    """
    op = party.begin("share from outside")
    s, me = seed_at, (party.index - seed_at) % 3
    if me == 2:
        seed, first = np.empty(SEED_BYTES, dtype=np.uint8), np.empty(shape, dtype=np.uint64)
        party.channel(s).recv_into(seed)
        party.receive(s + 1, first.reshape(-1))
        return Arithmetic(first, _seeded(seed.tobytes(), shape))
    fresh = np.empty(shape, dtype=np.uint64)
    op.stream(s + 1, "share").fill(fresh.reshape(-1))
    if me == 0:
        if not isinstance(part, bytes):
            raise InputInvalid("the first of the two parts of an input is a seed")
        seeded = _seeded(part, shape)
        party.channel(s + 2).send(part)
        return Arithmetic(seeded, fresh)
    if not isinstance(part, np.ndarray) or part.shape != shape or part.dtype != np.uint64:
        raise InputInvalid(f"the second of the two parts of an input is an array of words of shape {shape}")
    rest = np.asarray(part - fresh)
    party.send(s + 2, flat(rest))
    return Arithmetic(fresh, rest)


def share_from_two(party: Party, part: Words | None, shape: Shape, first_at: int = 0) -> Arithmetic:
    """Shares of what two parties hold additively, each part uniform: at P_s (s = first_at) and at the next; None at the third.

    x_s = the part of P_s, handed to the third; x_{s+1} = PRG(k_{s+1}); x_{s+2} = the other part - x_{s+1}, to the third.
    16 bytes an element, one round. Nobody learns anything: the third gets what is uniform to it.
    raises  InputInvalid when the part has another form
    """
    op = party.begin("share from two")
    s, me = first_at, (party.index - first_at) % 3
    if me == 2:
        first, second = np.empty(shape, dtype=np.uint64), np.empty(shape, dtype=np.uint64)
        party.receive(s, second.reshape(-1))
        party.receive(s + 1, first.reshape(-1))
        return Arithmetic(first, second)
    if part is None or part.shape != shape or part.dtype != np.uint64:
        raise InputInvalid(f"a part of an input is an array of words of shape {shape}")
    fresh = np.empty(shape, dtype=np.uint64)
    op.stream(s + 1, "share").fill(fresh.reshape(-1))
    rest = part if me == 0 else np.asarray(part - fresh)
    party.send(s + 2, flat(rest))
    return Arithmetic(rest, fresh) if me == 0 else Arithmetic(fresh, rest)


def _seeded(seed: bytes, shape: Shape) -> Words:
    if len(seed) != SEED_BYTES:
        raise InputInvalid(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
    out = np.empty(shape, dtype=np.uint64)
    Prg(derive_key(seed, b"hefu rss input v1", KEY_BYTES)).fill(out.reshape(-1))
    return out
