"""Two counts of uses: what an honest failure leaves behind, and what nothing honest explains."""

import pytest
from hefu.domain.counts import compare_counts, digest_of
from hefu.domain.verdict import Severity
from hypothesis import given
from hypothesis import strategies as st

JOBS = st.dictionaries(st.sampled_from([f"J{n}" for n in range(6)]), st.integers(0, 3))


def test_equal_counts_say_nothing() -> None:
    assert compare_counts("bank", {"J1": 1, "J2": 2}, {"J2": 2, "J1": 1}, ["J1", "J2"]) == []


def test_a_use_that_the_holder_never_joined_is_noted() -> None:
    (found,) = compare_counts("bank", {"J1": 1, "J2": 1}, {"J1": 1}, ["J1"])
    assert (found.rule, found.severity) == ("uses_not_joined", Severity.NOTE)
    assert (found.seen, found.expected) == ("1", "2")


@pytest.mark.parametrize(
    ("coordinator", "own", "joined", "party", "missing"),
    [
        ({"J1": 1}, {"J1": 1, "J2": 1}, [], "coordinator", "J2"),
        ({"J1": 1}, {"J1": 2}, ["J1"], "coordinator", "J1"),
        ({"J1": 1, "J3": 1}, {"J1": 1, "J2": 1}, ["J1"], "coordinator", "J2"),  # equal numbers, other uses
        ({"J1": 1, "J2": 1}, {"J1": 1}, ["J1", "J2"], "bank", "J2"),
    ],
)
def test_what_nothing_honest_explains(
    coordinator: dict[str, int], own: dict[str, int], joined: list[str], party: str, missing: str
) -> None:
    (found,) = compare_counts("bank", coordinator, own, joined)
    assert (found.rule, found.severity, found.party) == ("use_count_differs", Severity.BLOCK, party)
    assert str(sum(coordinator.values())) in found.seen
    assert str(sum(own.values())) in found.seen
    assert missing in found.message_en
    assert missing in found.message_zh


@given(JOBS, JOBS)
def test_digests_are_equal_where_counts_are(one: dict[str, int], other: dict[str, int]) -> None:
    same = {k: v for k, v in one.items() if v} == {k: v for k, v in other.items() if v}
    assert (digest_of(one) == digest_of(other)) is same
