"""The compliance part of the client of a node's console API: one method per endpoint (`hefu.node.compliance_models`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hefu.node import compliance_models as c
from hefu.node.console_models import Todo
from hefu.node.contract_life_models import PreparationView

if TYPE_CHECKING:
    from hefu_ui.node_api import NodeApi


class ComplianceApi:
    """Compliance as one person sees and changes it."""

    def __init__(self, node: NodeApi) -> None:
        self._node = node

    def todo(self) -> list[Todo]:
        return self._node.get("todo", list[Todo])

    def cockpit(self, digest: str) -> c.Cockpit:
        return self._node.get(f"contracts/{_part(digest)}/cockpit", c.Cockpit)

    def preparations(self) -> list[PreparationView]:
        return self._node.get("preparations", list[PreparationView])

    def due_dates(self) -> list[c.DueDate]:
        return self._node.get("due-dates", list[c.DueDate])

    def processing(self) -> list[c.ProcessingRecord]:
        return self._node.get("registers/processing", list[c.ProcessingRecord])

    def entrusted(self) -> list[c.EntrustedView]:
        return self._node.get("registers/entrusted", list[c.EntrustedView])

    def models(self) -> list[c.ModelView]:
        return self._node.get("models", list[c.ModelView])

    def filings(self, kind: str | None = None, contract_id: str | None = None) -> list[c.FilingView]:
        return self._node.get("filings", list[c.FilingView], kind=kind, contract_id=contract_id)

    def filing(self, digest: str) -> c.FilingView:
        return self._node.get(f"filings/{_part(digest)}", c.FilingView)

    def form(self, kind: str, contract_id: str | None, subject: str | None) -> c.PrefilledForm:
        path = f"filing-forms/{_part(kind)}"
        return self._node.get(path, c.PrefilledForm, contract_id=contract_id, subject=subject)

    def drafts(self) -> list[c.FilingDraftView]:
        return self._node.get("filing-drafts", list[c.FilingDraftView])

    def prepare(self, kind: str, content: dict[str, Any]) -> c.FilingDraftView:
        return self._node.post("filing-drafts", c.FilingDraftView, c.FilingForm(kind=kind, content=content))

    def approve(self, draft_id: str, digest: str) -> c.FilingView:
        path = f"filing-drafts/{_part(draft_id)}/approve"
        return self._node.post(path, c.FilingView, c.Approval(digest=digest))

    def reject(self, draft_id: str, reason: str) -> None:
        self._node.tell(f"filing-drafts/{_part(draft_id)}/reject", c.Reason(reason=reason))

    def sealed_cases(self) -> list[c.SealedCase]:
        return self._node.get("sealed-cases", list[c.SealedCase])

    def complain(self, said: c.NewComplaint) -> c.FilingDraftView:
        return self._node.post("complaints", c.FilingDraftView, said)

    def request(self, asked: c.NewSubjectRequest) -> c.FilingDraftView:
        return self._node.post("subject-requests", c.FilingDraftView, asked)

    def open_words(self, digest: str) -> c.OpenedWords:
        return self._node.post(f"filings/{_part(digest)}/open", c.OpenedWords)


def _part(value: str) -> str:
    return quote(value, safe="")
