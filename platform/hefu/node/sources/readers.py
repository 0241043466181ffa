"""Opens CSV, Excel and Parquet files and PostgreSQL queries as one thing: a DuckDB view of texts with row numbers.

The view has `row_number` (1-based data row of the original: the header and, in CSV, blank lines are not counted; in Excel
they are, so that it is the sheet's row less one), one text column per column of the file (`c0`, `c1`, ...; an empty cell
is NULL) and `surplus` (true where a CSV row has more cells than the header). A row without any value is left out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from hefu.node.sources.encoding import detect_encoding, transcode
from hefu.node.sources.engine import Workbench, quote_name, quote_text
from hefu.node.sources.errors import FileUnreadable, HeaderMismatch, SourceError
from hefu.node.sources.excel import sheet_to_csv
from hefu.node.sources.postgres import Query, query_to_csv

Source = Path | Query
"""A file (.csv, .txt, .tsv, .xlsx, .xls, .parquet), or a query."""

_HEADER_BYTES = 1 << 20
_DELIMITERS = ",\t;|"


@dataclass(frozen=True, slots=True)
class Opened:
    """A source, ready to be selected from: `view` is a relation's name, `columns` its header in the file's order."""

    name: str
    view: str
    columns: tuple[str, ...]

    def column(self, header: str) -> str:
        """The view's column for a header. Raises HeaderMismatch when it is missing or stands twice."""
        wanted = tidy_header(header)
        places = [i for i, name in enumerate(self.columns) if name == wanted]
        if len(places) != 1:
            raise HeaderMismatch(self.name, header, twice=len(places) > 1)
        return f"c{places[0]}"


def tidy_header(name: str) -> str:
    """A header as it is compared: without byte order mark, outer spaces and case."""
    return name.strip("\ufeff \t\r\n\u3000").casefold()


def open_source(bench: Workbench, source: Source, view: str = "source") -> Opened:
    """Open a source under the name `view`.

    raises  FileUnreadable, EncodingUnknown, QueryFailed; nothing else
    """
    try:
        if isinstance(source, Query):
            target = bench.folder / f"{view}.csv"
            query_to_csv(source, target)
            return _open_csv(bench, target, source.name, view)
        suffix = source.suffix.lower()
        if suffix in (".xlsx", ".xls"):
            target = bench.folder / f"{view}.csv"
            sheet_to_csv(source, target)
            return _open_csv(bench, target, source.name, view, numbered=True)
        if suffix == ".parquet":
            return _open_parquet(bench, source, view)
        encoding = detect_encoding(source)
        if encoding in ("utf-8", "utf-8-sig"):
            return _open_csv(bench, source, source.name, view)
        target = bench.folder / f"{view}.csv"
        transcode(source, encoding, target)
        return _open_csv(bench, target, source.name, view)
    except SourceError:
        raise
    except (OSError, duckdb.Error) as error:
        raise FileUnreadable(*_unreadable(source.name, error)) from error


def _unreadable(name: str, error: Exception) -> tuple[str, str]:
    return (
        f"文件 {name} 无法读取（{type(error).__name__}）",
        f"file {name} cannot be read ({type(error).__name__})",
    )


def _link(bench: Workbench, path: Path, view: str) -> str:
    """The file under a name of our own: DuckDB would take *, ? and [ in a name for a pattern."""
    link = bench.folder / f"{view}.in"
    if path.parent != bench.folder:
        link.unlink(missing_ok=True)
        link.symlink_to(path.resolve())
        return quote_text(str(link))
    return quote_text(str(path))


def _read_header(path: Path, name: str) -> tuple[list[str], str]:
    with path.open("rb") as file:
        start = file.read(_HEADER_BYTES)
    text = start.decode("utf-8-sig", errors="ignore")
    line = text.lstrip("\r\n").partition("\n")[0].rstrip("\r")
    if not line.strip():
        raise FileUnreadable(f"文件 {name} 为空，没有表头", f"file {name} is empty: it has no header")
    delimiter = max(_DELIMITERS, key=line.count)
    header = next(csv.reader(io.StringIO(text.lstrip("\r\n")), delimiter=delimiter))
    return header, delimiter


def _open_csv(bench: Workbench, path: Path, name: str, view: str, *, numbered: bool = False) -> Opened:
    header, delimiter = _read_header(path, name)
    names = [f"c{i}" for i in range(len(header))]
    columns = ", ".join(f"{quote_text(column)}: 'VARCHAR'" for column in [*names, "surplus"])
    given, rest = (names[0], names[1:]) if numbered else ("", names)
    number = f"CAST({given} AS UBIGINT)" if numbered else "CAST(row_number() OVER () AS UBIGINT)"
    renamed = ", ".join(f"{old} AS c{new}" for new, old in enumerate(rest))
    # null_padding and the column `surplus` keep short and long rows in place, where they are rejected by number;
    # quoted line breaks together with padding need the sequential scanner.
    bench.connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {quote_name(view)} AS "  # noqa: S608  names are ours, texts are quoted
        f"SELECT row_number, surplus IS NOT NULL AS surplus, {', '.join(f'c{i}' for i in range(len(rest)))} "
        f"FROM (SELECT {number} AS row_number, surplus, {renamed} FROM read_csv({_link(bench, path, view)}, "
        f"columns = {{{columns}}}, auto_detect = false, header = true, delim = {quote_text(delimiter)}, quote = '\"', "
        "escape = '\"', all_varchar = true, null_padding = true, strict_mode = false, parallel = false)) "
        f"WHERE coalesce({', '.join([*(f'c{i}' for i in range(len(rest))), 'surplus'])}) IS NOT NULL"
    )
    return Opened(name, view, tuple(tidy_header(h) for h in header[int(numbered) :]))


def _open_parquet(bench: Workbench, path: Path, view: str) -> Opened:
    source = f"read_parquet({_link(bench, path, view)}, file_row_number = true)"
    described: Sequence[tuple[str, ...]] = bench.connection.execute(f"DESCRIBE FROM {source}").fetchall()
    header = [row[0] for row in described if row[0] != "file_row_number"]
    texts = ", ".join(f"CAST({quote_name(name)} AS VARCHAR) AS c{i}" for i, name in enumerate(header))
    bench.connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {quote_name(view)} AS "  # noqa: S608
        f"SELECT CAST(file_row_number + 1 AS UBIGINT) AS row_number, false AS surplus, {texts} FROM {source}"
    )
    return Opened(path.name, view, tuple(tidy_header(h) for h in header))
