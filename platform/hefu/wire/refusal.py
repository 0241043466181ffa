"""Refusals that reach a caller as `{"code", "message_zh", "message_en", …}`."""

from __future__ import annotations

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
