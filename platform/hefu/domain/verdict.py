"""A verdict is a value: passed or not, with findings that people can act on, in Chinese and English."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Severity(StrEnum):
    """How much a finding weighs: `block` stops the job, `wait` delays it, `warn` asks people to act, `note` is only recorded."""

    NOTE = "note"
    WARN = "warn"
    WAIT = "wait"
    BLOCK = "block"


class Finding(BaseModel):
    """One thing seen by a check: the rule, the party concerned, what was seen, the limit, how to mend it.

    point   the compliance point of white paper A, chapter 3 ("K1" … "K13"), or "" for a technical finding
    source  chapter of the white paper
    law     entries of the law register (`hefu.domain.law`), by id
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    severity: Severity
    party: str | None = None
    seen: str = ""
    expected: str = ""
    message_zh: str
    message_en: str
    mend_zh: str = ""
    mend_en: str = ""
    point: str = ""
    source: str = ""
    law: tuple[str, ...] = ()


class Verdict(BaseModel):
    """The outcome of one check or stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    passed: bool
    findings: tuple[Finding, ...] = ()

    @property
    def waiting(self) -> bool:
        """Not passed, and nothing blocks: trying again later may succeed."""
        return not self.passed and all(f.severity is not Severity.BLOCK for f in self.findings)


def judge(stage: str, findings: Iterable[Finding]) -> Verdict:
    """A verdict passes when no finding blocks or waits."""
    found = tuple(findings)
    passed = all(f.severity in (Severity.NOTE, Severity.WARN) for f in found)
    return Verdict(stage=stage, passed=passed, findings=found)
