"""Opens CSV, Excel and Parquet files and PostgreSQL queries as one thing: a DuckDB view of texts with row numbers.

The view has `row_number` (1-based data row of the original: the header and, in CSV, blank lines are not counted; in Excel
they are, so that it is the sheet's row less one), one text column per column of the file (`c0`, `c1`, ...; an empty cell
is NULL) and `surplus` (true where a CSV row has more cells than the header). A row without any value is left out.
"""

from __future__ import annotations

import csv
import errno
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from hefu.keys.at_rest import open_decrypted
from hefu.keys.errors import FileSealInvalid
from hefu.node.sources.encoding import detect_encoding, transcode
from hefu.node.sources.engine import Workbench, quote_name, quote_text
from hefu.node.sources.errors import FileUnreadable, HeaderMismatch, SourceError
from hefu.node.sources.excel import sheet_to_csv
from hefu.node.sources.postgres import Query, query_to_csv


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that lies encrypted under a storage key; its content is only ever in anonymous memory."""

    path: Path
    key: bytes

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    def __repr__(self) -> str:
        return f"StoredFile({self.name!r})"


Source = Path | Query | StoredFile
"""A file (.csv, .txt, .tsv, .xlsx, .xls, .parquet), in clear or encrypted, or a query."""

OPEN_QUOTE = "a quote that is never closed"
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

    raises  FileUnreadable, EncodingUnknown, QueryFailed. What only reading shows is raised where the view is read,
            inside `reading`
    """
    with reading(source.name):
        if isinstance(source, Query):
            target = bench.folder / f"{view}.csv"
            query_to_csv(source, target)
            return _open_csv(bench, target, source.name, view)
        name = source.name
        if isinstance(source, StoredFile):
            source = _in_memory(bench, source, view)
        suffix = source.suffix.lower()
        if suffix in (".xlsx", ".xls"):
            target = bench.folder / f"{view}.csv"
            sheet_to_csv(source, target)
            return _open_csv(bench, target, name, view, numbered=True)
        if suffix == ".parquet":
            return _open_parquet(bench, source, name, view)
        encoding = detect_encoding(source)
        if encoding in ("utf-8", "utf-8-sig"):
            return _open_csv(bench, source, name, view)
        target = bench.folder / f"{view}.csv"
        transcode(source, encoding, target)
        return _open_csv(bench, target, name, view)


def _in_memory(bench: Workbench, stored: StoredFile, view: str) -> Path:
    """The decrypted content under a path of the workbench: a link to anonymous memory, gone with the workbench."""
    plain = bench.closing.enter_context(open_decrypted(stored.path, stored.key))
    link = bench.folder / f"{view}.plain{stored.path.suffix}"
    link.unlink(missing_ok=True)
    link.symlink_to(f"/proc/self/fd/{plain.fileno()}")
    return link


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Whatever goes wrong while a source is read leaves as FileUnreadable, without DuckDB's message: it quotes values.

    A place that takes no more is no fault of the file: that leaves as it is.
    """
    try:
        yield
    except SourceError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise FileUnreadable(*_unreadable(name, error)) from None
    except (FileSealInvalid, duckdb.Error) as error:
        raise FileUnreadable(*_unreadable(name, error)) from None


def _unreadable(name: str, error: Exception) -> tuple[str, str]:
    if OPEN_QUOTE in str(error):
        return f"文件 {name} 有未闭合的引号", f"file {name} has {OPEN_QUOTE}"
    kind = type(error).__name__
    return f"文件 {name} 无法读取（{kind}）", f"file {name} cannot be read ({kind})"


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
    texts = [f"c{i}" for i in range(len(rest))]
    # null_padding and the column `surplus` keep short and long rows in place, where they are rejected by number;
    # quoted line breaks together with padding need the sequential scanner.
    bench.connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {quote_name(view)} AS "  # noqa: S608  names are ours, texts are quoted
        f"SELECT row_number, surplus IS NOT NULL AS surplus, {', '.join(texts)} "
        f"FROM (SELECT {number} AS row_number, surplus, {renamed} FROM read_csv({_link(bench, path, view)}, "
        f"columns = {{{columns}}}, auto_detect = false, header = true, delim = {quote_text(delimiter)}, quote = '\"', "
        "escape = '\"', all_varchar = true, null_padding = true, strict_mode = false, parallel = false)) "
        f"WHERE coalesce({', '.join([*texts, 'surplus'])}) IS NOT NULL AND {_no_open_quote(texts, _odd_quotes(path))}"
    )
    return Opened(name, view, tuple(tidy_header(h) for h in header[int(numbered) :]))


def _odd_quotes(path: Path) -> bool:
    with path.open("rb") as file:
        return sum(block.count(b'"') for block in iter(lambda: file.read(1 << 20), b"")) % 2 == 1


def _no_open_quote(texts: Sequence[str], odd: bool) -> str:
    """A condition that is true, or stops the query: a quote left open has swallowed the rows behind it.

    Told by a line break inside a value, in a row of the wrong length or in a file whose quotes do not pair.
    """
    broken = " OR ".join(f"contains(concat({', '.join(texts)}), chr({code}))" for code in (10, 13))
    suspect = "true" if odd else f"surplus IS NOT NULL OR {texts[-1]} IS NULL"
    stop = f"CASE WHEN {broken} THEN error({quote_text(OPEN_QUOTE)}) ELSE true END"
    return f"CASE WHEN {suspect} THEN {stop} ELSE true END"


def _open_parquet(bench: Workbench, path: Path, name: str, view: str) -> Opened:
    source = f"read_parquet({_link(bench, path, view)}, file_row_number = true)"
    described: Sequence[tuple[str, ...]] = bench.connection.execute(f"DESCRIBE FROM {source}").fetchall()
    header = [row[0] for row in described if row[0] != "file_row_number"]
    texts = ", ".join(f"CAST({quote_name(column)} AS VARCHAR) AS c{i}" for i, column in enumerate(header))
    bench.connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {quote_name(view)} AS "  # noqa: S608
        f"SELECT CAST(file_row_number + 1 AS UBIGINT) AS row_number, false AS surplus, {texts} FROM {source}"
    )
    return Opened(name, view, tuple(tidy_header(h) for h in header))
