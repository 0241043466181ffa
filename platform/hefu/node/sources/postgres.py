"""A PostgreSQL query of the organisation's own database, copied into a private file.

The copy is a snapshot: row numbers are positions in it, so the query should say ORDER BY. It runs in a read-only transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from hefu.node.sources.errors import QueryFailed


@dataclass(frozen=True, slots=True)
class Query:
    """A SELECT and where to ask it. The DSN may hold a password: it is not shown."""

    name: str
    dsn: str = field(repr=False)
    text: str
    timeout_seconds: int = 600


def query_to_csv(query: Query, target: Path) -> None:
    """Copy the query's result to a UTF-8 CSV file with a header.

    raises  QueryFailed with PostgreSQL's error class; never with the DSN or a value
    """
    statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv, HEADER, ENCODING 'UTF8')").format(
        sql.SQL(query.text.strip().rstrip(";"))
    )
    try:
        with psycopg.connect(query.dsn, connect_timeout=10) as connection, connection.cursor() as cursor:
            connection.read_only = True
            cursor.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(query.timeout_seconds * 1000))
            cursor.execute("SET LOCAL TimeZone = 'Asia/Shanghai'")
            cursor.execute("SET LOCAL DateStyle = 'ISO'")
            with target.open("wb") as out, cursor.copy(statement) as copy:
                for block in copy:
                    out.write(block)
    except psycopg.Error as error:
        reason = type(error).__name__
        raise QueryFailed(
            f"数据库查询“{query.name}”失败（{reason}）", f"the query {query.name!r} failed ({reason})"
        ) from None
