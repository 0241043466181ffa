"""Canonical form and parsing as SQL expressions, so that a million rows never pass through Python.

Each function takes a SQL expression (a column's name) and gives one back. docs/canonical-form.md says the same in words;
`tests/sources` checks each against a plain Python twin. Every expression first asks, cheaply, whether the text has the
common shape; regular expressions and `translate` see only the rest. CASE, unlike AND, spares DuckDB the second question.
"""

from __future__ import annotations

from hefu.node.sources.engine import quote_text
from hefu.node.sources.rejects import REASON_NUMBER

FULL_WIDTH = "".join(chr(c) for c in range(0xFF01, 0xFF5F))
HALF_WIDTH = "".join(chr(c - 0xFEE0) for c in range(0xFF01, 0xFF5F))
SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680"
    + "".join(map(chr, range(0x2000, 0x200E)))
    + "\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
)
_ASCII_SPACES = " \t\n\v\f\r"
_LOWER, _UPPER = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

# CJK ideographs have neither width, nor case, nor a composed form: already canonical.
_CANONICAL = r"[0-9A-Z_\-./\x{4e00}-\x{9fa5}]*"
_SCIENTIFIC = r"[+-]?[0-9]+(\.[0-9]+)?E\+[0-9]+"
_AMOUNT = r"[+-]?([0-9]+|[0-9]{1,3}(,[0-9]{3})+)(\.[0-9]{1,2}0*)?"
_DAY = r"[0-9]{4}(-[0-9]{2}-[0-9]{2}|/[0-9]{1,2}/[0-9]{1,2})"
_TIME = r"[T ]([01][0-9]|2[0-3]):[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
_OFFSET = r"(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)"


def _translate(text: str, source: str, target: str) -> str:
    return f"translate({text}, {quote_text(source)}, {quote_text(target)})"


def canonical_text(text: str) -> str:
    """NFC, full-width to half-width, all white space removed, ASCII letters in upper case. NULL becomes ''. Idempotent."""
    source, target = FULL_WIDTH + _LOWER + SPACES, HALF_WIDTH.upper() + _UPPER
    slow = f"nfc_normalize({_translate(f'nfc_normalize({text})', source, target)})"
    spaced = " OR ".join(f"contains({text}, {quote_text(space)})" for space in _ASCII_SPACES)
    return (
        f"CASE WHEN {text} IS NULL THEN '' WHEN strlen({text}) = length({text}) THEN "
        f"CASE WHEN {spaced} THEN upper(regexp_replace({text}, '[\\t-\\r ]+', '', 'g')) ELSE upper({text}) END "
        f"WHEN regexp_full_match({text}, '{_CANONICAL}') THEN {text} ELSE {slow} END"
    )


def is_scientific(text: str) -> str:
    """Is the canonical text a number in a spreadsheet's scientific notation, such as 4.40301E+17?"""
    return f"CASE WHEN contains({text}, 'E+') THEN regexp_full_match({text}, '{_SCIENTIFIC}') ELSE false END"


def amount_text(text: str) -> str:
    """An amount's text reduced to sign, digits and point; what is no amount stays as it is."""
    plain = _translate(text, FULL_WIDTH + "￥¥−" + SPACES, HALF_WIDTH.upper() + "¥¥-")
    bare = f"regexp_replace({plain}, '^(?:¥([+-]?)|([+-]?)¥)', '\\1\\2')"
    return (
        f"CASE WHEN {text} IS NULL THEN '' WHEN {_is_two_decimals(text)} THEN {text} "
        f"WHEN regexp_full_match({bare}, '{_AMOUNT}') THEN replace({bare}, ',', '') ELSE upper({bare}) END"
    )


def _is_two_decimals(text: str) -> str:
    """The text is exactly what a decimal with two places prints: -12.50, but not 12.5, +12.50 or 1e1."""
    return f"coalesce(CAST(TRY_CAST({text} AS DECIMAL(18, 2)) AS VARCHAR) = {text}, false)"


def amount_cents(amount: str) -> str:
    """Cents (BIGINT, NULL when it is no amount or |cents| >= 2^62) of an `amount_text`. Exact: decimals, never floats."""
    exact = f"TRY_CAST(TRY_CAST({amount} AS DECIMAL(38, 2)) * 100 AS BIGINT)"
    return (
        f"CASE WHEN {_is_two_decimals(amount)} THEN CAST(replace({amount}, '.', '') AS BIGINT) "
        f"WHEN regexp_full_match({amount}, '{_AMOUNT}') THEN "
        f"CASE WHEN abs({exact}) < 4611686018427387904 THEN {exact} END END"
    )


def amount_problem(amount: str, cents: str) -> str:
    """Why an `amount_text` gave no cents: a reason's number, 0 for none."""
    return (
        f"CASE WHEN {cents} IS NOT NULL THEN 0 WHEN {amount} = '' THEN {REASON_NUMBER['missing_value']} "
        f"WHEN {is_scientific(amount)} THEN {REASON_NUMBER['scientific_notation']} "
        f"WHEN regexp_full_match({amount}, '{_AMOUNT}') THEN {REASON_NUMBER['amount_out_of_range']} "
        f"ELSE {REASON_NUMBER['amount_format']} END"
    )


def moment_text(text: str) -> str:
    """A date or time in half-width, without outer spaces; YYYYMMDD gets its dashes."""
    plain = f"upper(trim({_translate(text, FULL_WIDTH + SPACES, HALF_WIDTH + ' ' * len(SPACES))}))"
    return (
        f"CASE WHEN {text} IS NULL THEN '' WHEN {_is_local_time(text)} THEN {text} "
        f"WHEN regexp_full_match({plain}, '[0-9]{{8}}') "
        f"THEN regexp_replace({plain}, '^(....)(..)(..)$', '\\1-\\2-\\3') ELSE {plain} END"
    )


def _is_local_time(text: str) -> str:
    """Looks like a time to the second, without an offset or with that of Shanghai."""
    return f"({text} LIKE '____-__-__T__:__:__' OR {text} LIKE '____-__-__T__:__:__+08:00')"


def business_day(moment: str) -> str:
    """The Asia/Shanghai date (DATE, NULL when unreadable) of a `moment_text`; without an offset it is local already."""
    # Cast to TIMESTAMP, DuckDB drops a written offset; cast to TIMESTAMPTZ it applies it.
    local = f"CASE WHEN substr({moment}, 12, 2) < '24' THEN CAST(TRY_CAST(left({moment}, 19) AS TIMESTAMP) AS DATE) END"
    zoned = f"CAST(TRY_CAST({moment} AS TIMESTAMPTZ) AT TIME ZONE 'Asia/Shanghai' AS DATE)"
    return (
        f"CASE WHEN {_is_local_time(moment)} THEN {local} "
        f"WHEN regexp_full_match({moment}, '{_DAY}') THEN TRY_CAST({moment} AS DATE) "
        f"WHEN regexp_full_match({moment}, '{_DAY}{_TIME}') THEN CAST(TRY_CAST({moment} AS TIMESTAMP) AS DATE) "
        f"WHEN regexp_full_match({moment}, '{_DAY}{_TIME}{_OFFSET}') THEN {zoned} END"
    )
