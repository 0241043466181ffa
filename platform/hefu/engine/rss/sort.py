"""Sort of secret rows by secret keys, and the rows with the smallest or largest keys.

The rows take their index along as a secret column, are shuffled, and keys made distinct by that index are compared and the
outcomes opened. Because the order after the shuffle is uniform and no two keys are equal, the opened bits are those of a
uniform permutation whatever the keys: they tell nothing, not even about equal keys. A tie-break that is public, or taken
after the shuffle, would give away the sizes of groups of equal keys.
Key range: keys and index are packed into signed words of 63 bits. In one word, 63 - ceil(log2 n) bits are left to the keys
(46 for 10^5 rows); wider keys take a second word, at about twice the cost. Each key's width is the caller's promise:
no one can check it on shares, and a key out of it sorts wrongly without notice.
Who learns what: nobody anything beyond n, the keys' widths and the number of columns.
Stable: equal keys keep their order. Cost: 32 (w + 1) bytes a row for the shuffle, 68.4 bytes a comparison.
Source: Hamada, Kikuchi, Ikarashi, Chida, Takahashi, "Practically efficient multi-party sorting protocols from comparison
sort algorithms", ICISC 2012.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid
from hefu.engine.rss.compare import is_zero, msb
from hefu.engine.rss.multiply import both
from hefu.engine.rss.opening import open_bits_to_all
from hefu.engine.rss.order import Positions, ascending, smallest
from hefu.engine.rss.party import Party, Words
from hefu.engine.rss.shares import Arithmetic, Bits, add_public, flat, public, unpack
from hefu.engine.rss.shuffle import shuffle, with_columns

WORD_BITS = 63
_BATCH = 1 << 18


@dataclass(frozen=True, slots=True)
class Key:
    """Sort by this column, which holds signed integers of so many bits: -2^(bits-1) <= value < 2^(bits-1)."""

    column: int
    bits: int
    descending: bool = False


def index_bits(count: int) -> int:
    """ceil(log2 n): what the tie-break takes of a word."""
    return max(count - 1, 0).bit_length()


def sort(party: Party, rows: Arithmetic, keys: Sequence[Key]) -> Arithmetic:
    """The rows by increasing (or decreasing) keys, the first key first; stable.

    rows    (n, w) shares
    raises  InputInvalid when a key's column or width does not fit
    """
    shuffled, hidden = _shuffled(party, rows, keys)
    order = ascending(np.arange(rows.shape[0]), hidden.below)
    return shuffled.each(lambda words: words[order])


def first_rows(party: Party, rows: Arithmetic, keys: Sequence[Key], k: int) -> Arithmetic:
    """The first k rows of the sorted ones, in order, without sorting the others: about 1.1 n comparisons for small k.

    raises  InputInvalid unless 0 <= k <= n
    """
    if not 0 <= k <= rows.shape[0]:
        raise InputInvalid(f"there are {rows.shape[0]} rows, not {k}")
    shuffled, hidden = _shuffled(party, rows, keys)
    order = smallest(np.arange(rows.shape[0]), k, hidden.below)
    return shuffled.each(lambda words: words[order])


def key_words(party: Party, rows: Arithmetic, keys: Sequence[Key]) -> tuple[list[Arithmetic], int]:
    """The keys packed into as few signed words as possible, the most significant first, and the bits used of the last one.

    Rows with equal keys have equal words.
    raises  InputInvalid when a key's column or width does not fit, or there is no key
    """
    words: list[Arithmetic] = []
    used = WORD_BITS
    for key in keys:
        if not 0 <= key.column < rows.shape[1]:
            raise InputInvalid(f"rows of {rows.shape[1]} columns have no column {key.column}")
        if not 1 <= key.bits <= WORD_BITS:
            raise InputInvalid(f"a key has 1 to {WORD_BITS} bits, not {key.bits}")
        value = rows[:, key.column]
        if key.descending:
            value = add_public(party, -value, np.uint64(0xFFFFFFFFFFFFFFFF))  # -v - 1 keeps the range
        if used + key.bits > WORD_BITS:
            words.append(value)
            used = key.bits
            continue
        offset = add_public(party, value, np.uint64(1 << (key.bits - 1)))
        words[-1] = words[-1].scale(np.uint64(1 << key.bits)) + offset
        used += key.bits
    if not words:
        raise InputInvalid("a sort needs a key")
    return words, used


def _shuffled(party: Party, rows: Arithmetic, keys: Sequence[Key]) -> tuple[Arithmetic, HiddenKeys]:
    """The rows and their distinct keys, in one secret order."""
    if len(rows.shape) != 2:
        raise InputInvalid(f"a sort takes rows of columns, not the shape {rows.shape}")
    n, width = rows.shape
    key_words(party, rows[:0], keys)  # refuses before anything is sent
    index = public(party, np.arange(n, dtype=np.uint64))
    mixed = shuffle(party, with_columns(rows, index))
    words, used = key_words(party, mixed, keys)
    if used + index_bits(n) <= WORD_BITS:
        words[-1] = words[-1].scale(np.uint64(1 << index_bits(n))) + mixed[:, width]
    else:
        words.append(mixed[:, width])
    return mixed[:, :width], HiddenKeys(party, words)


class HiddenKeys:
    """Keys in a secret order, of which comparisons are opened. Distinct, or the opened bits tell about equal ones."""

    def __init__(self, party: Party, words: Sequence[Arithmetic]) -> None:
        self._party = party
        self._parts = [_summand(party, word) for word in words]

    def below(self, left: Positions, right: Positions) -> NDArray[np.bool_]:
        """Opens key[left] < key[right], in batches that stay in the cache."""
        out = np.empty(len(left), dtype=np.bool_)
        for start in range(0, len(left), _BATCH):
            span = slice(start, start + _BATCH)
            out[span] = self._below(left[span], right[span])
        return out

    def _below(self, left: Positions, right: Positions) -> NDArray[np.bool_]:
        party, count = self._party, len(left)
        differences = [_from_summand(party, part[left] - part[right]) for part in self._parts]
        if len(differences) == 1:
            answer = msb(party, differences[0])
        else:
            answer = _lexicographic(party, differences)
        return unpack(open_bits_to_all(party, answer)[0], (count,))


def _summand(party: Party, word: Arithmetic) -> Words:
    """All that a comparison asks of a shared word (see `summands`): x_0 + x_1 at P0, x_2 at the others."""
    return flat({0: word.first + word.second, 1: word.second, 2: word.first}[party.index])


def _from_summand(party: Party, part: Words) -> Arithmetic:
    """The same where a comparison looks for it; half as many words to pick and subtract."""
    nothing = np.zeros(len(part), dtype=np.uint64)
    return Arithmetic(nothing, part) if party.index == 1 else Arithmetic(part, nothing)


def _lexicographic(party: Party, differences: Sequence[Arithmetic]) -> Bits:
    """Whether the first word that is not zero is negative."""
    count = differences[0].size
    padded = -(-count // 64) * 64
    stacked = np.zeros((2, len(differences), padded), dtype=np.uint64)
    for number, difference in enumerate(differences):
        stacked[0, number, :count], stacked[1, number, :count] = difference.first, difference.second
    every = Arithmetic(stacked[0].reshape(-1), stacked[1].reshape(-1))
    negative = msb(party, every)
    zero = is_zero(party, every[:-padded])
    width = padded // 64

    def word(bits: Bits, number: int) -> Bits:
        columns = slice(number * width, (number + 1) * width)
        return Bits(bits.first[:, columns], bits.second[:, columns], (count,))

    answer = word(negative, len(differences) - 1)
    for number in reversed(range(len(differences) - 1)):
        answer = word(negative, number) ^ both(party, word(zero, number), answer)
    return answer
