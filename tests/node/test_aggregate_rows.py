"""An owner's file as rows of a joint statistic: what counts, what is rejected and why, which columns may be read."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hefu.components.aggregate import AggregateParameters
from hefu.components.aggregate_input import GroupRows, groups_digest, load_groups, save_groups
from hefu.domain.dataset import DataSet
from hefu.node.aggregate_rows import prepare_groups, subject_set
from hefu.node.sources.errors import MappingMissing
from hefu.node.sources.rejects import Rejects

FIELDS = {
    "person": "text",
    "city": "text",
    "kind": "text",
    "amount": "money",
    "day": "date",
    "points": "integer",
}
HEADER = ",".join(FIELDS)


def data_set() -> DataSet:
    return DataSet.model_validate(
        {
            "data_set_id": "payments",
            "owner": "bank",
            "name": "payments",
            "kind": "table",
            "fields": [
                {
                    "name": name,
                    "type": kind,
                    "identifier_class": "none",
                    "sensitive": "none",
                    "grade": "C2",
                    "meaning_zh": name,
                    "meaning_en": name,
                }
                for name, kind in FIELDS.items()
            ],
            "date_field": "day",
            "source_kind": "direct",
            "legal_basis": "contract",
        }
    )


def clauses(**changes: Any) -> AggregateParameters:
    value: dict[str, Any] = {
        "subject": "person",
        "group_by": [
            {"field": "city", "categories": ["北京", "上海"]},
            {"field": "kind", "categories": ["x", "y", "z"]},
        ],
        "value": "amount",
        "release": ["sum"],
    }
    return AggregateParameters.model_validate({**value, **changes})


def prepared(
    folder: Path, lines: list[str], allowed: list[str] | None = None, **changes: Any
) -> tuple[GroupRows, Rejects, int]:
    path = folder / "day.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return prepare_groups(
        path,
        data_set(),
        clauses(**changes),
        allowed=list(FIELDS) if allowed is None else allowed,
        owner="bank",
        batch=1,
        business_date=date(2026, 3, 2),
        work_dir=folder,
    )


def test_rows_of_the_day_are_numbered_as_the_contract_lists_its_groups(tmp_path: Path) -> None:
    rows, rejects, rejected = prepared(
        tmp_path,
        ["a1,北京,x,1.50,2026-03-02,7", "A１,上海, Z ,-2,2026-03-02,8", "b,上海,y,1,2026-03-03,9"],
    )
    labels = [clauses().labels()[g - 1] for g in rows.group.tolist()]
    assert labels == [("北京", "x"), ("上海", "z")]
    assert rows.value.tolist() == [150, -200]
    assert rows.names == ("A1",)
    assert (len(rejects), rejected) == (0, 0)


def test_what_cannot_be_read_is_rejected_with_its_reason(tmp_path: Path) -> None:
    rows, rejects, rejected = prepared(
        tmp_path,
        [
            "a,广州,x,1,2026-03-02,1",
            ",北京,x,1,2026-03-02,1",
            "a,北京,x,many,2026-03-02,1",
            "a,北京,x,1,some day,1",
            "a,北京,x,1,2026-03-02,1",
        ],
    )
    assert [(r.line, r.field, r.reason_code) for r in rejects] == [
        (1, "city", "category_unknown"),
        (2, "person", "missing_value"),
        (3, "amount", "amount_format"),
        (4, "day", "date_format"),
    ]
    assert (len(rows), rejected) == (1, 4)


def test_integers_are_taken_as_they_stand(tmp_path: Path) -> None:
    lines = ["a,北京,x,1,2026-03-02,7", "a,北京,x,1,2026-03-02,7.5"]
    rows, rejects, _ = prepared(tmp_path, lines, value="points")
    assert rows.value.tolist() == [7]
    assert [r.field for r in rejects] == ["points"]


def test_a_column_that_the_contract_does_not_list_is_not_read(tmp_path: Path) -> None:
    lines = ["a,北京,x,1,2026-03-02,7"]
    assert len(prepared(tmp_path, lines, ["person", "city", "kind", "amount"])[0]) == 1
    with pytest.raises(MappingMissing):
        prepared(tmp_path, lines, ["person", "city", "kind"])


def test_texts_are_no_values(tmp_path: Path) -> None:
    with pytest.raises(MappingMissing):
        prepared(tmp_path, [], value="kind", group_by=[{"field": "city", "categories": ["北京"]}])


def test_categories_that_are_one_in_canonical_form_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingMissing):
        prepared(tmp_path, [], group_by=[{"field": "city", "categories": ["a", "Ａ"]}])


def test_kept_rows_come_back_with_their_digest(tmp_path: Path) -> None:
    rows, _, _ = prepared(tmp_path, ["a,北京,x,1,2026-03-02,7", "张三,上海,y,2,2026-03-02,7"])
    save_groups(tmp_path / "kept.npz", rows)
    kept = load_groups(tmp_path / "kept.npz")
    assert kept.names == ("A", "张三")
    assert groups_digest(kept, b"s" * 32) == groups_digest(rows, b"s" * 32)
    other, _, _ = prepared(tmp_path, ["a,北京,x,1,2026-03-02,7", "张三,上海,y,3,2026-03-02,7"])
    assert groups_digest(other, b"s" * 32) != groups_digest(rows, b"s" * 32)


def test_the_set_of_subjects_is_keyed_and_counts_each_once(tmp_path: Path) -> None:
    rows, _, _ = prepared(tmp_path, [f"{name},北京,x,1,2026-03-02,7" for name in "abab"])
    assert len(subject_set(rows, b"k" * 32)) == 2
    assert set(subject_set(rows, b"k" * 32).tolist()).isdisjoint(subject_set(rows, b"l" * 32).tolist())
