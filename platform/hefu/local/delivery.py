"""Delivering a day's data to one's own node without a browser: a file, or the result of a PostgreSQL query (for cron)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hefu.local.console_client import ConsoleClient
from hefu.node.sources.postgres import Query, query_to_csv


def deliver(
    client: ConsoleClient,
    data_set_id: str,
    *,
    file: Path | None = None,
    query: Query | None = None,
    name: str = "",
) -> list[dict[str, Any]]:
    """Hand in one file, or what a query answers; answers one arrival per business date.

    name    the file's name as the node shows it; for a query `<name>.csv`. A result without rows counts for the day in it
    raises  ConsoleError what the node refuses, QueryFailed, ValueError unless exactly one source is given
    """
    if (file is None) == (query is None):
        raise ValueError("give either a file or a query")
    path = f"/console/data-sets/{data_set_id}/files"
    if query is None:
        return list(client.upload(path, Path(str(file))))
    with tempfile.TemporaryDirectory(prefix="hefu-") as folder:
        target = Path(folder) / f"{name or query.name}.csv"
        query_to_csv(query, target)
        return list(client.upload(path, target))
