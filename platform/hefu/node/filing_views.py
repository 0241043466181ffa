"""Filings and drafts as the console shows them."""

from __future__ import annotations

import hashlib

import rfc8785

from hefu.domain.businessdays import business_date
from hefu.domain.filings import Filing, read_filing
from hefu.node.compliance_models import FilingDraftView, FilingView
from hefu.store.base import now
from hefu.store.node_tables import FilingDraftRow, FilingRow
from hefu.store.signed import decode_envelope


def view_filing(row: FilingRow) -> FilingView:
    """A stored filing as the console shows it."""
    filing: Filing = read_filing(decode_envelope(row.envelope).payload)
    return FilingView(
        digest=row.digest,
        kind=row.kind,
        issuer=row.issuer,
        contract_id=row.contract_id,
        issued_at=filing.issued_at,
        valid_until=filing.valid_until,
        in_force=filing.in_force(business_date(now())),
        handed_in=row.handed_in,
        content=filing.model_dump(mode="json"),
    )


def draft_bytes(row: FilingDraftRow) -> bytes:
    """The canonical bytes of what was prepared: an approval names their digest, so that nobody approves anything else."""
    return rfc8785.dumps(
        {
            "kind": row.kind,
            "contract_id": row.contract_id,
            "content": row.content,
            "prepared_by": row.prepared_by,
        }
    )


def draft_digest(row: FilingDraftRow) -> str:
    """SHA-256 of `draft_bytes`."""
    return hashlib.sha256(draft_bytes(row)).hexdigest()


def view_draft(row: FilingDraftRow, *, username: str, approver: bool, two: bool) -> FilingDraftView:
    """A draft as this person sees it. `two`: the organisation has the two-person rule."""
    return FilingDraftView(
        draft_id=row.draft_id,
        kind=row.kind,
        contract_id=row.contract_id,
        content=row.content,
        prepared_by=row.prepared_by,
        prepared_at=row.prepared_at,
        may_approve=approver and not (two and row.prepared_by == username),
        digest=draft_digest(row),
        canonical=draft_bytes(row).decode(),
    )
