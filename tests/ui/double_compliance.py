"""The compliance part of the double of a node: one contract's cockpit, filings, drafts, calendar, registers, cases, a model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hefu.domain.rules.matter import Gate
from hefu.domain.scope import scope_of
from hefu.domain.verdict import Finding, Severity
from hefu.node import compliance_models as c
from hefu.node import console_models as m
from hefu.node.cockpit import view_gate
from hefu.node.contract_life_models import PreparationView

from double_governance import proposal  # type: ignore[import-not-found]  # isort: skip
from double_values import CONTRACT, NOW, ago, contract, day, sha  # type: ignore[import-not-found]  # isort: skip


def finding(point: str, severity: Severity, zh: str, en: str, **rest: Any) -> Finding:
    return Finding(rule="r", severity=severity, point=point, message_zh=zh, message_en=en, **rest)


_BROKEN = finding(
    "K1", Severity.BLOCK, "数据集 institution-daily 的授权链条未覆盖 exchange 的 加工、传输 操作", "consent does not cover exchange: process, transmit",
    party="institution", seen="exchange x process,transmit: participant", expected="同意列明每个参与方与每项操作",
    mend_zh="请就所列参与方与操作取得同意，并更新合约中的授权条款", mend_en="obtain consent and amend the clause", source="WP-A 3.1", law=("pipl-13", "pipl-23"),
)  # fmt: skip
_NO_PIA = finding(
    "K2", Severity.BLOCK, "bank：没有有效的个人信息保护影响评估", "bank: no impact assessment in force", party="bank", seen="none",
    expected="entrusting, providing, sensitive", mend_zh="请按合约实际内容评估，由他人复核后备案", mend_en="assess, approve and file", source="WP-A 3.2", law=("pipl-55",),
)  # fmt: skip
_SOON = finding(
    "K3", Severity.WARN, "exchange 的等级保护证书将于 20 日后到期", "the certificate of exchange ends in 20 days", party="exchange", seen=day(-20),
    expected="30 日以上", mend_zh="请在到期前更新准入材料", mend_en="renew the dossier", source="WP-A 3.3", law=("csl-23",),
)  # fmt: skip
_FOUND: dict[str, tuple[Finding, ...]] = {"K1": (_BROKEN,), "K2": (_NO_PIA,), "K3": (_SOON,)}
_NAMES = {
    "K1": ("合法性基础", "Legal basis"), "K2": ("风险评估", "Assessment"), "K3": ("参与方管理", "Participants"), "K4": ("数据源合规", "Data sources"),
    "K5": ("技术方案安全", "Technique"), "K8": ("自动化决策", "Automated decisions"), "K10": ("最小必要", "Minimisation"),
    "K11": ("分级", "Grading"), "K12": ("匿名化", "Anonymisation"), "K13": ("主体权利", "Data subjects"),
}  # fmt: skip


def filing(
    kind: str, issuer: str, content: dict[str, Any], days: int = 3, contract_id: str | None = CONTRACT
) -> c.FilingView:
    return c.FilingView(
        digest=sha(kind + issuer + str(content)), kind=kind, issuer=issuer, contract_id=contract_id, issued_at=ago(days),
        valid_until=day(-200), in_force=True, handed_in=True, content=content,
    )  # fmt: skip


def filings() -> list[c.FilingView]:
    return [
        filing("impact_assessment", "institution", {"triggers": ["entrusting"], "residual_risk": "low"}),
        filing(
            "source_declaration", "institution", {"data_set_id": "institution-daily", "source_kind": "direct"}
        ),
        filing("stage_judgement", "institution", {"stage": "computation", "judgement": "de_identified"}),
        filing("component_review", "auditor", {"component": "reconcile", "passed": True}, contract_id=None),
    ]


def coverage() -> list[c.CoverageView]:
    found = []
    for owner, basis in (("institution", "consent"), ("bank", "statutory_duty")):
        operations = {
            owner: ["collect", "store", "use", "process", "provide"],
            "operator": ["transmit", "process", "store"],
            "exchange": ["transmit", "process", "store"],
            "regulator": ["provide", "use"],
        }
        cells = [
            c.CoverageCell(
                participant=org, operation=op, kinds=["separate" if op == "provide" else "explicit"],
                missing=["participant"] if owner == "institution" and org == "exchange" and op != "store" else [],
            )
            for org, ops in operations.items()
            for op in ops
        ]  # fmt: skip
        found.append(
            c.CoverageView(
                data_set_id=f"{owner}-daily",
                owner=owner,
                basis=basis,
                consent=basis == "consent",
                cells=cells,
            )
        )
    return found


def risk() -> list[c.StageRisk]:
    rows: list[tuple[Any, Any, str, str, str | None]] = [
        ("transmission", "low", "令牌密钥一次一换，密文信道", "fresh token keys, encrypted channels", "de_identified"),
        ("computation", "medium", "标记在 N0、N2 处为假名；超过一千万笔时上调一级", "tokens are pseudonyms at N0 and N2", "de_identified"),
        ("result", "low", "仅逐笔状态，封装给监管方", "status per row, sealed to the regulator", None),
    ]  # fmt: skip
    return [
        c.StageRisk(stage=s, grade=g, weakest=g == "medium", reasons_zh=[zh], reasons_en=[en], judgement=j)
        for s, g, zh, en, j in rows
    ]


def cockpit(digest: str, contract_id: str = CONTRACT, state: str = "active") -> c.Cockpit:
    gates = [
        view_gate(Gate(point, zh, en, (lambda _, point=point: _FOUND.get(point, ()),)), None)  # type: ignore[arg-type, misc]
        for point, (zh, en) in _NAMES.items()
    ]
    return c.Cockpit(
        contract_id=contract_id, version=1, digest=digest, title="消费金融 T+1 业务与资金对账", title_en="T+1 reconciliation of consumer finance", state=state,
        makes_model=False,
        triggers=["entrusting", "providing", "sensitive"], gates=gates, filings=filings(), coverage=coverage(), risk=risk(),
        waits=[c.WaitsFor(party="institution", what_zh="K1 合法性基础：补充授权", what_en="K1: mend the consent"),
               c.WaitsFor(party="bank", what_zh="K2 风险评估：提交影响评估", what_en="K2: file the assessment", due_on=day(-3))],
    )  # fmt: skip


def draft(prepared_by: str = "li", may: bool = True) -> c.FilingDraftView:
    canonical = '{"content":{"stage":"computation"},"kind":"stage_judgement"}'
    return c.FilingDraftView(
        draft_id=f"D-{prepared_by}", kind="stage_judgement", contract_id=CONTRACT, prepared_by=prepared_by, prepared_at=ago(0.1), may_approve=may,
        content={"contract_id": CONTRACT, "stage": "computation", "judgement": "de_identified", "key_custody": "令牌密钥由接收方持有，一次一换",
                 "collusion_assumption": "任意两计算方不合谋", "conditions": "仅限本合约目的"},
        digest=hashlib.sha256(canonical.encode()).hexdigest(), canonical=canonical,
    )  # fmt: skip


def preparation() -> PreparationView:
    return PreparationView(
        preparation_id="P1", kind="notice", subject=contract().digest, prepared_by="li", prepared_at=ago(0.1), state="prepared",
        document='["suspend", "节点异常"]',
    )  # fmt: skip


def due_dates() -> list[c.DueDate]:
    rows: list[tuple[int, Any, str, str, str, Any]] = [
        (2, "stage_judgement", "bank", "阶段判断 result到期", "judgement of result ends", "overdue"),
        (-4, "subject_request", "institution", "答复个人信息主体请求", "answer a data subject", "soon"),
        (-4, "complaint", "auditor", "处理投诉", "decide a complaint", "soon"),
        (-12, "qualification", "exchange", "等级保护证书到期", "MLPS certificate ends", "soon"),
        (-20, "consent", "institution", "授权到期（告知书 v2）", "consent ends (notice v2)", "soon"),
        (-120, "impact_assessment", "institution", "影响评估到期", "assessment ends", "later"),
        (-200, "certificate", "operator", "节点通信证书到期", "node certificate ends", "later"),
        (-345, "deletion", "exchange", "删除并出具删除证明", "delete and certify", "later"),
    ]
    return [
        c.DueDate(on=day(n), kind=k, party=p, contract_id=None if k in ("qualification", "certificate") else CONTRACT, title_zh=zh, title_en=en, state=s)
        for n, k, p, zh, en, s in rows
    ]  # fmt: skip


def processing() -> list[c.ProcessingRecord]:
    return [
        c.ProcessingRecord(
            contract_id=CONTRACT, title="消费金融 T+1 业务与资金对账", title_en="T+1 reconciliation", state="active", owner=owner, data_set_id=f"{owner}-daily",
            purpose="穿透式监管：核对放款业务记录与银行资金流水", categories=["serial", "type", "amount", "party_id"], sensitive=["financial_account"] if owner == "bank" else [],
            basis="statutory_duty", basis_note="金监发〔2026〕3 号", compute_parties=["operator", "bank", "exchange"], recipients=["regulator"], retention_days=1825,
            minimum_retention_days=0, valid_until=ago(-345), assessment=sha("pia") if owner == "institution" else None,
        )
        for owner in ("institution", "bank")
    ]  # fmt: skip


def entrusted() -> list[c.EntrustedView]:
    record = filing(
        "supervision",
        "institution",
        {
            "entrusted": "operator",
            "checked_on": day(30),
            "findings": "已核查访问控制与密钥保管",
            "satisfied": True,
        },
    )
    return [
        c.EntrustedView(
            contract_id=CONTRACT, handler="institution", entrusted=org, purpose="对账", retention_days=1825, valid_until=ago(-345),
            records=[record] if org == "operator" else [], certified_deletion=False,
        )
        for org in ("operator", "exchange")
    ]  # fmt: skip


def cases(org: str) -> list[c.SealedCase]:
    request = filing(
        "subject_request",
        "bank",
        {
            "right": "withdraw",
            "responsible": "institution",
            "holders": ["institution", "bank"],
            "sealed": {"institution": "QQ==", "bank": "QQ=="},
            "due_on": day(-4),
        },
    )
    complaint = filing(
        "complaint",
        "institution",
        {"about": "data_use", "responsible": "auditor", "sealed": {"auditor": "QQ=="}, "due_on": day(-4)},
    )
    done = filing(
        "subject_request_outcome",
        "bank",
        {"request": request.digest, "outcome": "done", "reason": "已移出后续输入"},
    )
    return [
        c.SealedCase(filing=request, due_on=day(-4), state="open", mine=org == "institution", outcomes=[done]),
        c.SealedCase(filing=complaint, due_on=day(-4), state="open", mine=org == "auditor", outcomes=[]),
    ]  # fmt: skip


def models() -> list[c.ModelView]:
    shares = [("institution", "code", 1_000_000), ("institution", "structure", 500_000), ("bank", "structure", 500_000),
              ("institution", "parameters", 600_000), ("bank", "parameters", 400_000)]  # fmt: skip
    return [
        c.ModelView(
            model_id="CREDIT-MODEL-1", contract_id=CONTRACT, registered_by="institution", digest=sha("model"), parts={"institution": sha("p1"), "bank": sha("p2")},
            ownership=[{"org_id": o, "part": p, "share_ppm": n} for o, p, n in shares],
            licences=[c.ModelLicence(licensee="exchange", licence="ordinary", may_sublicense=False, may_customise=True, territory="CN", valid_until=day(-200), max_predictions=100_000)],
            users=[c.ModelUser(org_id="institution", standing="owner", purposes=["predict", "customise", "sublicense"]), c.ModelUser(org_id="exchange", standing="licensee", purposes=["predict", "customise"])],
        )
    ]  # fmt: skip


def form(kind: str, contract_id: str | None) -> c.PrefilledForm:
    """As the node fills it in; an assessment's triggers and scope are fixed."""
    event = kind in (
        "incident_report",
        "complaint_outcome",
        "subject_request_outcome",
        "milestone_confirmation",
    )
    content: dict[str, Any] = {} if event else {"valid_until": day(-365)}
    fixed: list[str] = []
    choices: dict[str, list[str]] = {}
    if kind == "impact_assessment":
        content |= {
            "triggers": ["entrusting", "providing"],
            "scope": scope_of(contract()).model_dump(mode="json"),
            "keep_until": day(-1100),
        }
        fixed = ["triggers", "scope"]
    if kind == "source_declaration":
        content |= {"data_set_id": "institution-daily", "schema_digest": sha("s"), "source_kind": "direct",
                    "checks": dict.fromkeys(("notice_given", "consent_free", "policy_complete"), False)}  # fmt: skip
        fixed, choices = ["schema_digest", "source_kind"], {"data_set_id": ["institution-daily"]}
    if kind == "supervision":
        content |= {"entrusted": "operator", "checked_on": day(0)}
        choices = {"entrusted": ["operator", "exchange"]}
    if kind == "component_review":
        content |= {"component": "reconcile", "code_digest": sha("code"), "engine_version": "1"}
        fixed, choices = ["code_digest", "engine_version"], {"component": ["reconcile"]}
    return c.PrefilledForm(kind=kind, contract_id=contract_id, content=content, choices=choices, fixed=fixed)


