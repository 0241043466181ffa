"""Files as they arrive: encodings, Excel, Parquet, short and long rows. Each row keeps its number."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
from hefu.node.sources.encoding import detect_encoding, transcode
from hefu.node.sources.engine import open_workbench
from hefu.node.sources.errors import EncodingUnknown, FileUnreadable, HeaderMismatch
from hefu.node.sources.excel import cell_text
from hefu.node.sources.postgres import Query
from hefu.node.sources.readers import OPEN_QUOTE, Opened, Source, open_source, reading

Table = tuple[Opened, list[tuple[Any, ...]]]
ROWS = "serial,name\n001,张三\n002,𠮷野家\n"


def read(source: Source, tmp_path: Path) -> Table:
    with open_workbench(tmp_path) as bench:
        opened = open_source(bench, source)
        with reading(opened.name):
            return opened, bench.connection.execute(f"FROM {opened.view}").fetchall()


def save(tmp_path: Path, data: bytes, name: str = "file.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("encoding", "detected"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("gb18030", "gb18030"),
        ("utf-16", "utf-16"),
        ("gbk", "gb18030"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings(tmp_path: Path, encoding: str, detected: str, end: str) -> None:
    text = (ROWS if encoding != "gbk" else "serial,name\n001,张三\n").replace("\n", end)
    path = save(tmp_path, text.encode(encoding))
    assert detect_encoding(path) == detected
    opened, rows = read(path, tmp_path)
    assert opened.columns == ("serial", "name")
    assert rows[0] == (1, False, "001", "张三")
    assert encoding == "gbk" or rows[1] == (2, False, "002", "𠮷野家")
    assert [p.name for p in tmp_path.iterdir()] == ["file.csv"]  # nothing is left behind


def test_gb18030_across_blocks(tmp_path: Path) -> None:
    text = "serial,name\n" + "".join(f"{i},招商银行{'一' * (i % 3)}\n" for i in range(100_000))
    path = save(tmp_path, text.encode("gb18030"))
    transcode(path, "gb18030", tmp_path / "out")
    assert (tmp_path / "out").read_text("utf-8") == text
    _, rows = read(path, tmp_path)
    assert (len(rows), rows[-1]) == (100_000, (100_000, False, "99999", "招商银行"))


def test_neither_encoding_names_the_byte(tmp_path: Path) -> None:
    data = b"a" * (1 << 20) + "张".encode("gb18030") + b"\xff\n"
    with pytest.raises(EncodingUnknown) as caught:
        detect_encoding(save(tmp_path, data))
    assert caught.value.offset == (1 << 20) + 2
    assert "file.csv" in caught.value.message_zh


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_delimiters(tmp_path: Path, delimiter: str) -> None:
    opened, rows = read(save(tmp_path, ROWS.replace(",", delimiter).encode()), tmp_path)
    assert opened.columns == ("serial", "name")
    assert rows[0] == (1, False, "001", "张三")


def test_odd_rows_stay_in_place(tmp_path: Path) -> None:
    data = b'a,b\n1,2\n\n3\n4,5,6\n7,8,9,10\n"x\ny",z\n,\nq"r,s\n" 1 ",2\n"a""b",c,\nt"u,9'
    _, rows = read(save(tmp_path, data), tmp_path)
    assert rows == [
        (1, False, "1", "2"),
        (2, False, "3", None),
        (3, True, "4", "5"),
        (4, True, "7", "8"),
        (5, False, "x\ny", "z"),
        (7, False, 'q"r', "s"),
        (8, False, " 1 ", "2"),
        (9, False, 'a"b', "c"),
        (10, False, 't"u', "9"),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b'a,b\n1,2\n"3,4\n5,6\n7,8\n',
        b'a,b\n1,2\n3,"4\n5,6\n7,8\n',
        b'a,b\n1,2\n"3,4\n5,"6\n7,8\n',
        b'a,b\n1,2\n"3\n4",5,6,"\n7,8\n',
    ],
)
def test_an_open_quote_swallows_no_rows_unseen(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(FileUnreadable, match=OPEN_QUOTE) as caught:
        read(save(tmp_path, data), tmp_path)
    assert "未闭合" in caught.value.message_zh
    assert caught.value.__cause__ is None


def test_header_only_and_empty(tmp_path: Path) -> None:
    assert read(save(tmp_path, b"a,b\n"), tmp_path)[1] == []
    for data in (b"", b"\n\n", b"\xef\xbb\xbf"):
        with pytest.raises(FileUnreadable):
            read(save(tmp_path, data), tmp_path)


def test_header_is_tidied_and_checked(tmp_path: Path) -> None:
    opened, _ = read(save(tmp_path, "\ufeff Serial ,NAME,x,x\n1,2,3,4\n".encode()), tmp_path)
    assert (opened.column("serial"), opened.column("Name")) == ("c0", "c1")
    with pytest.raises(HeaderMismatch, match="stands twice") as twice:
        opened.column("x")
    assert twice.value.message_zh == "文件 file.csv 重复出现列“x”"
    with pytest.raises(HeaderMismatch, match=r"file file\.csv: column 'amount' is missing") as missing:
        opened.column("amount")
    assert missing.value.message_zh == "文件 file.csv 缺少列“amount”"


@pytest.mark.parametrize("name", ["a*.csv", "a[1].csv", "a?.csv", "it's.csv", "数据 1.csv"])
def test_names_are_no_patterns(tmp_path: Path, name: str) -> None:
    save(tmp_path, b"a,b\n9,9\n", "a1.csv")
    assert read(save(tmp_path, b"a,b\n1,2\n", name), tmp_path)[1] == [(1, False, "1", "2")]


@pytest.mark.parametrize("name", ["none.csv", "none.parquet", "none.xlsx"])
def test_absent_and_damaged(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileUnreadable, match="none"):
        read(tmp_path / name, tmp_path)
    if not name.endswith("csv"):
        with pytest.raises(FileUnreadable, match="none"):
            read(save(tmp_path, b"garbage", name), tmp_path)


def test_excel(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (
        ["serial", "amount", "party_id", "occurred_at"],
        ["000123", 1234.5, "11010519491231002X", datetime(2026, 10, 1, 7, 30)],
        [42, -0.1, 110105194912310021, date(2026, 10, 1)],
        [None, None, None, None],
        ["x", 0.1 + 0.2, 123456789012345, "2026-10-01T07:30:00Z"],
    ):
        sheet.append(row)
    path = tmp_path / "rows.xlsx"
    book.save(path)
    opened, rows = read(path, tmp_path)
    assert opened.columns == ("serial", "amount", "party_id", "occurred_at")
    assert [r[0] for r in rows] == [1, 2, 4]  # the sheet's rows 2, 3 and 5
    assert rows[0][2:] == ("000123", "1234.5", "11010519491231002X", "2026-10-01T07:30:00")
    assert rows[1][2:5] == ("42", "-0.1", "1.10105194912310E+17")
    assert rows[2][2:] == ("x", "0.3", "123456789012345", "2026-10-01T07:30:00Z")


@pytest.mark.parametrize(
    ("cell", "text"),
    [(None, ""), (True, "TRUE"), (12.0, "12"), (1e15, "1.00000000000000E+15"), (999999999999999.0, "999999999999999"),
     (-1234567.89, "-1234567.89"), (0.07, "0.07"), ("00 1", "00 1")],
)  # fmt: skip
def test_cells(cell: object, text: str) -> None:
    assert cell_text(cell) == text


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            "COPY (SELECT '00' || i AS serial, CAST(i AS DECIMAL(10, 2)) / 1 AS amount, CAST(i AS DECIMAL(12, 2)) AS exact, "
            "TIMESTAMP '2026-10-01 07:30:00' AS local, TIMESTAMPTZ '2026-09-30 23:30:00Z' AS zoned, NULL::VARCHAR AS none "
            f"FROM range(3) t(i)) TO '{path}' (FORMAT parquet)"
        )
    opened, rows = read(path, tmp_path)
    assert opened.columns == ("serial", "amount", "exact", "local", "zoned", "none")
    assert [r[0] for r in rows] == [1, 2, 3]
    assert (rows[2][2], rows[2][4:]) == (
        "002",
        ("2.00", "2026-10-01 07:30:00", "2026-10-01 07:30:00+08", None),
    )


@pytest.mark.server
def test_postgres_query(tmp_path: Path, database: Any) -> None:
    query: Callable[[str], Query] = lambda text: Query("flows", database.dsn, text)  # noqa: E731
    opened, rows = read(
        query("SELECT '00' || i AS serial, i + 0.50 AS amount, timestamptz '2026-09-30 23:30Z' AS t "
              "FROM generate_series(1, 3) i ORDER BY i DESC;"),
        tmp_path,
    )  # fmt: skip
    assert (opened.name, opened.columns) == ("flows", ("serial", "amount", "t"))
    assert rows[0] == (1, False, "003", "3.50", "2026-10-01 07:30:00+08")
    from hefu.node.sources.errors import QueryFailed

    for text in (
        "SELECT * FROM absent",
        "SELECT 1) TO STDOUT; DROP TABLE x; --",
        "CREATE TABLE t (i int)",
        "SELECT pg_sleep(",
    ):
        with pytest.raises(QueryFailed) as caught:
            read(query(text), tmp_path)
        assert database.password not in str(caught.value)
        assert caught.value.__cause__ is None
    assert database.password not in repr(query("SELECT 1"))


def test_a_sheet_that_begins_lower(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for cell, value in {"B3": "serial", "C3": "amount", "B4": 1, "C4": 2.5, "B6": "003", "C6": 4}.items():
        sheet[cell] = value
    book.save(tmp_path / "low.xlsx")
    opened, rows = read(tmp_path / "low.xlsx", tmp_path)
    assert opened.columns == ("serial", "amount")
    assert rows == [(1, False, "1", "2.5"), (3, False, "003", "4")]
