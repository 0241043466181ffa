"""A contract that meets every rule of admission, sources, technique, minimisation and risk, with all its filings.

Tests spoil one thing of it. `caught` says what is found, and that the verdict hangs on the very rule that finds it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from hefu.components.registry import code_digest
from hefu.domain.contract import Contract
from hefu.domain.document import text_digest
from hefu.domain.filings import KINDS, Filing, Filings
from hefu.domain.rules.matter import Gate, Matter, Rule
from hefu.domain.verdict import Finding, Severity
from hefu.engine import ENGINE_VERSION
from hefu.node import clauses

TODAY = date(2026, 3, 10)
ISSUED = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
DIGEST = "cd" * 32
STANDINGS = {
    "institution": "pi_handler",
    "bank": "pi_handler",
    "regulator": "authority",
    "operator": "entrusted_party",
    "exchange": "entrusted_party",
    "auditor": "third_party",
}
FIELDS = [
    ("serial", "text", "quasi", "none", "C1", "配对同一笔交易的两条记录"),
    ("party_id", "text", "direct", "specific_identity", "C2", "按当事方配对，仅以密钥化标记参与"),
    ("amount", "money", "none", "financial_account", "C2", "比较金额，仅以秘密分享参与"),
    ("occurred_at", "datetime", "none", "none", "C1", "确定业务日期，不离开本节点"),
]


class Case:
    """The contract's JSON and its filings, to be spoilt before `matter()`."""

    def __init__(self, world: Any) -> None:
        self.applications = dict(world.applications)
        self.installed = {"reconcile": code_digest("reconcile")}
        self.rows: int | None = 1000
        self.value: dict[str, Any] = world.contract_value(
            risk_notice=clauses.RISK_NOTICE,
            mandate={
                "document_number": "银发〔2026〕1号",
                "file_digest": DIGEST,
                "authority": "regulator",
                "supervised": ["institution", "bank"],
            },
            limits={"valid_from": "2026-03-01T00:00:00Z", "valid_until": "2027-03-01T00:00:00Z"},
        )
        for party in self.value["parties"]:
            party["legal_standing"] = STANDINGS[party["org_id"]]
        for data_set in self.value["data_sets"]:
            data_set["fields"] = [field(*f) for f in FIELDS]
        self.step.update(engine_version=ENGINE_VERSION, code_digest=self.installed["reconcile"])
        self.step["parameters"] = {"match_keys": ["serial", "party"]}
        self.output["use_terms"] = {"valid_days": 180}
        self.filed: list[Filing] = []
        for org in STANDINGS:
            self.file("admission_dossier", org, contract_id=None, **DOSSIER)
            self.file(
                "risk_notice_acknowledgement",
                org,
                notice=text_digest(clauses.RISK_NOTICE),
                acknowledged_by="li",
            )
        for org in ("operator", "bank", "exchange"):
            self.file("third_party_assessment", "auditor", subject=org, contract_id=None, **ASSESSMENT)
            for owner in {"institution", "bank"} - {org}:
                self.file("supervision", owner, entrusted=org, **SUPERVISION)
        for owner in ("institution", "bank"):
            name = next(d["data_set_id"] for d in self.value["data_sets"] if d["owner"] == owner)
            self.file("source_declaration", owner, data_set_id=name, **DECLARATION)
        for org in ("auditor", "exchange"):
            self.file("component_review", org, contract_id=None, **self.review())

    @property
    def step(self) -> dict[str, Any]:
        """The contract's only step."""
        step: dict[str, Any] = self.value["computation"]["steps"][0]
        return step

    @property
    def output(self) -> dict[str, Any]:
        """The contract's only output."""
        output: dict[str, Any] = self.value["outputs"][0]
        return output

    def data_set(self, owner: str = "institution") -> dict[str, Any]:
        """An owner's data set in the contract."""
        found: dict[str, Any] = next(d for d in self.value["data_sets"] if d["owner"] == owner)
        return found

    def field(self, name: str, owner: str = "institution") -> dict[str, Any]:
        """A field of an owner's data set."""
        found: dict[str, Any] = next(f for f in self.data_set(owner)["fields"] if f["name"] == name)
        return found

    def party(self, org: str) -> dict[str, Any]:
        """A party's entry."""
        found: dict[str, Any] = next(p for p in self.value["parties"] if p["org_id"] == org)
        return found

    def review(self, **changes: Any) -> dict[str, Any]:
        """A passed review of the contract's step."""
        step = self.step
        return {
            "component": step["component"],
            "code_digest": step["code_digest"],
            "engine_version": step["engine_version"],
            "passed": True,
            "report": DIGEST,
            "reasons": "",
            "reviewer": "wang",
            **changes,
        }

    def file(self, kind: str, issuer: str, **content: Any) -> None:
        """Add a filing; it belongs to the contract unless told otherwise."""
        base = {
            "kind": kind,
            "issuer": issuer,
            "contract_id": self.value["contract_id"],
            "issued_at": ISSUED,
        }
        self.filed.append(KINDS[kind].model_validate({**base, **content}))

    def drop(self, kind: str, issuer: str | None = None, **where: Any) -> None:
        """Take filings away."""
        self.filed = [f for f in self.filed if not _is(f, kind, issuer, where)]

    def edit(self, kind: str, issuer: str, changes: dict[str, Any], **where: Any) -> None:
        """Change the filings of an issuer."""
        found = [f for f in self.filed if _is(f, kind, issuer, where)]
        if not found:
            raise LookupError(f"{issuer} filed no {kind}")
        for one in found:
            self.filed.remove(one)
            self.filed.append(type(one).model_validate({**one.model_dump(mode="json"), **changes}))

    def declare(self, org: str, **changes: Any) -> None:
        """Change what an organisation's application says."""
        self.applications[org] = self.applications[org].model_copy(update=changes)

    def judge(self, stage: str, issuer: str = "institution", **changes: Any) -> None:
        """File a judgement of a stage."""
        self.file("stage_judgement", **{"issuer": issuer, **JUDGEMENT, "stage": stage, **changes})

    @property
    def contract(self) -> Contract:
        """The contract as it stands."""
        return Contract.model_validate(self.value)

    def matter(self, today: date = TODAY) -> Matter:
        """What the rules judge."""
        return Matter(
            self.contract,
            Filings.of(self.filed),
            self.applications,
            today,
            rows=self.rows,
            installed=self.installed,
            engine_version=ENGINE_VERSION,
        )


