"""The receiver against hostile halves: a result or ResultInvalid, never anything else."""

import numpy as np
import pytest
from hefu.components.reconcile import Batch, Status, open_result
from hefu.engine.errors import ResultInvalid
from hefu.engine.halves import Half
from hypothesis import given
from hypothesis import strategies as st

BATCHES = [Batch("i", "institution", 3, 3), Batch("b", "bank", 7, 3)]
BANK, TRANSIT = 1 << 56, 2 << 56


def ref(batch: int, row: int, flags: int = 0) -> int:
    return flags | batch << 40 | row


def halves(
    pairs: list[tuple[int, int]], values: list[int], singles: list[int], conflicts: list[int]
) -> tuple[Half, Half]:
    """N2's share is zero: what N0 holds is what opens. A value is what the two messages differ by."""

    def words(numbers: list[int]) -> np.ndarray:
        return np.array(numbers, dtype=np.uint64)

    pair_refs = np.array(pairs, dtype=np.uint64).reshape(-1, 2)
    rest = [
        np.zeros_like(pair_refs),
        words([0] * len(values)),
        words([0] * len(singles)),
        words([0] * len(conflicts)),
    ]
    return (
        Half(b"s" * 32, b"d" * 32, 0, False, pair_refs, words(values), words(singles), words(conflicts)),
        Half(b"s" * 32, b"d" * 32, 2, False, *rest),
    )


GOOD = (
    [(ref(3, 1), ref(7, 2, BANK)), (ref(7, 1, BANK | TRANSIT), ref(3, 2))],
    [0, 5],
    [ref(3, 3)],
    [ref(7, 9, BANK)],
)


def test_statuses_by_owner_and_row() -> None:
    result = open_result(*halves(*GOOD), BATCHES)
    got = [
        (result.owners[o], int(r), Status(s).label)
        for o, r, s in zip(result.owner, result.row, result.status, strict=True)
    ]
    assert got == [
        ("i", 1, "match"),
        ("i", 2, "amount_mismatch"),
        ("i", 3, "missing_at_bank"),
        ("b", 2, "match"),
        ("b", 9, "token_conflict"),
    ]
    assert result.partner_transit.tolist() == [False, True, False, False, False]


@pytest.mark.parametrize(
    "spoiled",
    [
        ref(4, 3),  # an unknown batch
        ref(3, 3, BANK),  # the wrong side
        ref(3, 0),  # no row
        ref(3, 3, 4 << 56),  # a reserved flag
        ref(3, 1),  # a row twice
        ref(7, 3, BANK),  # one too many of the bank, one too few of the institution
        2**64 - 1,
    ],
)
def test_references_that_cannot_be_are_refused(spoiled: int) -> None:
    pairs, values, _, conflicts = GOOD
    with pytest.raises(ResultInvalid):
        open_result(*halves(pairs, values, [spoiled], conflicts), BATCHES)


def test_missing_and_surplus_references_are_refused() -> None:
    pairs, values, singles, conflicts = GOOD
    for changed in ([], [*singles, ref(3, 4)]):
        with pytest.raises(ResultInvalid):
            open_result(*halves(pairs, values, changed, conflicts), BATCHES)
    with pytest.raises(ResultInvalid):
        open_result(*halves(*GOOD), [])
    with pytest.raises(ResultInvalid):
        open_result(*halves([], [], [], []), BATCHES)


def test_a_pair_of_one_side_is_a_conflict() -> None:
    pairs = [(ref(3, 1), ref(3, 2)), (ref(7, 1, BANK), ref(7, 2, BANK))]
    result = open_result(*halves(pairs, [0, 0], [ref(3, 3), ref(7, 3, BANK)], []), BATCHES)
    assert [Status(s).label for s in result.status] == [
        "token_conflict",
        "token_conflict",
        "missing_at_bank",
        "token_conflict",
        "token_conflict",
        "missing_at_institution",
    ]
    assert (result.partner_owner == -1).all()


WORDS = st.lists(st.integers(0, 2**64 - 1) | st.builds(ref, st.sampled_from([3, 7]), st.integers(0, 4), st.sampled_from([0, BANK, TRANSIT])), max_size=4)  # fmt: skip


@given(WORDS, WORDS, WORDS, WORDS)
def test_any_halves_open_or_are_refused(
    left: list[int], right: list[int], singles: list[int], conflicts: list[int]
) -> None:
    pairs = list(zip(left, right, strict=False))
    try:
        result = open_result(*halves(pairs, [0] * len(pairs), singles, conflicts), BATCHES)
    except ResultInvalid:
        return
    assert len(result.row) <= 6


@given(st.binary(max_size=64))
def test_noise_on_one_half_never_passes(noise: bytes) -> None:
    """A node that sends random shares: references open to nonsense, and are refused."""
    half0, half2 = halves(*GOOD)
    words = np.frombuffer(noise[: len(noise) // 8 * 8], dtype="<u8")[: half2.single_refs.size]
    if not words.size or not words.any():
        return
    changed = {name: getattr(half2, name) for name in Half.__slots__} | {"single_refs": words}
    try:
        result = open_result(half0, Half(**changed), BATCHES)
    except ResultInvalid:
        return
    assert result.row.max() < 1 << 40  # the noise hit a free row of the same owner: 2^40 of 2^64 words do
