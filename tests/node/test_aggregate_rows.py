"""An owner's file as rows of a joint statistic: what counts, what is rejected and why, which columns may be read."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hefu.components.aggregate import AggregateParameters
from hefu.components.aggregate_input import GroupRows, groups_digest
from hefu.domain.dataset import DataSet
from hefu.node.aggregate_rows import PreparedGroups, prepare_groups, subject_set
from hefu.node.kept_groups import load_kept, save_kept
from hefu.node.kept_rows import InputChanged
from hefu.node.sources.errors import MappingMissing
from hefu.node.sources.quality import Measure
from hefu.node.sources.rejects import Rejects
from hefu.node.sources.subjects import Exclusions, subject_token

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
    found = prepared_whole(folder, lines, allowed, **changes)
    return found.rows, found.rejects, found.rejected


def prepared_whole(
    folder: Path,
    lines: list[str],
    allowed: list[str] | None = None,
    exclusions: Exclusions | None = None,
    **changes: Any,
) -> PreparedGroups:
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
        exclusions=exclusions,
        measure=Measure(("person",), ("person",)),
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


def test_kept_rows_come_back_and_others_do_not(tmp_path: Path) -> None:
    salt, key, path = b"s" * 32, b"k" * 32, tmp_path / "kept.npz"
    rows, _, _ = prepared(tmp_path, ["a,北京,x,1,2026-03-02,7", "张三,上海,y,2,2026-03-02,7"])
    save_kept(path, rows, key)
    assert "张三".encode() not in path.read_bytes()
    assert load_kept(path, groups_digest(rows, salt), salt, key).names == ("A", "张三")
    other, _, _ = prepared(tmp_path, ["a,北京,x,1,2026-03-02,7", "张三,上海,y,3,2026-03-02,7"])
    save_kept(path, other, key)
    with pytest.raises(InputChanged):
        load_kept(path, groups_digest(rows, salt), salt, key)


def test_who_withdrew_is_left_out_and_quality_is_counted(tmp_path: Path) -> None:
    lines = ["a,北京,x,1,2026-03-02,7", "b,北京,x,2,2026-03-02,7", "b,上海,x,4,2026-03-02,7"]
    whole = prepared_whole(tmp_path, lines)
    assert (len(whole.rows), whole.excluded_rows) == (3, 0)
    assert whole.quality is not None
    assert (whole.quality.rows, whole.quality.distinct) == (3, {"person": 2})
    token = subject_token(b"e" * 32, "B")
    found = prepared_whole(tmp_path, lines, exclusions=Exclusions("person", b"e" * 32, frozenset([token])))
    assert found.rows.names == ("A",)
    assert (found.excluded_rows, found.excluded, found.rejected) == (2, frozenset([token]), 0)


def test_the_set_of_subjects_is_keyed_and_counts_each_once(tmp_path: Path) -> None:
    rows, _, _ = prepared(tmp_path, [f"{name},北京,x,1,2026-03-02,7" for name in "abab"])
    assert len(subject_set(rows, b"k" * 32)) == 2
    assert set(subject_set(rows, b"k" * 32).tolist()).isdisjoint(subject_set(rows, b"l" * 32).tolist())
