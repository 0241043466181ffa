"""From a file to the rows that are shared: keys, occurrences, window, sums, institutions, rejects; against a plain twin."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hefu.domain.dataset import DataSet
from hefu.node.sources.canonical import PreparedRows
from hefu.node.sources.errors import AmountOverflow, HeaderMismatch, MappingMissing
from hefu.node.sources.rejects import write_rejects
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Write = Callable[..., Path]
Prepare = Callable[..., PreparedRows]
MakeDataSet = Callable[..., DataSet]

DAY = date(2026, 10, 1)
ID = "11010519491231002X"
TWO = {"side": "bank", "owner": "bank", "institutions": ["inst-a", "inst-b"]}


def keys(prepared: PreparedRows) -> list[str]:
    rows = prepared.rows
    return [
        rows.key_data[a:b].tobytes().decode()
        for a, b in zip(rows.key_offsets, rows.key_offsets[1:], strict=False)
    ]


def reasons(prepared: PreparedRows) -> list[tuple[int, str, str]]:
    return [(r.line, r.field, r.reason_code) for r in prepared.rejects]


def test_arrays_have_the_agreed_kinds(write: Write, prepare: Prepare) -> None:
    rows = prepare(write([f"1,loan,1.00,{ID},2026-10-01"]), batch=7).rows
    kinds = [
        rows.institution,
        rows.key_offsets,
        rows.key_data,
        rows.occurrence,
        rows.amount_cents,
        rows.row,
        rows.transit,
    ]
    assert [a.dtype for a in kinds] == ["int32", "int64", "uint8", "uint32", "int64", "uint64", "bool"]
    assert (rows.owner, rows.side, rows.batch, len(rows)) == ("institution", "institution", 7, 1)


def test_both_ends_write_the_same_key(write: Write, prepare: Prepare) -> None:
    ours = write([f'00123,loan,"1,000.00",{ID},2026-10-01T07:30:00'], name="a.csv")
    theirs = write([" ００１２３ ,4101,1000,110105491231002,2026-09-30T23:30:00Z"], name="b.csv")
    every = ("date", "party", "type", "serial")
    left = prepare(ours, every)
    right = prepare(theirs, every[::-1], side="bank", owner="bank", type_codes={"bank": {"4101": "loan"}})
    assert keys(left) == keys(right) == [f"5:001234:LOAN18:{ID}10:2026-10-01"]
    assert left.rows.amount_cents == right.rows.amount_cents == [100000]


def test_keys_are_unambiguous(write: Write, prepare: Prepare) -> None:
    found = keys(
        prepare(
            write(["1,1:2,1,,2026-10-01", "1:1,2,1,,2026-10-01", "贷,2,1,,2026-10-01"]), ("serial", "type")
        )
    )
    assert found == ["1:13:1:2", "3:1:11:2", "3:贷1:2"]


def test_equal_keys_count_by_amount_then_row(write: Write, prepare: Prepare) -> None:
    amounts = ["5", "-5", "5", "1", "-5"]
    found = prepare(write([f"1,loan,{a},,2026-10-01" for a in amounts] + ["2,loan,5,,2026-10-01"])).rows
    assert found.occurrence.tolist() == [3, 0, 4, 2, 1, 0]
    assert found.row.tolist() == [1, 2, 3, 4, 5, 6]


def test_days_and_window(write: Write, prepare: Prepare) -> None:
    path = write(
        [f"{n},loan,1,,2026-{n}" for n in ("09-28", "09-29", "09-30", "10-01", "10-02", "10-03", "10-04")]
    )
    alone = prepare(path)
    assert (alone.rows.row.tolist(), alone.rows.transit.tolist()) == ([4], [False])
    wide = prepare(path, window_days=2)
    assert wide.rows.row.tolist() == [2, 3, 4, 5, 6]
    assert wide.rows.transit.tolist() == [True, True, False, True, True]
    assert (wide.totals.rows, wide.totals.transit, wide.totals.amount_cents) == (1, 4, 100)


def test_each_day_of_a_week_takes_each_row_once(write: Write, prepare: Prepare) -> None:
    moments = [
        "2026-10-01T07:30:00",
        "2026-09-30T23:30:00Z",
        "2026-10-03T00:00:00+08:00",
        "2026-10-03T23:59:59",
        "2026-10-04",
    ]
    path = write([f"{n},loan,1,,{moment}" for n, moment in enumerate(moments)])
    days = [date(2026, 9, 28) + timedelta(i) for i in range(10)]
    taken = {day: prepare(path, business_date=day).rows.row.tolist() for day in days}
    assert {day: rows for day, rows in taken.items() if rows} == {
        date(2026, 10, 1): [1, 2],
        date(2026, 10, 3): [3, 4],
        date(2026, 10, 4): [5],
    }


def test_sum(write: Write, prepare: Prepare) -> None:
    path = write(
        ["7,loan,10.00,,2026-10-01", "8,loan,1,,2026-10-01", "7,loan,-2.50,,2026-10-01", "7,loan,1,,2026-10-02",
         "7,loan,0.01,,2026-10-01"]
    )  # fmt: skip
    found = prepare(path, compare="sum")
    assert keys(found) == ["1:7", "1:8"]
    assert found.rows.amount_cents.tolist() == [751, 100]
    assert (found.rows.row.tolist(), found.rows.occurrence.tolist()) == ([1, 2], [0, 0])
    assert found.groups is not None
    assert found.groups.members(1).tolist() == [1, 3, 5]
    assert (found.totals.rows, found.totals.amount_cents) == (4, 851)


def test_a_sum_that_overflows_names_the_row(write: Write, prepare: Prepare) -> None:
    most = "46116860184273879.03"
    path = write(["1,loan,1,,2026-10-01", f"9,loan,{most},,2026-10-01", "9,loan,0.01,,2026-10-01"])
    with pytest.raises(AmountOverflow, match="row 2"):
        prepare(path, compare="sum")
    totals = prepare(path).totals
    assert totals.amount_cents == 2**62 + 100  # control totals are exact integers
    many = prepare(write([f"{i},loan,{most},,2026-10-01" for i in range(9)])).totals
    assert many.amount_cents == 9 * (2**62 - 1)


HEAD = "serial,type,amount,party_id,occurred_at,institution"


def with_institution(make_data_set: MakeDataSet) -> DataSet:
    return make_data_set(
        dict.fromkeys(HEAD.split(","), "text") | {"amount": "money", "occurred_at": "datetime"}
    )


def test_a_bank_names_institutions(write: Write, prepare: Prepare, make_data_set: MakeDataSet) -> None:
    lines = [
        f"1,loan,{i},,2026-10-01,{name}"
        for i, name in enumerate(["inst-b", "inst-a", " Ｉnst-B ", "甲 公司", "x", ""])
    ]
    path = write(lines, HEAD)
    found = prepare(
        path, data_set=with_institution(make_data_set), institution_names={"甲公司": "inst-a"}, **TWO
    )
    assert found.rows.institution.tolist() == [1, 0, 1, 0]
    assert found.rows.occurrence.tolist() == [0, 0, 1, 1]  # counted within an institution
    assert reasons(found) == [(5, "institution", "institution_unknown"), (6, "institution", "missing_value")]


def test_one_institution_is_implied(write: Write, prepare: Prepare) -> None:
    found = prepare(write(["1,loan,1,,2026-10-01"]), side="bank", owner="bank", institutions=["inst-a"])
    assert found.rows.institution.tolist() == [0]
    mine = prepare(write(["1,loan,1,,2026-10-01"]), owner="inst-b", institutions=["inst-a", "inst-b"])
    assert mine.rows.institution.tolist() == [1]


def test_unclear_mappings(write: Write, prepare: Prepare, make_data_set: MakeDataSet) -> None:
    path = write(["1,loan,1,,2026-10-01"])
    with pytest.raises(MappingMissing, match="institution"):
        prepare(path, **TWO)
    with pytest.raises(MappingMissing, match="not one of"):
        prepare(path, owner="stranger")
    placed = write(["1,loan,1,,2026-10-01,x"], HEAD, name="placed.csv")
    with pytest.raises(MappingMissing, match="elsewhere"):
        prepare(placed, data_set=with_institution(make_data_set), institution_names={"x": "elsewhere"}, **TWO)
    with pytest.raises(MappingMissing, match="'nowhere'"):
        prepare(path, columns={"institution": {"serial": "nowhere"}})
    with pytest.raises(HeaderMismatch, match=r"rows\.csv: column 'party_id' is missing"):
        prepare(write(["1,loan,1,2026-10-01"], "serial,type,amount,occurred_at"))


def test_own_column_names(write: Write, prepare: Prepare, make_data_set: MakeDataSet) -> None:
    data_set = make_data_set({"流水号": "text", "发生额": "money", "记账日": "date"}, date_field="记账日")
    path = write(["0001,9.90,20261001"], "流水号,发生额,记账日")
    found = prepare(path, data_set=data_set, columns={"institution": {"serial": "流水号"}})
    assert (keys(found), found.rows.amount_cents.tolist()) == (["4:0001"], [990])
    bad = prepare(
        write(["0001,九,20261001"], "流水号,发生额,记账日"),
        data_set=data_set,
        columns={"institution": {"serial": "流水号"}},
    )
    assert reasons(bad) == [(1, "发生额", "amount_format")]


def test_rejects_name_row_field_and_reason(write: Write, prepare: Prepare, tmp_path: Path) -> None:
    lines = [
        f"1,loan,1,{ID},2026-10-01",
        ",loan,1,,2026-10-01",
        "2,loan,1.234,,2026-10-01",
        "3,loan,1,4.40301E+17,2026-10-01",
        "4.40301e+17,loan,1,,2026-10-01",
        "5,loan,1,,2026-02-30",
        "6,loan,1,000.00,,2026-10-01",
        "7,,x,,2026-10-01",
        "8,loan,x,,2026-10-02",
        "9,loan",
    ]
    found = prepare(write(lines), ("serial", "type"))
    assert found.rows.row.tolist() == [1]
    assert reasons(found) == [
        (2, "serial", "missing_value"),
        (3, "amount", "amount_format"),
        (4, "party_id", "scientific_notation"),
        (5, "serial", "scientific_notation"),
        (6, "occurred_at", "date_format"),
        (7, "", "too_many_columns"),
        (7, "occurred_at", "missing_value"),
        (8, "type", "missing_value"),
        (8, "amount", "amount_format"),
        (10, "amount", "missing_value"),
        (10, "occurred_at", "missing_value"),
    ]
    assert found.totals.rejected == 8
    assert found.rejects.counts()["missing_value"] == 5
    assert found.rejects[:1][0] == found.rejects[0]
    write_rejects(tmp_path / "rejects.csv", found.rejects)
    data = (tmp_path / "rejects.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    read = list(csv.DictReader(data.decode("utf-8-sig").splitlines()))
    assert read[2]["row"] == "4"
    assert read[2]["reason_zh"].startswith("数字被电子表格")
    assert b"4.40301" not in data


def test_a_download_holds_no_formula(write: Write, prepare: Prepare, tmp_path: Path) -> None:
    write_rejects(tmp_path / "out", prepare(write(["1,loan,x,,2026-10-01"], name="=cmd.csv")).rejects)
    assert (tmp_path / "out").read_text("utf-8-sig").splitlines()[1].startswith("'=cmd.csv,1,amount,")


def test_parties_are_flagged_or_strict(write: Write, prepare: Prepare) -> None:
    parties = [ID, ID[:-1] + "1", "P1234567", "", "110105491231002"]
    path = write(
        [f"{n},loan,1,{p},2026-10-01" for n, p in enumerate(parties)] + [f"9,loan,1,{ID[:-1]}1,2026-10-02"]
    )
    assert (prepare(path).totals.flagged, prepare(path).totals.rejected) == (2, 0)
    strict = prepare(path, strict_party=True)
    assert reasons(strict) == [(2, "party_id", "party_checksum"), (3, "party_id", "party_format")]
    assert strict.rows.row.tolist() == [1, 4, 5]
    assert reasons(prepare(path, ("party",))) == [(4, "party_id", "missing_value")]


def test_type_codes(write: Write, prepare: Prepare) -> None:
    path = write([f"{n},{t},1,,2026-10-01" for n, t in enumerate(["01", "贷 款", "LOAN", "99", ""])])
    found = prepare(
        path, ("type",), type_codes={"institution": {"01": "Loan", "贷款": "loan"}, "bank": {"99": "loan"}}
    )
    assert keys(found) == ["4:LOAN"] * 3
    assert reasons(found) == [(4, "type", "type_unknown"), (5, "type", "missing_value")]


def test_an_empty_day(write: Write, prepare: Prepare) -> None:
    for lines in ([], ["1,loan,1,,2026-10-02"]):
        for compare in ("each", "sum"):
            found = prepare(write(lines), compare=compare)
            assert (len(found.rows), found.rows.key_offsets.tolist(), len(found.rejects)) == (0, [0], 0)
            assert found.totals.amount_cents == 0


def plain(lines: list[dict[str, str]], key_fields: tuple[str, ...]) -> list[tuple[int, str, int, int]]:
    """(row, key, cents, occurrence) for well-formed lines, without DuckDB."""
    rows = [
        (
            n,
            "".join(f"{len(v.encode())}:{v}" for v in (line[k] for k in key_fields)),
            int(line["amount"].replace(".", "")),
        )
        for n, line in enumerate(lines, start=1)
        if line["occurred_at"] == DAY.isoformat()
    ]
    seen: dict[str, int] = defaultdict(int)
    numbered = {}
    for n, key, _ in sorted(rows, key=lambda r: (r[1], r[2], r[0])):
        numbered[n] = seen[key]
        seen[key] += 1
    return [(n, key, cents, numbered[n]) for n, key, cents in rows]


LINE = st.fixed_dictionaries(
    {
        "serial": st.sampled_from(["0", "00", "A-1", "贷", "1"]),
        "type": st.sampled_from(["LOAN", "0", "00"]),
        "amount": st.integers(-300, 300).map(
            lambda c: f"{'-' if c < 0 else ''}{abs(c) // 100}.{abs(c) % 100:02d}"
        ),
        "party_id": st.sampled_from(["", ID]),
        "occurred_at": st.sampled_from(["2026-10-01", "2026-10-02"]),
    }
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINE, max_size=30), st.sampled_from([("serial",), ("serial", "type")]))
def test_equals_its_twin(
    write: Write, prepare: Prepare, lines: list[dict[str, Any]], fields: tuple[str, ...]
) -> None:
    found = prepare(write([",".join(line[c] for c in HEAD.split(",")[:5]) for line in lines]), fields)
    expected = plain(lines, fields)
    assert (
        list(
            zip(
                found.rows.row.tolist(),
                keys(found),
                found.rows.amount_cents.tolist(),
                found.rows.occurrence.tolist(),
                strict=True,
            )
        )
        == expected
    )
    assert found.totals.amount_cents == sum(e[2] for e in expected)
    assert np.all(np.diff(found.rows.key_offsets) >= 0)
