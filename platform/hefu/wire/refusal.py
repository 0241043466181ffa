"""Refusals that reach a caller as `{"code", "message_zh", "message_en", …}`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Refusal(Exception):
    """The request can't be carried out; says why, whom it concerns, what limit, and how to mend it."""

    def __init__(
        self,
        status: int,
        code: str,
        message_zh: str,
        message_en: str,
        *,
        party: str | None = None,
        stage: str | None = None,
        limit: str | None = None,
        mend_zh: str = "",
        mend_en: str = "",
    ) -> None:
        super().__init__(message_en)
        self.status = status
        self.body: dict[str, Any] = {
            "code": code,
            "message_zh": message_zh,
            "message_en": message_en,
            "party": party,
            "stage": stage,
            "limit": limit,
            "mend_zh": mend_zh,
            "mend_en": mend_en,
        }


def not_found(what_zh: str, what_en: str) -> Refusal:
    """404 for a thing that is not there, or not for this caller."""
    return Refusal(404, "not_found", f"未找到{what_zh}", f"{what_en} not found")


def invalid_request(errors: Sequence[Any]) -> Refusal:
    """422 for a request of another form, from pydantic's list of errors: names the first field, repeats nothing of its content."""
    first = errors[0] if errors else {}
    where = (
        ".".join(str(part) for part in first.get("loc", ()) if part not in ("body", "query", "path"))
        or "body"
    )
    said = str(first.get("msg", "")).removeprefix("Value error, ")
    return Refusal(
        422,
        "invalid_request",
        f"字段 {where} 不正确：{said}",
        f"field {where}: {said}",
        limit=where,
        mend_zh="请修改该字段后重试",
        mend_en="mend that field and try again",
    )
