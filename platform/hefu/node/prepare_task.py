"""Parts of a `prepare` task as the readers take them, the same for every component."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from hefu.domain.terms import FieldRange
from hefu.node.sources.quality import Measure, QualityCounts
from hefu.node.sources.readers import Source, StoredFile
from hefu.node.sources.subjects import Exclusions


def source_of(part: dict[str, Any]) -> Source:
    """A day's file, encrypted or in clear."""
    path = Path(part["path"])
    return StoredFile(path, base64.b64decode(part["key"])) if part.get("key") else path


def exclusions_of(given: dict[str, Any] | None) -> Exclusions | None:
    """Whose rows are left out."""
    if given is None:
        return None
    return Exclusions(given["field"], base64.b64decode(given["key"]), frozenset(given["tokens"]))


def measure_of(given: dict[str, Any] | None) -> Measure | None:
    """Which figures of data quality to count."""
    if given is None:
        return None
    ranges = tuple(FieldRange.model_validate(r) for r in given["ranges"])
    return Measure(tuple(given["fields"]), tuple(given["unique"]), ranges)


def counts_of(quality: QualityCounts | None) -> dict[str, Any] | None:
    """The figures as the worker reports them."""
    if quality is None:
        return None
    return {
        "rows": quality.rows,
        "nulls": quality.nulls,
        "distinct": quality.distinct,
        "outside": quality.outside,
        "newest": quality.newest.isoformat() if quality.newest else None,
    }
