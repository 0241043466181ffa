"""The part of the client of a node's console API that is about contracts' life: templates, approvals, exclusion lists, effect."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hefu.domain.contract_diff import ClauseChange
from hefu.domain.contract_life import Duty
from hefu.domain.rules.exclusion import ExclusionKind
from hefu.node.console_models import ContractView, ExclusionCount, Note, OneSubject, PublishedView
from hefu.node.contract_life_models import (
    ApprovalView,
    PreparationView,
    RenewalRequest,
    TemplateView,
    TwoPersonRule,
)
from hefu.node.effect_view import EffectView

if TYPE_CHECKING:
    from hefu_ui.node_api import NodeApi


class GovernanceApi:
    """As one person sees and changes it."""

    def __init__(self, node: NodeApi) -> None:
        self._node = node

    def templates(self) -> list[TemplateView]:
        return self._node.get("contracts/templates", list[TemplateView])

    def published(self) -> list[PublishedView]:
        return self._node.get("data-sets/published", list[PublishedView])

    def approvals(self) -> list[ApprovalView]:
        return self._node.get("approvals", list[ApprovalView])

    def turn_down(self, preparation_id: str, reason: str) -> PreparationView:
        path = f"preparations/{_part(preparation_id)}/refuse"
        return self._node.post(path, PreparationView, Note(text=reason))

    def two_person(self) -> bool:
        """Whether the organisation has the two-person rule."""
        return self._node.get("two-person", TwoPersonRule).enabled

    def set_two_person(self, enabled: bool) -> TwoPersonRule:
        return self._node.put("two-person", TwoPersonRule, TwoPersonRule(enabled=enabled))

    def changes(self, digest: str) -> list[ClauseChange]:
        """What this version changes against the one before."""
        return self._node.get(f"contracts/{_part(digest)}/changes", list[ClauseChange])

    def duties(self, digest: str) -> list[Duty]:
        return self._node.get(f"contracts/{_part(digest)}/duties", list[Duty])

    def renew(self, digest: str, request: RenewalRequest) -> ContractView:
        """The next version as the node drafts it; nothing is stored."""
        return self._node.post(f"contracts/{_part(digest)}/renewal", ContractView, request)

    def exclusions(self) -> list[ExclusionCount]:
        return self._node.get("exclusions", list[ExclusionCount])

    def exclude(
        self, content: bytes, kind: ExclusionKind, data_set_id: str, contract_id: str
    ) -> ExclusionCount:
        """Put a whole list on the exclusion list: one identifier a line."""
        scope: dict[str, Any] = {"kind": kind, "data_set_id": data_set_id, "contract_id": contract_id}
        return self._node.hand_in("exclusions/list", ExclusionCount, content, **scope)

    def lift(
        self, identifier: str, kind: ExclusionKind, data_set_id: str, contract_id: str
    ) -> ExclusionCount:
        """Take one person's entry off the list again."""
        one = OneSubject(identifier=identifier, kind=kind, data_set_id=data_set_id, contract_id=contract_id)
        return self._node.post("exclusions/lift", ExclusionCount, one)

    def effect(self, digest: str, first: date, last: date, utility: str = "") -> EffectView:
        period: dict[str, Any] = {"from": first.isoformat(), "until": last.isoformat(), "utility": utility}
        return self._node.get(f"contracts/{_part(digest)}/effect", EffectView, **period)


def _part(value: str) -> str:
    return quote(value, safe="")
