"""A data subject's request that this holder grants takes effect by being granted: the person is on the exclusion list (K13).

White paper A, 3.3: what a person withdrew, restricted, refused or had deleted is honoured in later jobs. Outcome and list entry
commit together; who the person is was sealed to this node and is in memory only while it is hashed.
"""

from __future__ import annotations

from typing import cast

from sqlmodel import Session

from hefu.domain.filings import Filing, read_filing
from hefu.domain.filings.events import SubjectRequest, SubjectRequestOutcome
from hefu.domain.rules.exclusion import ExclusionKind
from hefu.domain.rules.subject_rights import DUTIES
from hefu.node import exclusions, sealed_words
from hefu.node.context import NodeContext
from hefu.store.node_tables import FilingRow
from hefu.store.signed import decode_envelope


def apply_outcome(ctx: NodeContext, session: Session, filing: Filing, user: str) -> None:
    """Put the person of a granted request on the list, for the request's contract, in the caller's transaction.

    A person who was not found may be in a later file, and goes on the list too; a refused request excludes nobody.
    Nothing happens for other filings, rights that exclude nobody, and parties that hold no data of the request.
    raises  Refusal: not_addressed (403), seal_invalid (409), list_invalid (422): then the outcome is not filed either
    """
    if not isinstance(filing, SubjectRequestOutcome) or filing.outcome == "refused":
        return
    row = session.get(FilingRow, filing.request)
    request = None if row is None else read_filing(decode_envelope(row.envelope).payload)
    if not isinstance(request, SubjectRequest) or ctx.org_id not in request.holders:
        return
    if not DUTIES[request.right].excludes:
        return
    contract, words = sealed_words.unseal(ctx, session, request)
    identifier = words.split("\n", 1)[0].strip()
    kind = cast(ExclusionKind, request.right)
    exclusions.add_one(ctx, session, identifier, kind, user, contract.contract_id, filing.request)
