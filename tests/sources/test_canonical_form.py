"""Canonical form and parsing: golden shapes, laws, and a plain Python twin of the SQL."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import duckdb
import pytest
from hefu.domain.businessdays import business_date
from hefu.node.sources import expressions as sql
from hefu.node.sources.engine import open_workbench
from hefu.node.sources.rejects import REASON_CODES
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_workbench() as bench:
        yield bench.connection


def ask(connection: duckdb.DuckDBPyConnection, expression: str, texts: list[str | None]) -> list[object]:
    """The expression (of column x) on each text, in one query."""
    query = f"SELECT {expression} FROM (SELECT unnest(CAST(? AS VARCHAR[])) AS x)"
    return [row[0] for row in connection.execute(query, [texts]).fetchall()]


def twin(text: str) -> str:
    """The canonical form, in plain Python."""
    half = "".join(
        chr(ord(c) - 0xFEE0) if 0xFF01 <= ord(c) <= 0xFF5E else c for c in unicodedata.normalize("NFC", text)
    )
    bare = "".join(c for c in half if c not in sql.SPACES)
    return unicodedata.normalize("NFC", "".join(c.upper() if c.isascii() else c for c in bare))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("000123", "000123"),
        (" 0001 23\t", "000123"),
        ("００１２", "0012"),
        ("ａｂ－Ｃ", "AB-C"),
        ("abc", "ABC"),
        ("贷款 发放", "贷款发放"),
        ("贷款\u3000发放", "贷款发放"),
        ("e\u0301", "é"),
        ("\u212a12", "K12"),
        ("1\u200b2\ufeff3", "123"),
        ("🙂a", "🙂A"),
        ("straße", "STRAßE"),
        ("a'b\"c", "A'B\"C"),
        ("", ""),
        (None, ""),
    ],
)
def test_text(connection: duckdb.DuckDBPyConnection, text: str | None, canonical: str) -> None:
    assert ask(connection, sql.canonical_text("x"), [text]) == [canonical]


TEXTS = st.text(
    alphabet=st.one_of(
        st.sampled_from("aZ09 -_.,\t\n\r０９ＡｚＺ　￥¥贷款é\u0301\u030aÅ\u212bＥß\u200b\ufeff\xa0ı"),
        st.characters(min_codepoint=1, max_codepoint=0x2FFF, exclude_categories=("Cs", "Cn")),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=60)
@given(st.lists(TEXTS, min_size=1, max_size=20))
def test_text_is_idempotent_and_equals_its_twin(
    connection: duckdb.DuckDBPyConnection, texts: list[str]
) -> None:
    once = ask(connection, sql.canonical_text("x"), list(texts))
    assert once == [twin(text) for text in texts]
    assert ask(connection, sql.canonical_text("x"), once) == once  # type: ignore[arg-type]


def cents_and_reason(connection: duckdb.DuckDBPyConnection, text: str | None) -> tuple[object, object]:
    query = (
        f"SELECT c, {sql.amount_problem('a', 'c')} FROM (SELECT a, {sql.amount_cents('a')} AS c "
        f"FROM (SELECT {sql.amount_text('x')} AS a FROM (SELECT CAST(? AS VARCHAR) AS x)))"
    )
    cents, reason = connection.execute(query, [text]).fetchall()[0]
    return cents, REASON_CODES[reason - 1] if reason else None


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("0", 0), ("12", 1200), ("12.3", 1230), ("12.34", 1234), ("-12.34", -1234), ("+12.34", 1234), ("-0.05", -5),
        ("-0.00", 0), ("007.10", 710), ("12.3400", 1234), ("1,234.56", 123456), ("12,345,678.90", 1234567890),
        ("-1,234", -123400), ("１２３４．５６", 123456), ("－１，２３４．５６", -123456), (" 12.34 ", 1234), ("1 234.50", 123450),
        ("¥12.34", 1234), ("￥ 1,000", 100000), ("-¥3", -300), ("¥-3", -300), ("−5", -500),
        ("46116860184273879.03", 2**62 - 1), ("-46116860184273879.03", 1 - 2**62), ("9999999999999999.99", 999999999999999999),
    ],
)  # fmt: skip
def test_amount(connection: duckdb.DuckDBPyConnection, text: str, cents: int) -> None:
    assert cents_and_reason(connection, text) == (cents, None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "missing_value"), (None, "missing_value"), ("  ", "missing_value"),
        ("1.005", "amount_format"), ("12.341", "amount_format"), ("1,23", "amount_format"), ("1,2345", "amount_format"),
        ("12.", "amount_format"), (".5", "amount_format"), ("1e5", "amount_format"), ("NaN", "amount_format"),
        ("inf", "amount_format"), ("--5", "amount_format"), ("12元", "amount_format"), ("0x10", "amount_format"),
        ("1_000", "amount_format"), ("1.2.3", "amount_format"), ("¥", "missing_value"), ("¥-¥3", "amount_format"),
        ("1.2E+5", "scientific_notation"), ("4.40301E+17", "scientific_notation"), ("4.4e+17", "scientific_notation"),
        ("46116860184273879.04", "amount_out_of_range"), ("-46116860184273879.04", "amount_out_of_range"),
        ("9" * 50, "amount_out_of_range"),
    ],
)  # fmt: skip
def test_no_amount(connection: duckdb.DuckDBPyConnection, text: str | None, reason: str) -> None:
    assert cents_and_reason(connection, text) == (None, reason)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(min_value=1 - 2**62, max_value=2**62 - 1),
    st.sampled_from(["{}", "¥{}", " {} ", "+{}"]),
    st.booleans(),
)
def test_cents_round_trip(connection: duckdb.DuckDBPyConnection, cents: int, form: str, commas: bool) -> None:
    sign, (yuan, rest) = "-" if cents < 0 else "", divmod(abs(cents), 100)
    if sign and form == "+{}":
        form = "{}"
    text = form.format(f"{sign}{yuan:,}.{rest:02d}" if commas else f"{sign}{yuan}.{rest:02d}")
    assert cents_and_reason(connection, text) == (cents, None)


@settings(deadline=None, max_examples=60)
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**14), max_value=10**14, places=4))
def test_never_rounded(connection: duckdb.DuckDBPyConnection, value: Decimal) -> None:
    exact = value * 100
    expected = (int(exact), None) if exact == int(exact) else (None, "amount_format")
    assert cents_and_reason(connection, f"{value:f}") == expected


def day_of(connection: duckdb.DuckDBPyConnection, text: str | None) -> object:
    query = f"SELECT {sql.business_day('m')} FROM (SELECT {sql.moment_text('x')} AS m FROM (SELECT CAST(? AS VARCHAR) AS x))"
    return connection.execute(query, [text]).fetchall()[0][0]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-10-01", "2026-10-01"),
        ("2026-10-01T07:30:00", "2026-10-01"),  # 07:30 in Beijing, still 30 September in UTC
        ("2026-10-01T07:30:00+08:00", "2026-10-01"),
        ("2026-10-01T00:00:00+08:00", "2026-10-01"),
        ("2026-09-30T23:30:00Z", "2026-10-01"),
        ("2026-09-30T15:59:59Z", "2026-09-30"),
        ("2026-09-30 16:00:00+00", "2026-10-01"),
        ("2026-10-01T00:30:00.123456+0900", "2026-09-30"),
        ("2026-10-01T23:59:59.999999", "2026-10-01"),
        ("2026-10-01 07:30", "2026-10-01"),
        ("2026-10-03T12:00:00", "2026-10-03"),  # a Saturday
        ("2026-12-31T16:00:00Z", "2027-01-01"),
        ("20261001", "2026-10-01"),
        ("2026/10/1", "2026-10-01"),
        ("2026/10/01 07:30:00", "2026-10-01"),
        ("２０２６－１０－０１", "2026-10-01"),
        ("  2026-10-01  ", "2026-10-01"),
        ("2024-02-29", "2024-02-29"),
    ],
)
def test_day(connection: duckdb.DuckDBPyConnection, text: str, day: str) -> None:
    assert day_of(connection, text) == date.fromisoformat(day)


@pytest.mark.parametrize(
    "text",
    [
        "", None, "today", "infinity", "epoch", "2026-02-29", "2026-13-01", "2026-10-32", "2026-10-01T24:00:00",
        "2026-10-01T25:00:00", "2026-10-01T07:60:00", "2026-10-01T07:30:61", "2026-10-01T07:30:00+25:00", "01/10/2026",
        "2026-10-01X07:30:00", "2026-10-01T07:30:00 UTC", "2026-10-01T0a:30:00", "46296", "26-10-01", "2026-10",
    ],
)  # fmt: skip
def test_no_day(connection: duckdb.DuckDBPyConnection, text: str | None) -> None:
    assert day_of(connection, text) is None


OFFSETS = st.one_of(
    st.none(),
    st.just(UTC),
    st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


@settings(deadline=None, max_examples=60)
@given(
    st.datetimes(min_value=datetime(1992, 1, 1), max_value=datetime(2199, 12, 30)),
    OFFSETS,
    st.sampled_from("T "),
)
def test_day_equals_its_twin(
    connection: duckdb.DuckDBPyConnection, moment: datetime, zone: timezone | None, separator: str
) -> None:
    aware = moment.replace(tzinfo=zone)
    assert day_of(connection, aware.isoformat(sep=separator)) == business_date(aware)
    assert day_of(connection, aware.isoformat(sep=separator, timespec="seconds")) == business_date(aware)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("4.40301E+17", True),
        ("4E+17", True),
        ("-1.5E+05", True),
        ("1E5", False),
        ("AE+1", False),
        ("E+1", False),
        ("", False),
    ],
)
def test_scientific(connection: duckdb.DuckDBPyConnection, text: str, found: bool) -> None:
    assert ask(connection, sql.is_scientific("x"), [text]) == [found]
