"""A user's own files, read before anything is started: what cannot be reconciled is said within a second.

The node that receives a file reads it again and decides for itself; this is a courtesy, not a check.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from hefu.domain.dataset import DataSet
from hefu.local.bootstrap import sample_data_set
from hefu.local.errors import DemoFailed
from hefu.local.sample import HEADER
from hefu.node.sources.errors import SourceError
from hefu.node.sources.summary import summarise

SHOWN_REJECTS = 10


def read_own_files(files: Mapping[str, Path], today: date) -> None:
    """Read each owner's file; raises DemoFailed naming file, row, field, reason and what to do."""
    for owner, file in files.items():
        if not file.exists():
            raise DemoFailed(f"{file}: 文件不存在 / no such file")
        data_set = DataSet.model_validate_json(json.dumps(sample_data_set(owner)))
        try:
            summary = summarise(file, data_set)
        except SourceError as error:
            raise DemoFailed(
                f"{owner}: {file.name}: 文件无法读取 / the file can't be read: {error}. "
                f"表头应为 expected header: {','.join(HEADER)}"
            ) from error
        if summary.rejects:
            shown = "; ".join(
                f"第 {r.line} 行 row {r.line}, {r.field}: {r.reason_zh} / {r.reason_en}"
                for r in summary.rejects[:SHOWN_REJECTS]
            )
            raise DemoFailed(
                f"{owner}: {file.name}: {len(summary.rejects)} 行无法解析 rows can't be read: {shown}"
            )
        open_days = [day for day in summary.days if day >= today]
        if open_days:
            raise DemoFailed(
                f"{owner}: {file.name}: {max(open_days)}: 该业务日期尚未结束，T+1 日方可对账 / "
                "that business date is not over; a day is reconciled from the next day on"
            )