def add_compliance(
    org: str, get: Any, post: Any, called: Callable[..., None], refuse: Any, todos: Any
) -> None:
    """The endpoints of `hefu.node.console.compliance` and `compliance_lists`."""
    extra = [
        m.Todo(kind="approve_filing", title_zh="复核备案文件：T1-RECON-2026（li 经办）", title_en="Approve a filing", page="filings", subject="D-li"),
        m.Todo(kind="subject_request", title_zh="答复个人信息主体请求", title_en="Answer a data subject", page="subject_requests", subject="x", due_at=NOW + timedelta(days=4)),
        m.Todo(kind="due_soon", title_zh="授权到期（告知书 v2）", title_en="Consent ends", page="calendar", subject=day(-20), due_at=NOW + timedelta(days=20)),
    ]  # fmt: skip
    get("todo", lambda: [*extra, *todos(org)])
    get("contracts/{digest}/cockpit", lambda digest: cockpit(digest))
    get("preparations", lambda: [preparation(), proposal()] if org == "bank" else [])
    get("filings", filings)
    get("filing-forms/{kind}", lambda kind, contract_id=None, subject=None: form(kind, contract_id))
    get("filing-drafts", lambda: [draft(), draft("wang", may=False)])
    get("due-dates", due_dates)
    get("registers/processing", processing)
    get("registers/entrusted", entrusted)
    get("models", lambda: models() if org == "institution" else [])
    get("sealed-cases", lambda: cases(org))

    def prepare(body: c.FilingForm) -> c.FilingDraftView:
        called("prepare", body.kind, body.content)
        return draft("wang", may=False)

    def approve(draft_id: str, body: c.Approval) -> c.FilingView:
        called("approve", draft_id, body.digest)
        return filings()[2]

    def reject(draft_id: str, body: c.Reason) -> None:
        called("reject", draft_id, body.reason)

    def complain(body: c.NewComplaint) -> c.FilingDraftView:
        called("complaint", body.contract_id, body.about, body.words)
        return draft("wang", may=False)

    def request(body: c.NewSubjectRequest) -> c.FilingDraftView:
        called("request", body.contract_id, body.right, body.identifier)
        return draft("wang", may=False)

    def open_words(digest: str) -> c.OpenedWords:
        called("open_words", digest)
        return c.OpenedWords(digest=digest, words="330102199001011234")

    post("filing-drafts", prepare)
    post("filing-drafts/{draft_id}/approve", approve)
    post("filing-drafts/{draft_id}/reject", reject)
    post("complaints", complain)
    post("subject-requests", request)
    post("filings/{digest}/open", open_words)
