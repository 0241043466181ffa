"""How a rule says what it found: each finding names its point, the white paper's chapter, the law, and how to mend it."""

from __future__ import annotations

from typing import Any

from hefu.domain.verdict import Finding, Severity


def block(rule: str, point: str, zh: str, en: str, **rest: Any) -> Finding:
    """A finding that stops the job. Name seen, expected, mend_zh, mend_en, source and law with it."""
    return Finding(rule=rule, severity=Severity.BLOCK, point=point, message_zh=zh, message_en=en, **rest)


def warn(rule: str, point: str, zh: str, en: str, **rest: Any) -> Finding:
    """A finding that people should act on soon; the job goes on."""
    return Finding(rule=rule, severity=Severity.WARN, point=point, message_zh=zh, message_en=en, **rest)


def note(rule: str, point: str, zh: str, en: str, **rest: Any) -> Finding:
    """A finding that is only recorded."""
    return Finding(rule=rule, severity=Severity.NOTE, point=point, message_zh=zh, message_en=en, **rest)


def wait(rule: str, point: str, zh: str, en: str, **rest: Any) -> Finding:
    """A finding that delays the job: trying again later, with other data, may succeed."""
    return Finding(rule=rule, severity=Severity.WAIT, point=point, message_zh=zh, message_en=en, **rest)
