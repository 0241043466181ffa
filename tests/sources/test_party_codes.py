"""ID numbers and organisation codes: published examples, and every wrong character found."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
from hefu.domain.identity import uscc_check_character
from hefu.local.sample import id_number
from hefu.node.sources.engine import open_workbench
from hefu.node.sources.party import (
    BAD_CHECKSUM,
    CODE_ALPHABET,
    CODE_WEIGHTS,
    CREDIT_ALPHABET,
    UNKNOWN_FORM,
    VALID,
    party_state,
    party_text,
)
from hypothesis import given, settings
from hypothesis import strategies as st

EXAMPLE = "11010519491231002X"  # GB 11643-1999's own example


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_workbench() as bench:
        yield bench.connection


def look_at(connection: duckdb.DuckDBPyConnection, texts: list[str]) -> list[tuple[str, int]]:
    query = f"SELECT p, {party_state('p')} FROM (SELECT {party_text('x')} AS p FROM (SELECT unnest(CAST(? AS VARCHAR[])) AS x))"
    return connection.execute(query, [texts]).fetchall()


def look(connection: duckdb.DuckDBPyConnection, text: str) -> tuple[str, int]:
    return look_at(connection, [text])[0]


def organisation_code(first8: str) -> str:
    total = 11 - sum(CODE_ALPHABET.index(c) * w for c, w in zip(first8, CODE_WEIGHTS, strict=True)) % 11
    return first8 + {10: "X", 11: "0"}.get(total, str(total))


@pytest.mark.parametrize(
    ("text", "canonical", "state"),
    [
        (EXAMPLE, EXAMPLE, VALID),
        ("440524188001010014", "440524188001010014", VALID),  # GB 11643-1999's second example
        ("110105491231002", EXAMPLE, VALID),  # the old form of the first
        ("110105194912310021", "110105194912310021", BAD_CHECKSUM),
        ("91110000100000000X", "91110000100000000X", BAD_CHECKSUM),
        ("D2143569X", "D2143569X", VALID),  # GB 11714-1997's example
        ("D2143569-X", "D2143569X", VALID),
        ("D21435690", "D21435690", BAD_CHECKSUM),
        ("91350100M000100Y43", "91350100M000100Y43", VALID),  # GB 32100-2015's example
        ("91350100M000100Y44", "91350100M000100Y44", BAD_CHECKSUM),
        ("91350100I000100Y43", "91350100I000100Y43", UNKNOWN_FORM),  # the letter I is not in the alphabet
        ("", "", VALID),
        ("E12345678901", "E12345678901", UNKNOWN_FORM),
        ("11010519491231002", "11010519491231002", UNKNOWN_FORM),  # a digit is lost
        ("11010519491231002XX", "11010519491231002XX", UNKNOWN_FORM),
    ],
)
def test_examples(connection: duckdb.DuckDBPyConnection, text: str, canonical: str, state: int) -> None:
    assert look(connection, text) == (canonical, state)


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.from_regex(r"[0-9]{17}", fullmatch=True), min_size=1, max_size=30),
    st.integers(0, 16),
    st.integers(1, 9),
)
def test_any_wrong_digit_of_an_id_number(
    connection: duckdb.DuckDBPyConnection, firsts: list[str], place: int, by: int
) -> None:
    good = [id_number(first17) for first17 in firsts]
    assert look_at(connection, good) == [(number, VALID) for number in good]
    bad = [n[:place] + str((int(n[place]) + by) % 10) + n[place + 1 :] for n in good]
    credit = [all(c in CREDIT_ALPHABET for c in n) and uscc_check_character(n[:17]) == n[17] for n in bad]
    assert look_at(connection, bad) == [
        (n, VALID if c else BAD_CHECKSUM) for n, c in zip(bad, credit, strict=True)
    ]


@settings(deadline=None, max_examples=20)
@given(st.lists(st.text(CREDIT_ALPHABET, min_size=17, max_size=17), min_size=1, max_size=30))
def test_credit_codes(connection: duckdb.DuckDBPyConnection, firsts: list[str]) -> None:
    good = [first17 + uscc_check_character(first17) for first17 in firsts]
    assert look_at(connection, good) == [(code, VALID) for code in good]


@settings(deadline=None, max_examples=20)
@given(st.lists(st.text(CODE_ALPHABET, min_size=8, max_size=8), min_size=1, max_size=10))
def test_organisation_codes(connection: duckdb.DuckDBPyConnection, firsts: list[str]) -> None:
    every = [first8 + last for first8 in firsts for last in "0123456789X"]
    good = {organisation_code(first8) for first8 in firsts}
    assert look_at(connection, every) == [(code, VALID if code in good else BAD_CHECKSUM) for code in every]
