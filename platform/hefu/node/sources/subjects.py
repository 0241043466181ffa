"""Data subjects by keyed hash: one canonical form for a list's line and for a file's column, one token for both.

The form is that of a party id (docs/canonical-form.md) whatever the column is: full width, spaces, case and hyphens make no
difference, a 15-digit ID number is its 18-digit one. The key never leaves the node, so a token tells nothing elsewhere.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from hefu.node.sources import expressions as sql
from hefu.node.sources.engine import Workbench
from hefu.node.sources.party import party_text

_TOKEN_LABEL = b"hefu excluded subject v1\n"


@dataclass(frozen=True, slots=True)
class Exclusions:
    """What keeps subjects out of a job's input: the column that names them, the node's key, the tokens on the list."""

    field: str
    key: bytes
    tokens: frozenset[str]

    def __repr__(self) -> str:
        return f"Exclusions(field={self.field!r}, tokens={len(self.tokens)})"


def subject_token(key: bytes, canonical: str) -> str:
    """HMAC-SHA256 (64 hex digits) of a canonical subject identifier."""
    return hmac.digest(key, _TOKEN_LABEL + canonical.encode(), "sha256").hex()


def canonical_subjects(bench: Workbench, identifiers: Sequence[str]) -> list[str]:
    """Identifiers in canonical form, in their order."""
    table = pa.table({"place": pa.array(range(len(identifiers)), pa.int64()), "line": pa.array(identifiers)})
    bench.connection.register("given_subjects", table)
    try:
        found = bench.connection.execute(
            f"SELECT {party_text('own')} FROM (SELECT place, {sql.canonical_text('line')} AS own FROM given_subjects) "  # noqa: S608
            "ORDER BY place"
        ).fetchall()
    finally:
        bench.connection.unregister("given_subjects")
    return [str(row[0]) for row in found]


def leave_out(bench: Workbench, exclusions: Exclusions) -> tuple[int, frozenset[str]]:
    """Take the rows of excluded subjects out of `parsed` (see `parsing`): neither used nor rejected.

    returns  rows taken out, and the tokens that were found. Each subject is hashed once, however many rows it has
    """
    subjects: Iterable[tuple[str]] = bench.connection.execute(
        "SELECT DISTINCT subject FROM parsed WHERE ok AND subject <> ''"
    ).fetchall()
    met = {subject: subject_token(exclusions.key, subject) for (subject,) in subjects}
    met = {subject: token for subject, token in met.items() if token in exclusions.tokens}
    if not met:
        return 0, frozenset()
    bench.connection.register("left_out", pa.table({"subject": pa.array(sorted(met))}))
    where = "ok AND subject IN (SELECT subject FROM left_out)"
    try:
        rows = bench.connection.execute(f"SELECT count(*) FROM parsed WHERE {where}").fetchall()[0][0]  # noqa: S608
        bench.connection.execute(f"UPDATE parsed SET ok = false WHERE {where}")  # noqa: S608
    finally:
        bench.connection.unregister("left_out")
    return int(rows), frozenset(met.values())
