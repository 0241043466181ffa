"""The governance part of the double of a node: templates, published data sets, approvals, preparations, exclusions, effect."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from hefu.domain.approval import Approval, ApprovalKind, ApprovalState
from hefu.domain.contract import ContractState
from hefu.domain.contract_diff import ClauseChange, compare
from hefu.domain.contract_life import Duty, duties_after
from hefu.node import console_models as m
from hefu.node.contract_life_models import ApprovalView, PreparationView, RenewalRequest, TwoPersonRule
from hefu.node.effect_view import EffectFigures, EffectView
from hefu.node.template_drafts import list_views

from double_values import CONTRACT, NOW, PEOPLE, ago, contract, contract_view, data_set_view, sha  # type: ignore[import-not-found]  # isort: skip


def published() -> list[m.PublishedView]:
    views = [data_set_view(org) for org in ("institution", "bank")]
    return [
        m.PublishedView(owner=v.definition.owner, definition=v.definition, schema_digest=v.schema_digest)
        for v in views
    ]


def waiting_contract() -> Any:
    return contract(1, "T1-RECON-2027", "二期：多机构多银行对账")


def approvals(org: str) -> list[ApprovalView]:
    """One open with two days left, one overdue, one refused with its reason, one withdrawn."""
    asked = tuple(PEOPLE)
    open_one = Approval(
        kind=ApprovalKind.CONTRACT_SIGNATURE, subject=waiting_contract().digest, requested_by="institution", asked=asked, opened_at=ago(5), deadline=NOW + timedelta(days=2, hours=5),
    ).answer("institution", approved=True, at=ago(5)).answer("operator", approved=True, at=ago(4))  # fmt: skip
    late = Approval(
        kind=ApprovalKind.AMENDMENT, subject=sha("late"), requested_by="bank", asked=("bank", "regulator"), opened_at=ago(20), deadline=ago(1),
    ).answer("bank", approved=True, at=ago(20)).expire(NOW)  # fmt: skip
    refused = late.model_copy(update={"subject": sha("refused"), "deadline": ago(-3), "state": ApprovalState.OPEN, "closed_at": None}).answer(
        "regulator", approved=False, at=ago(2), reason="用途不具体"
    )  # fmt: skip
    withdrawn = Approval(
        kind=ApprovalKind.CONTRACT_SIGNATURE, subject=sha("gone"), requested_by="institution", asked=asked, opened_at=ago(9), deadline=ago(-1),
    ).withdraw("institution", at=ago(8), reason="字段有误")  # fmt: skip
    return [
        ApprovalView(contract_id="T1-RECON-2027", approval=open_one, waits_for=list(open_one.waits_for()), urgency="due", days_left=2, waits_for_us=org in open_one.waits_for(),
                     differences=["bank：调度方称已签，本节点没有其签名 / said to have signed, no signature here"] if org == "auditor" else []),
        ApprovalView(contract_id="T1-RECON-2026", approval=late, waits_for=[], urgency="overdue", days_left=-1, waits_for_us=False),
        ApprovalView(contract_id="T1-RECON-2025", approval=refused, waits_for=[], urgency="closed", days_left=3, waits_for_us=False),
        ApprovalView(contract_id="T1-RECON-2024", approval=withdrawn, waits_for=[], urgency="closed", days_left=1, waits_for_us=False),
    ]  # fmt: skip


def proposal() -> PreparationView:
    """A proposal that somebody else prepared."""
    return preparation(contract(1, "T1-RECON-2028", "三期对账"))


def preparation(document: Any) -> PreparationView:
    """The proposal of this contract, prepared by Li."""
    return PreparationView(
        preparation_id="P2", kind="propose", subject=document.digest, prepared_by="li", prepared_at=ago(0.2), state="prepared", document=document.to_bytes().decode(),
    )  # fmt: skip


def effect(digest: str, first: str, until: str, utility: str) -> EffectView:
    figures = EffectFigures(
        contract_id=CONTRACT, period_from=first, period_until=until, jobs={"succeeded": 27, "data_missing": 2, "refused": 1}, refusals={"consent_chain_broken": 1, "group_too_small": 3},
        incidents=1, complaints=0, median_decision_seconds=5400,
    )  # fmt: skip
    return EffectView(
        figures=figures, uncounted=1, report_zh=f"# 效果评估：{CONTRACT}\n\n任务 30", report_en=f"# Effect evaluation: {CONTRACT}\n\n30 jobs",
        content={"contract_id": CONTRACT, "period_from": first, "period_until": until, "jobs": figures.jobs, "refusals": figures.refusals, "incidents": 1, "complaints": 0, "median_decision_seconds": 5400, "utility": utility},
    )  # fmt: skip


def add_governance(
    org: str, app: Any, get: Any, post: Any, put: Any, called: Callable[..., None], refuse: Any
) -> None:
    """The endpoints of contract life, exclusions and effect that the console asks."""
    s = app.state
    s.exclusions = {("institution-daily", "", "withdraw"): 12, ("", CONTRACT, "opt_out"): 3}
    get("contracts/templates", list_views)
    get("data-sets/published", published)
    get("approvals", lambda: approvals(org))
    get("contracts/{digest}/pdf", _pdf)

    def turn_down(preparation_id: str, body: m.Note) -> PreparationView:
        called("turn_down", preparation_id, body.text)
        return proposal().model_copy(update={"state": "refused"})

    post("preparations/{preparation_id}/refuse", turn_down)

    def counts() -> list[m.ExclusionCount]:
        shown = s.exclusions if org == "institution" else {}
        return [
            m.ExclusionCount(data_set_id=d, contract_id=c, kind=k, entries=n)
            for (d, c, k), n in shown.items()
        ]

    get("exclusions", counts)

    async def take(request: Request, kind: str, data_set_id: str = "", contract_id: str = "") -> Any:
        lines = (await request.body()).decode("utf-8-sig").splitlines()
        return await run_in_threadpool(_add, lines, kind, data_set_id, contract_id)

    def _add(lines: list[str], kind: Any, data_set_id: str, contract_id: str) -> m.ExclusionCount:
        for n, line in enumerate(lines, 1):
            if not line.strip():
                raise refuse(422, "list_invalid", f"名单第 {n} 行无法识别；未保存任何内容", f"line {n} can't be read", "请改正后重新上传")  # fmt: skip
        called("exclude", kind, data_set_id, contract_id, len(lines))
        key = (data_set_id, contract_id, kind)
        s.exclusions[key] = s.exclusions.get(key, 0) + len(lines)
        return m.ExclusionCount(data_set_id=data_set_id, contract_id=contract_id, kind=kind, entries=s.exclusions[key], read=len(lines))  # fmt: skip

    post("exclusions/list", take)

    def lift(body: m.OneSubject) -> m.ExclusionCount:
        called("lift", body.kind, body.data_set_id, body.contract_id, body.identifier)
        return m.ExclusionCount(data_set_id=body.data_set_id, contract_id=body.contract_id, kind=body.kind, entries=11, read=1)  # fmt: skip

    post("exclusions/lift", lift)

    def figures(digest: str, request: Request) -> EffectView:
        q = request.query_params
        return effect(digest, q["from"], q["until"], q.get("utility", ""))

    get("contracts/{digest}/effect", figures)
    _add_life(org, s, get, post, put, called, refuse)


def _add_life(
    org: str, s: Any, get: Any, post: Any, put: Any, called: Callable[..., None], refuse: Any
) -> None:
    """The two-person rule; changes, duties and renewal of a contract."""
    s.two_person = True
    get("two-person", lambda: TwoPersonRule(enabled=s.two_person))

    def set_rule(body: TwoPersonRule) -> TwoPersonRule:
        called("two_person", body.enabled)
        s.two_person = body.enabled
        return body

    put("two-person", set_rule)

    def changes(digest: str) -> list[ClauseChange]:
        return compare(contract(), s.contracts[digest].document)

    def duties(digest: str) -> list[Duty]:
        view = s.contracts[digest]
        return duties_after(view.document, ContractState(view.summary.state))

    def renewal(digest: str, body: RenewalRequest) -> m.ContractView:
        old = s.contracts[digest].document
        if body.max_uses < old.limits.max_uses:
            raise refuse(422, "clause_invalid", "不得少于前一版本", "no fewer than the version before", "请提高次数")  # fmt: skip
        limits = old.limits.model_copy(update={"max_uses": body.max_uses, "valid_until": body.valid_until})
        new = old.model_copy(update={"version": old.version + 1, "previous": old.digest, "limits": limits})
        called("renew", body.max_uses)
        return contract_view(org, ContractState.SIGNING, new, set())

    get("contracts/{digest}/changes", changes)
    get("contracts/{digest}/duties", duties)
    post("contracts/{digest}/renewal", renewal)


def _pdf(digest: str, language: str) -> Any:
    from fastapi import Response

    return Response(b"%PDF-1.7 " + digest.encode() + language.encode(), media_type="application/pdf")
