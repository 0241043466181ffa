"""DuckDB as a node uses it: one connection per task, bounded memory, no network, spill files in the node's own folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

MEMORY_MB = 192
THREADS = 2


@dataclass(frozen=True, slots=True)
class Workbench:
    """A connection, a private folder, and what else closes with them when the task ends."""

    connection: duckdb.DuckDBPyConnection
    folder: Path
    closing: ExitStack


@contextmanager
def open_workbench(
    work_dir: Path | None = None, memory_mb: int = MEMORY_MB, threads: int = THREADS
) -> Iterator[Workbench]:
    """A DuckDB connection whose temporary files live in a fresh 0700 folder below `work_dir`.

    work_dir  a folder of the node; None for the process's temporary folder
    """
    folder = Path(tempfile.mkdtemp(prefix="source-", dir=work_dir))
    try:
        connection = duckdb.connect(":memory:")
        try:
            for setting in (
                "autoinstall_known_extensions = false",
                "autoload_known_extensions = false",
                f"memory_limit = '{memory_mb}MB'",
                f"threads = {threads}",
                f"temp_directory = {quote_text(str(folder / 'spill'))}",
                "preserve_insertion_order = true",
                "TimeZone = 'Asia/Shanghai'",
                "arrow_large_buffer_size = true",
                "enable_progress_bar = false",
                "lock_configuration = true",
            ):
                connection.execute(f"SET {setting}")
            with ExitStack() as closing:
                yield Workbench(connection, folder, closing)
        finally:
            connection.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def quote_text(value: str) -> str:
    """A SQL text literal."""
    return "'" + value.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
