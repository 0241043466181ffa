"""Small checks of what comes in a path or a field, before it goes anywhere else."""

from __future__ import annotations

import re
from datetime import date

from hefu.node.refusals import refuse

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def safe(identifier: str) -> str:
    """An id that may become part of a path or URL.

    raises  Refusal (404): an id of another form names nothing
    """
    if _ID.fullmatch(identifier) is None:
        raise refuse(
            404, "not_found", "编号格式不正确", "no such id", "请从列表中选择", "choose one from the list"
        )
    return identifier


def day(text: str, field: str = "day") -> date:
    """A day written YYYY-MM-DD. Raises Refusal (422)."""
    try:
        if len(text) != 10:
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError as error:
        raise refuse(
            422,
            "invalid_request",
            f"日期须为 YYYY-MM-DD（{field}）",
            f"a day is written YYYY-MM-DD ({field})",
            "请修改日期",
            "mend the day",
            limit=field,
        ) from error
