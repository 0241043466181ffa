"""Shared by the tests of data sources: a data set in the demo's shape, and files that hold it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hefu.components.reconcile import ReconcileParameters
from hefu.domain.dataset import DataSet
from hefu.node.sources.canonical import PreparedRows, prepare_rows
from hefu.node.sources.readers import Source

TYPES = {"serial": "text", "type": "text", "amount": "money", "party_id": "text", "occurred_at": "datetime"}
DAY = date(2026, 10, 1)

MakeDataSet = Callable[..., DataSet]
Write = Callable[..., Path]
Prepare = Callable[..., PreparedRows]


@pytest.fixture(scope="session")
def make_data_set() -> MakeDataSet:
    """A data set with these columns (name -> type)."""

    def make(types: dict[str, str] | None = None, **changes: Any) -> DataSet:
        fields = [
            {
                "name": name,
                "type": kind,
                "identifier_class": "direct" if name == "party_id" else "none",
                "sensitive": "none",
                "grade": "C2",
                "meaning_zh": name,
                "meaning_en": name,
            }
            for name, kind in (types or TYPES).items()
        ]
        return DataSet.model_validate(
            {
                "data_set_id": "DS-1",
                "owner": "institution",
                "name": "业务记录",
                "kind": "business_records",
                "fields": fields,
                "date_field": "occurred_at" if "occurred_at" in (types or TYPES) else None,
                "source_kind": "direct",
                "legal_basis": "contract",
                **changes,
            }
        )

    return make


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A CSV of these rows under the demo's header."""

    def write_rows(rows: Sequence[str], header: str = ",".join(TYPES), name: str = "rows.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
        return path

    return write_rows


@pytest.fixture
def prepare(make_data_set: MakeDataSet, tmp_path: Path) -> Prepare:
    """`prepare_rows` for the institution's day 1 October 2026, unless told otherwise."""

    def run(source: Source, keys: Sequence[str] = ("serial",), **changes: Any) -> PreparedRows:
        clauses = {
            k: changes.pop(k) for k in ("compare", "window_days", "type_codes", "columns") if k in changes
        }
        data_set = changes.pop("data_set", None) or make_data_set()
        asked: dict[str, Any] = {
            "owner": "institution",
            "side": "institution",
            "batch": 0,
            "institutions": ["institution"],
            "business_date": DAY,
            "work_dir": tmp_path,
            **changes,
        }
        return prepare_rows(source, data_set, ReconcileParameters(match_keys=tuple(keys), **clauses), **asked)

    return run
