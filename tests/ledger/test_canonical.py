"""One value, one sequence of bytes: twins with the reference implementation, and everything that is refused."""

import enum

import pytest
import rfc8785
from hefu_ledger import canonical
from hefu_ledger.errors import NotCanonical
from hypothesis import given
from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
KEYS = st.text(st.characters(max_codepoint=127, exclude_characters="\0"))
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=30,
)


@given(VALUES)
def test_agrees_with_the_reference(value):
    assert canonical.encode(value) == rfc8785.dumps(value)


@given(VALUES)
def test_reads_what_it_writes(value):
    assert canonical.decode(canonical.encode(value)) == value


@given(VALUES, st.data())
def test_another_spelling_is_refused(value, data):
    good = canonical.encode(value)
    place = data.draw(st.integers(0, len(good)))
    spelling = (
        good[:place]
        + data.draw(st.sampled_from([b" ", b"\n", b"\t", b"0", b"+", b"\xef\xbb\xbf"]))
        + good[place:]
    )
    try:
        other = canonical.decode(spelling)
    except NotCanonical:
        return
    assert other != value


def test_nfc_and_nfd_are_two_values():
    assert canonical.encode("\u00e9") != canonical.encode("e\u0301")


@pytest.mark.parametrize(
    "value",
    [
        0.5, -0.0, 1.0, float("nan"), float("inf"), 2**53, -(2**53), 2**70, "\ud800", {"a": "\udfff"}, "a\0b",
        {1: 2}, {"é": 1}, {None: 1}, {"a\0": 1}, b"bytes", {1, 2}, object(), [[float("nan")]],
    ],
    ids=lambda value: "object" if type(value) is object else repr(value),
)  # fmt: skip
def test_no_canonical_form(value):
    with pytest.raises(NotCanonical):
        canonical.encode(value)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}', b'{"a":1,"a":2}', b'{"b":1,"a":2}', b'{"a": 1}', b"1.0", b"1e3", b"-0", b"-0.0", b"NaN",
        b"9007199254740992", b"01", b'"\\u0041"', b'"\\ud800"', b'"\\u0000"', b'"\\/"', b"", b"{}{}", b"[1,]",
        b"\xff", b'{"\xc3\xa9":1}', b"\xef\xbb\xbf1", b'"\x01"', b"[" * 65 + b"]" * 65, b"[" * 100_000,
    ],
    ids=lambda data: repr(data[:20]),
)  # fmt: skip
def test_not_canonical(data):
    with pytest.raises(NotCanonical):
        canonical.decode(data)


def test_deep_values_are_refused_before_the_stack_ends():
    value: list = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(NotCanonical):
        canonical.encode(value)


def test_text_enumerations_are_their_text():
    class Kind(enum.StrEnum):
        STARTED = "started"

    assert canonical.encode({"kind": Kind.STARTED}) == b'{"kind":"started"}'
