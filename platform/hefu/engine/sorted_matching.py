"""Match rows of equal tokens by sorting on replicated shares: design S, three nodes that learn nothing but the number of rows.

Row = 4 words: sort key, token, value, reference, shared additively: `share` at N0 and the rest at N1. The sort key is a
prefix of the token and then the owner's number, below 2^63: keys differ although tokens meet, so that what the sort opens
is the same whatever the rows are.
    N0, N1 re-share to replicated form; the three shuffle under three permutations and sort by the sort key.
    same_i  = token i = token i + 1            equal_i = same_i and value i = value i + 1
    reveal: difference_i = same_i * (value i - value i + 1)
    N0 and N2 hand their components of references, bits and differences to the receiver: their halves.
Who learns what: the nodes the number of rows; the receiver what design F gives it. Semi-honest, no two collude.
An owner that repeats a token shows the nodes, by equal keys, that two shuffled rows are alike: its own doing, its own loss.
Two different tokens of equal prefix may come to stand between two rows that belong together, which then count as missing:
probability at most n^2 / 2^(prefix bits + 1), 4 in 10^7 for two owners of 10^6 rows each.
Sources: Araki et al., CCS 2016; Hamada et al., ICISC 2012 (quicksort after a shuffle).
"""

from __future__ import annotations

import numpy as np

from hefu.engine.channel import ChannelSet
from hefu.engine.errors import InputInvalid
from hefu.engine.matching import WORDS, Nodes, Progress, Share, agree, verify_transcripts
from hefu.engine.rss.compare import equal, is_zero
from hefu.engine.rss.convert import to_arithmetic
from hefu.engine.rss.multiply import both, multiply
from hefu.engine.rss.order import ascending
from hefu.engine.rss.party import Party
from hefu.engine.rss.shares import Arithmetic, Bits
from hefu.engine.rss.sharing import share_from_two
from hefu.engine.rss.shuffle import shuffle
from hefu.engine.rss.sort import HiddenKeys
from hefu.engine.session import Session
from hefu.engine.sorted_halves import SortedHalf

_KEY, _TOKEN, _VALUE, _REF = range(WORDS)


def match_sorted(
    session: Session,
    channels: ChannelSet,
    nodes: Nodes,
    share: Share | None,
    rows: int,
    plan: bytes,
    reveal: bool,
    progress: Progress,
) -> SortedHalf | None:
    """One node's part; the half at N0 and N2, None at N1.

    share   (rows, 4) at N0 and the rest at N1, None at N2
    plan    32 bytes on which the three must agree
    """
    with channels.abort_on_error():
        party = Party(session, channels, nodes)
        if (share is None) != (party.index == 2) or (share is not None and share.shape != (rows, WORDS)):
            raise InputInvalid(f"N0 and N1 bring ({rows}, {WORDS}) words each, N2 brings none")
        first, second = (
            name for name in nodes if name != session.party
        )  # one order for all, or a ring waits for itself
        peers = (first, second)
        agree(channels, peers, plan)
        progress("shuffle", 0, rows)
        table = share_from_two(party, share, (rows, WORDS))
        progress("sort", 0, rows)
        table = _sorted(party, shuffle(party, table))
        progress("compare", 0, rows)
        token, value, refs = (table[:, column] for column in (_TOKEN, _VALUE, _REF))
        apart = value[:-1] - value[1:]
        same = equal(party, token[:-1], token[1:])
        matched = both(party, same, is_zero(party, apart))
        differences = multiply(party, to_arithmetic(party, same), apart) if reveal else None
        progress("compare", rows, rows)
        verify_transcripts(channels, peers)
        return _half(party, reveal, refs, same, matched, differences)


def _sorted(party: Party, table: Arithmetic) -> Arithmetic:
    """The shuffled rows by increasing sort key; the comparisons that are opened are those of a uniform permutation."""
    order = ascending(np.arange(table.shape[0]), HiddenKeys(party, [table[:, _KEY]]).below)
    return table.each(lambda words: words[order])


def _half(
    party: Party,
    reveal: bool,
    refs: Arithmetic,
    same: Bits,
    matched: Bits,
    differences: Arithmetic | None,
) -> SortedHalf | None:
    """x_0 + x_1 (or xor) at N0, x_2 at N2."""
    if party.index == 1:
        return None

    def words(x: Arithmetic) -> Share:
        return np.ascontiguousarray(x.first + x.second if party.index == 0 else x.first)

    def bits(x: Bits) -> Share:
        return np.ascontiguousarray((x.first ^ x.second if party.index == 0 else x.first)[0])

    given = np.zeros(0, dtype=np.uint64) if differences is None else words(differences)
    return SortedHalf(
        party.session.session_id, party.index, reveal, words(refs), bits(same), bits(matched), given
    )
