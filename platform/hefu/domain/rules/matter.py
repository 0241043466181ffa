"""What a rule judges: the contract, the filings about it, who takes part, and the day. Rules read nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from hefu.domain.contract import Contract
from hefu.domain.filings import Filings
from hefu.domain.identity import Application
from hefu.domain.verdict import Finding, Severity, Verdict, judge


@dataclass(frozen=True)
class Matter:
    """A contract as it stands on one day.

    applications  the admitted applications of the parties, by organisation
    rows          rows of the job's inputs, where they are known already
    job           the job that asks, where there is one
    installed     component -> digest of its code, where the rule runs
    engine_version  version of the engine there; null: unknown
    """

    contract: Contract
    filings: Filings
    applications: Mapping[str, Application]
    today: date
    rows: int | None = None
    job: str | None = None
    installed: Mapping[str, str] = field(default_factory=dict)
    engine_version: str | None = None


Rule = Callable[[Matter], Iterable[Finding]]


class Gate(NamedTuple):
    """One compliance point as a gate: its number, its name in the white paper's words, and its rules."""

    point: str
    name_zh: str
    name_en: str
    rules: tuple[Rule, ...]

    def verdict(self, matter: Matter) -> Verdict:
        """Passed where every finding is a note. A rule that breaks blocks: the gate is closed by default."""
        findings: list[Finding] = []
        for rule in self.rules:
            try:
                findings += rule(matter)
            except Exception as error:  # whatever a rule stumbles over must not open the gate
                findings.append(
                    Finding(
                        rule=f"{self.point.lower()}_rule_broken",
                        severity=Severity.BLOCK,
                        point=self.point,
                        seen=f"{rule.__module__}.{getattr(rule, '__name__', 'rule')}: {type(error).__name__}",
                        message_zh=f"{self.name_zh}的规则无法完成判断",
                        message_en=f"a rule of {self.name_en} could not be evaluated",
                        mend_zh="请检查所引用的备案文件与合约条款，并联系平台方",
                        mend_en="look at the filings and clauses that it reads, and tell the operator",
                    )
                )
        return judge(self.point, findings)
