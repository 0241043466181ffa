"""A contract's next version out of the newest one: later validity and more uses, everything else as it was signed."""

from __future__ import annotations

from datetime import datetime, timedelta

from hefu.components.registry import code_digest
from hefu.domain.contract import Contract
from hefu.engine import ENGINE_VERSION
from hefu.node import contracts, drafts
from hefu.node.context import NodeContext
from hefu.node.draft_parts import build, clause_invalid
from hefu.store.base import now


def renew(
    ctx: NodeContext, digest: str, *, valid_until: datetime, max_uses: int, signing_days: int
) -> Contract:
    """The next version, ready to be proposed; nothing is stored. Code digests are those installed here, so that a change shows.

    raises  Refusal: not_found (404) · clause_invalid (422) where it would not reach further than the version before
    """
    old = contracts.stored(ctx, digest)[1]
    version, previous = drafts.predecessor(ctx, old.contract_id)
    if valid_until <= old.limits.valid_until:
        raise clause_invalid(
            "limits.valid_until",
            f"须晚于前一版本的 {old.limits.valid_until.isoformat()}",
            f"must be later than the {old.limits.valid_until.isoformat()} of the version before",
        )
    if max_uses < old.limits.max_uses:
        raise clause_invalid(
            "limits.max_uses",
            f"使用次数跨版本累计，不得少于前一版本的 {old.limits.max_uses}",
            f"uses are counted over all versions: no fewer than the {old.limits.max_uses} of the version before",
        )
    value = dict(old)
    steps = tuple(
        step.model_copy(update={"code_digest": code_digest(step.component), "engine_version": ENGINE_VERSION})
        for step in old.computation.steps
    )
    value |= {
        "version": version,
        "previous": previous,
        "proposer": ctx.org_id,
        "computation": old.computation.model_copy(update={"steps": steps}),
        "limits": old.limits.model_copy(update={"valid_until": valid_until, "max_uses": max_uses}),
        "signing_deadline": now().replace(microsecond=0) + timedelta(days=signing_days),
    }
    return build(Contract, "", **value)


def version_before(ctx: NodeContext, contract: Contract) -> Contract | None:
    """The version that this one follows; None for the first. Raises Refusal (not_found) where this node lacks it."""
    return None if contract.previous is None else contracts.stored(ctx, contract.previous)[1]
