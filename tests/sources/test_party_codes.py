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
from hypothesis import given
from hypothesis import strategies as st

EXAMPLE = "11010519491231002X"  # GB 11643-1999's own example


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_workbench() as bench:
        yield bench.connection


def look(connection: duckdb.DuckDBPyConnection, text: str) -> tuple[str, int]:
    query = f"SELECT p, {party_state('p')} FROM (SELECT {party_text('x')} AS p FROM (SELECT CAST(? AS VARCHAR) AS x))"
    party, state = connection.execute(query, [text]).fetchall()[0]
    return party, state


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


@given(st.from_regex(r"[0-9]{17}", fullmatch=True), st.integers(0, 17), st.integers(1, 9))
def test_any_wrong_digit_of_an_id_number(
    connection: duckdb.DuckDBPyConnection, first17: str, place: int, by: int
) -> None:
    good = id_number(first17)
    assert look(connection, good) == (good, VALID)
    if good[place] != "X":
        bad = good[:place] + str((int(good[place]) + by) % 10) + good[place + 1 :]
        credit = all(c in CREDIT_ALPHABET for c in bad) and uscc_check_character(bad[:17]) == bad[17]
        assert look(connection, bad) == (bad, VALID if credit else BAD_CHECKSUM)


@given(st.text(CREDIT_ALPHABET, min_size=17, max_size=17))
def test_credit_codes(connection: duckdb.DuckDBPyConnection, first17: str) -> None:
    good = first17 + uscc_check_character(first17)
    assert look(connection, good) == (good, VALID)


@given(st.text(CODE_ALPHABET, min_size=8, max_size=8), st.sampled_from("0123456789X"))
def test_organisation_codes(connection: duckdb.DuckDBPyConnection, first8: str, last: str) -> None:
    good = organisation_code(first8)
    assert look(connection, good)[1] == VALID
    assert look(connection, first8 + last)[1] == (VALID if last == good[8] else BAD_CHECKSUM)
