"""Refusals of this node, in short: a `hefu.wire.refusal.Refusal` says what is wrong, in two languages, and how to mend it."""

from __future__ import annotations

from hefu.domain.verdict import Finding
from hefu.wire.refusal import Refusal

__all__ = ["Refusal", "conflict", "not_found", "refuse", "refuse_for"]


def refuse(
    status: int,
    code: str,
    message_zh: str,
    message_en: str,
    mend_zh: str = "",
    mend_en: str = "",
    *,
    party: str | None = None,
    stage: str | None = None,
    limit: str | None = None,
) -> Refusal:
    """A refusal with its HTTP status. Carries ids, never data."""
    return Refusal(
        status,
        code,
        message_zh,
        message_en,
        party=party,
        stage=stage,
        limit=limit,
        mend_zh=mend_zh,
        mend_en=mend_en,
    )


def refuse_for(
    finding: Finding, *, status: int = 403, party: str | None = None, stage: str | None = None
) -> Refusal:
    """What a rule found, as a refusal.

    party  whom it concerns where the finding names nobody
    """
    return Refusal(
        status,
        finding.rule,
        finding.message_zh,
        finding.message_en,
        party=finding.party or party,
        stage=stage,
        limit=finding.expected or None,
        mend_zh=finding.mend_zh,
        mend_en=finding.mend_en,
    )


def not_found(what_zh: str, what_en: str, subject: str) -> Refusal:
    """404: there is no such thing at this node."""
    return refuse(
        404,
        "not_found",
        f"本节点没有{what_zh} {subject[:80]}",
        f"this node has no {what_en} {subject[:80]}",
        "请刷新列表后重试",
        "refresh the list and try again",
    )


def conflict(code: str, message_zh: str, message_en: str, mend_zh: str = "", mend_en: str = "") -> Refusal:
    """409: the thing is not in a state that allows the step."""
    return refuse(409, code, message_zh, message_en, mend_zh, mend_en)
