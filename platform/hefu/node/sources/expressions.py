"""Canonical form and parsing as SQL expressions, so that a million rows never pass through Python.

Each function takes a SQL expression (a column's name) and gives one back. docs/canonical-form.md says the same in words;
`tests/sources` checks each against a plain Python twin.
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
_LOWER, _UPPER = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

# CJK ideographs have neither width, nor case, nor a composed form: already canonical.
_CANONICAL = r"[0-9A-Z_\-./\x{4e00}-\x{9fa5}]*"
_SCIENTIFIC = r"[+-]?[0-9]+(\.[0-9]+)?E\+[0-9]+"
_PLAIN_AMOUNT = r"-?[0-9]{1,15}(\.[0-9]{1,2})?"
_AMOUNT = r"[+-]?([0-9]+|[0-9]{1,3}(,[0-9]{3})+)(\.[0-9]{1,2}0*)?"
_MOMENT = (
    r"[0-9]{4}(-[0-9]{2}-[0-9]{2}|/[0-9]{1,2}/[0-9]{1,2})"
    r"([T ]([01][0-9]|2[0-3]):[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?"
)


def _translate(text: str, source: str, target: str) -> str:
    return f"translate({text}, {quote_text(source)}, {quote_text(target)})"


def canonical_text(text: str) -> str:
    """NFC, full-width to half-width, all white space removed, ASCII letters in upper case. NULL becomes ''. Idempotent."""
    source, target = FULL_WIDTH + _LOWER + SPACES, HALF_WIDTH.upper() + _UPPER
    slow = f"nfc_normalize({_translate(f'nfc_normalize({text})', source, target)})"
    return (
        f"CASE WHEN {text} IS NULL THEN '' WHEN regexp_full_match({text}, '{_CANONICAL}') THEN {text} "
        f"WHEN strlen({text}) = length({text}) THEN upper(regexp_replace({text}, '[\\t-\\r ]+', '', 'g')) ELSE {slow} END"
    )


def is_scientific(text: str) -> str:
    """Is the canonical text a number in a spreadsheet's scientific notation, such as 4.40301E+17?"""
    return f"(contains({text}, 'E+') AND regexp_full_match({text}, '{_SCIENTIFIC}'))"


def amount_text(text: str) -> str:
    """An amount's text reduced to sign, digits and point; what is no amount stays as it is."""
    plain = _translate(text, FULL_WIDTH + "￥¥−" + SPACES, HALF_WIDTH.upper() + "¥¥-")
    bare = f"regexp_replace({plain}, '^(?:¥([+-]?)|([+-]?)¥)', '\\1\\2')"
    return (
        f"CASE WHEN {text} IS NULL THEN '' WHEN regexp_full_match({text}, '{_PLAIN_AMOUNT}') THEN {text} "
        f"WHEN regexp_full_match({bare}, '{_AMOUNT}') THEN replace({bare}, ',', '') ELSE upper({bare}) END"
    )


def amount_cents(amount: str) -> str:
    """Cents (BIGINT, NULL when it is no amount or |cents| >= 2^62) of an `amount_text`. Exact: decimals, never floats."""
    exact = f"TRY_CAST(TRY_CAST({amount} AS DECIMAL(38, 2)) * 100 AS BIGINT)"
    return (
        f"CASE WHEN strlen({amount}) <= 15 AND regexp_full_match({amount}, '{_PLAIN_AMOUNT}') "
        f"THEN CAST(CAST({amount} AS DECIMAL(18, 2)) * 100 AS BIGINT) "
        f"WHEN regexp_full_match({amount}, '{_AMOUNT}') AND abs({exact}) < 4611686018427387904 THEN {exact} END"
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
    basic = f"regexp_replace({text}, '^(....)(..)(..)$', '\\1-\\2-\\3')"
    plain = f"upper(trim({_translate(text, FULL_WIDTH + SPACES, HALF_WIDTH + ' ' * len(SPACES))}))"
    return (
        f"CASE WHEN {text} IS NULL THEN '' WHEN regexp_full_match({text}, '{_MOMENT}') THEN {text} "
        f"WHEN regexp_full_match({text}, '[0-9]{{8}}') THEN {basic} ELSE {plain} END"
    )


def business_day(moment: str) -> str:
    """The Asia/Shanghai date (DATE, NULL when unreadable) of a `moment_text`; without an offset it is local already."""
    # Cast to TIMESTAMP, DuckDB applies a written offset: the result is UTC then, and Shanghai is 8 hours ahead.
    shift = f"regexp_matches({moment}, ':.*(Z|[+-])')"
    stamp = f"TRY_CAST({moment} AS TIMESTAMP)"
    return (
        f"CASE WHEN NOT regexp_full_match({moment}, '{_MOMENT}') THEN NULL WHEN strlen({moment}) <= 10 "
        f"THEN TRY_CAST({moment} AS DATE) WHEN {shift} THEN CAST({stamp} + INTERVAL 8 HOUR AS DATE) "
        f"ELSE CAST({stamp} AS DATE) END"
    )
