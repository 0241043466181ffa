"""Only what the contract names is read: its fields, and the rows that pass its filter."""

from typing import Any

import pytest
from hefu.domain.rowfilter import parse_row_filter
from hefu.node.sources import canonical
from hefu.node.sources.errors import FieldAbsent, MappingMissing
from hefu.node.sources.selection import project

ROWS = (
    "S1,loan,10.00,ID1,2026-10-01T09:00:00",
    "S2,lease,20.00,ID2,2026-10-01T10:00:00",
    "s3,Loan,\"1,030.50\",ID3,2026-10-01T11:00:00",
    "S4,,40.00,ID4,2026-10-01T12:00:00",
    "S5,loan,much,ID5,2026-10-01T12:00:00",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "rows", "filtered"),
    [
        ("", [1, 2, 3, 4], 0),
        ("type = 'LOAN'", [1, 3], 2),
        ("type IN ('loan', 'lease')", [1, 2, 3], 1),
        ("type != 'loan'", [2, 4], 3),
        ("amount > 20", [3, 4], 3),
        ("amount >= 20.00 AND type = 'loan'", [3], 4),
        ("amount <= 1030.50", [1, 2, 3, 4], 1),
        ("occurred_at < '2026-10-01'", [], 5),
        ("occurred_at = '2026-10-01' AND serial IN ('S3')", [3], 4),
    ],
)
def test_rows_that_pass(write: Any, prepare: Any, text: str, rows: list[int], filtered: int) -> None:
    found = prepare(write(ROWS), row_filter=parse_row_filter(text))
    assert found.rows.row.tolist() == rows
    assert found.filtered_rows == filtered


def test_a_quote_in_a_literal_is_only_a_quote(write: Any, prepare: Any) -> None:
    text = "serial = 'x'' OR 1=1 --'"
    assert prepare(write(ROWS), row_filter=parse_row_filter(text)).rows.row.tolist() == []


def test_without_the_guard_every_row_takes_part(write: Any, prepare: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(canonical, "select_rows", lambda bench, opened, *_: (opened, 0))
    found = prepare(write(ROWS), row_filter=parse_row_filter("type = 'lease'"))
    assert found.rows.row.tolist() == [1, 2, 3, 4]


def test_a_field_outside_the_contract_is_never_read(write: Any, prepare: Any, make_data_set: Any) -> None:
    """Not by its own name, not by a clause that maps it: prepared rows hold nothing of it."""
    whole = make_data_set()
    named = project(whole, ["serial", "amount", "occurred_at"])
    path = write(ROWS)
    assert [f.name for f in named.fields] == ["serial", "amount", "occurred_at"]
    with pytest.raises(MappingMissing, match="party_id"):
        prepare(path, ("serial", "party"), data_set=named)
    with pytest.raises(MappingMissing, match="party_id"):
        prepare(path, ("serial",), data_set=named, columns={"institution": {"serial": "party_id"}})
    with pytest.raises(FieldAbsent, match="type"):
        prepare(path, data_set=named, row_filter=parse_row_filter("type = 'loan'"))
    unprojected = prepare(path, ("serial", "party"), data_set=whole)  # without the projection they are read
    assert b"ID1" in unprojected.rows.key_data.tobytes()
    assert b"ID1" not in prepare(path, data_set=named).rows.key_data.tobytes()


def test_a_field_that_only_the_registered_data_set_has_may_be_missing_in_the_file(
    write: Any, prepare: Any, make_data_set: Any
) -> None:
    named = project(make_data_set(), ["serial", "amount", "occurred_at"])
    path = write(["S1,1.00,2026-10-01"], header="serial,amount,occurred_at")
    assert len(prepare(path, data_set=named).rows) == 1


def test_a_field_of_the_contract_that_is_absent_is_named(make_data_set: Any) -> None:
    with pytest.raises(FieldAbsent, match="region"):
        project(make_data_set(), ["serial", "region"])


def test_a_date_field_outside_the_contract_tells_no_day(write: Any, prepare: Any, make_data_set: Any) -> None:
    named = project(make_data_set(), ["serial", "amount"])
    assert named.date_field is None
    with pytest.raises(MappingMissing, match="occurred_at"):
        prepare(write(ROWS), data_set=named)