def field(
    name: str, type_: str, identifier: str, sensitive: str, grade: str, necessity: str
) -> dict[str, Any]:
    """A contract's field."""
    return {
        "name": name,
        "type": type_,
        "identifier_class": identifier,
        "sensitive": sensitive,
        "grade": grade,
        "necessity": necessity,
    }


def caught(rules: tuple[Rule, ...], matter: Matter) -> list[Finding]:
    """What a module's rules find, but for notes.

    Where the verdict is not to pass, it must hang on exactly one rule: without it the same matter passes.
    """
    found = [f for rule in rules for f in rule(matter) if f.severity is not Severity.NOTE]
    for finding in found:
        bare = [
            t
            for t in ("message_zh", "message_en", "seen", "expected", "mend_zh", "mend_en")
            if not getattr(finding, t)
        ]
        if bare or not finding.point or not finding.source:
            raise AssertionError(f"{finding.rule} says nothing of {bare or 'its source'}")
    if not Gate("K0", "", "", rules).verdict(matter).passed:
        guards = [rule for rule in rules if any(_stops(f) for f in rule(matter))]
        if len(guards) != 1:
            raise AssertionError(f"{len(guards)} rules stop this, not one: {[f.rule for f in found]}")
        rest = tuple(rule for rule in rules if rule is not guards[0])
        if not Gate("K0", "", "", rest).verdict(matter).passed:
            raise AssertionError("it is stopped even without the rule that finds it")
    return found


def said(rules: tuple[Rule, ...], matter: Matter) -> list[tuple[str, str, str | None]]:
    """(rule, severity, party) of what is found."""
    return [(f.rule, f.severity.value, f.party) for f in caught(rules, matter)]


Spoil = Callable[[Case], Any]


def _stops(finding: Finding) -> bool:
    return finding.severity in (Severity.BLOCK, Severity.WAIT)


def _is(filing: Filing, kind: str, issuer: str | None, where: dict[str, Any]) -> bool:
    return (
        filing.kind == kind
        and (issuer is None or filing.issuer == issuer)
        and all(getattr(filing, name) == value for name, value in where.items())
    )


DOSSIER: dict[str, Any] = {
    "mlps_level": 3,
    "mlps_certificate": "等保备字第1号",
    "mlps_expires_on": "2027-12-31",
    "pi_officer": "张三",
    "pi_officer_contact": "dpo@example.invalid",
    "last_training_on": "2026-01-15",
    "emergency_plan": DIGEST,
    "last_drill_on": "2025-11-20",
    "management_rules": DIGEST,
    "qualifications": [{"name": "许可证", "number": "1", "expires_on": "2028-12-31"}],
    "node_country": "CN",
    "node_region": "北京",
    "storage_encrypted": True,
    "backup": True,
}
ASSESSMENT: dict[str, Any] = {"scope": "admission", "passed": True, "report": DIGEST, "summary": "通过"}
SUPERVISION: dict[str, Any] = {"checked_on": "2026-03-05", "findings": "无", "satisfied": True}
DECLARATION: dict[str, Any] = {
    "schema_digest": "ab" * 32,
    "source_kind": "direct",
    "origin": "营业厅与手机银行业务办理",
    "checks": {"notice_given": True, "policy_complete": True},
    "prepared_by": "li",
    "approved_by": "wang",
    "valid_until": "2027-03-01",
}
JUDGEMENT: dict[str, Any] = {
    "judgement": "personal",
    "assessor": "信息安全部",
    "key_custody": "密钥由监管方生成并保管",
    "collusion_assumption": "三方计算至多一方窥探，互不合谋",
    "conditions": "分量仍按个人信息管理",
    "valid_until": "2027-03-01",
}
