"""The table `parsed`: one row per row of the source, each field in canonical form, and what is wrong with it.

row_number, day, cents, serial, type, party_id, institution    canonical values
p_<field>     a reason's number where the field cannot be read, else 0
party_state   see `party`
ok            readable, and within the days asked for
bad           not readable
subject       canonical identifier of the row's data subject, where exclusions ask for it; it goes nowhere from here
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np

from hefu.node.sources import expressions as sql
from hefu.node.sources.arrow import numbers
from hefu.node.sources.engine import Workbench
from hefu.node.sources.party import BAD_CHECKSUM, UNKNOWN_FORM, VALID, party_state, party_text
from hefu.node.sources.readers import Opened, reading
from hefu.node.sources.rejects import REASON_NUMBER, Rejects

PROBLEM_FIELDS = ("surplus", "serial", "type", "amount", "party_id", "occurred_at", "institution")
_MISSING = REASON_NUMBER["missing_value"]
_SCIENTIFIC = REASON_NUMBER["scientific_notation"]


def create_parsed(
    bench: Workbench,
    opened: Opened,
    columns: Mapping[str, tuple[str, str]],
    *,
    mandatory: frozenset[str],
    type_codes: Mapping[str, str],
    institutions: Mapping[str, int] | None,
    strict_party: bool,
    days: tuple[date, date] | None,
    subject: str | None = None,
) -> None:
    """Read the whole source once into the temporary table `parsed`.

    mandatory     canonical names that must not be empty
    type_codes    own type code -> common one; a code in neither column of the table is rejected. Empty: codes stay as they are
    institutions  a bank's name of an institution -> its index; None when it is implied
    days          first and last day that take part; None for all
    subject       the view's column that names the data subject; None where nobody asks
    """
    _create_lookup(bench, "type_table", _type_table(bench, type_codes), "VARCHAR")
    _create_lookup(bench, "institution_table", _canonical_keys(bench, institutions or {}), "INTEGER")

    def column(name: str) -> str:
        return columns[name][0] if name in columns else "CAST(NULL AS VARCHAR)"

    texts = ", ".join(
        (
            f"{sql.canonical_text(column('serial'))} AS serial",
            f"{sql.canonical_text(column('type'))} AS own_type",
            f"{sql.canonical_text(column('party_id'))} AS own_party",
            f"{sql.canonical_text(column('institution')) if institutions is not None else repr('')} AS own_institution",
            f"{sql.amount_text(column('amount'))} AS amount",
            f"{sql.moment_text(column('occurred_at'))} AS moment",
            *([f"{sql.canonical_text(subject)} AS own_subject"] if subject else []),
        )
    )
    typed = "coalesce(type_table.value, '') AS type" if type_codes else "own_type AS type"
    values = (
        f"row_number, surplus, serial, own_type, {typed}, {party_text('own_party')} AS party_id, own_party, own_institution, "
        f"institution_table.value AS institution, amount, {sql.amount_cents('amount')} AS cents, moment, "
        f"{sql.business_day('moment')} AS day"
        + (f", {party_text('own_subject')} AS subject" if subject else "")
    )
    problems = _problems(mandatory, bool(type_codes), institutions is not None, strict_party)
    within = f"day BETWEEN DATE '{days[0]}' AND DATE '{days[1]}'" if days else "day IS NOT NULL"
    bad = " + ".join(f"p_{name}" for name in PROBLEM_FIELDS) + " <> 0"
    query = (
        "CREATE OR REPLACE TEMP TABLE parsed AS "  # noqa: S608  expressions are ours, texts are quoted
        f"SELECT * EXCLUDE (bad), bad, NOT bad AND {within} AS ok FROM (SELECT *, {bad} AS bad FROM ("
        f"SELECT row_number, day, cents, serial, type, party_id, institution, party_state, {'subject, ' if subject else ''}"
        f"{problems} FROM ("
        f"SELECT *, {party_state('party_id') if strict_party else VALID} AS party_state FROM ("
        f"SELECT {values} FROM (SELECT row_number, surplus, {texts} FROM {opened.view}) "
        "LEFT JOIN type_table ON own_type = type_table.name "
        "LEFT JOIN institution_table ON own_institution = institution_table.name"
        "))))"
    )
    with reading(opened.name):
        bench.connection.execute(query)


def _problems(mandatory: frozenset[str], mapped: bool, placed: bool, strict_party: bool) -> str:
    def text(name: str, value: str) -> str:
        empty = f"WHEN {value} = '' THEN {_MISSING} " if name in mandatory else ""
        return f"CASE {empty}WHEN {sql.is_scientific(value)} THEN {_SCIENTIFIC} "

    unknown_type = (
        f"WHEN own_type <> '' AND type = '' THEN {REASON_NUMBER['type_unknown']} " if mapped else ""
    )
    strict = (
        f"WHEN party_state = {BAD_CHECKSUM} THEN {REASON_NUMBER['party_checksum']} "
        f"WHEN party_state = {UNKNOWN_FORM} THEN {REASON_NUMBER['party_format']} "
    )
    institution = (
        f"CASE WHEN own_institution = '' THEN {_MISSING} "
        f"WHEN institution IS NULL THEN {REASON_NUMBER['institution_unknown']} ELSE 0 END"
    )
    found = {
        "surplus": f"CASE WHEN surplus THEN {REASON_NUMBER['too_many_columns']} ELSE 0 END",
        "serial": text("serial", "serial") + "ELSE 0 END",
        "type": text("type", "own_type") + unknown_type + "ELSE 0 END",
        "amount": sql.amount_problem("amount", "cents"),
        "party_id": text("party_id", "own_party") + (strict if strict_party else "") + "ELSE 0 END",
        "occurred_at": f"CASE WHEN day IS NOT NULL THEN 0 WHEN moment = '' THEN {_MISSING} "
        f"ELSE {REASON_NUMBER['date_format']} END",
        "institution": institution if placed else "0",
    }
    return ", ".join(f"CAST({found[name]} AS UTINYINT) AS p_{name}" for name in PROBLEM_FIELDS)


def _canonical_keys(bench: Workbench, table: Mapping[str, str] | Mapping[str, int]) -> dict[str, str | int]:
    return {_canonical(bench, name): value for name, value in table.items()}


def _type_table(bench: Workbench, codes: Mapping[str, str]) -> dict[str, str | int]:
    common = {own: _canonical(bench, name) for own, name in codes.items()}
    return {**{name: name for name in common.values()}, **_canonical_keys(bench, common)}


def _canonical(bench: Workbench, text: str) -> str:
    query = f"SELECT {sql.canonical_text('t')} FROM (SELECT CAST(? AS VARCHAR) AS t)"  # noqa: S608
    return str(bench.connection.execute(query, [text]).fetchall()[0][0])


def _create_lookup(bench: Workbench, name: str, table: Mapping[str, str | int], kind: str) -> None:
    bench.connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} (name VARCHAR PRIMARY KEY, value {kind})")
    if table:
        bench.connection.executemany(f"INSERT INTO {name} VALUES (?, ?)", [[k, v] for k, v in table.items()])  # noqa: S608


def party_flags(bench: Workbench) -> dict[date, int]:
    """Day -> readable rows whose party id has a wrong check character or an unknown form."""
    found = bench.connection.execute(
        "SELECT day, CAST(sum(n) AS BIGINT) FROM ("  # noqa: S608
        f"SELECT day, n, {party_state('party_id')} AS state FROM ("
        "SELECT party_id, day, count(*) AS n FROM parsed WHERE NOT bad GROUP BY party_id, day)) "
        f"WHERE state <> {VALID} GROUP BY day"
    ).fetchall()
    return {day: int(rows) for day, rows in found}


def read_rejects(bench: Workbench, name: str, fields: list[str], day: date | None) -> Rejects:
    """What is wrong in `parsed`: of rows of `day` and of rows without a readable day; None for all days."""
    parts = " UNION ALL ".join(
        f"SELECT row_number, CAST({i} AS UTINYINT) AS field, p_{field} AS reason FROM parsed WHERE bad AND p_{field} <> 0"  # noqa: S608
        + (f" AND (day IS NULL OR day = DATE '{day}')" if day else "")
        for i, field in enumerate(PROBLEM_FIELDS)
    )
    found = bench.connection.sql(f"SELECT * FROM ({parts}) ORDER BY row_number, field").to_arrow_table()  # noqa: S608
    return Rejects(
        name,
        fields,
        numbers(found.column("row_number"), np.uint64),
        numbers(found.column("field"), np.uint8),
        numbers(found.column("reason"), np.uint8),
    )
