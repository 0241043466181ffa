"""Figures of a result: counts and cents, in all and by organisation. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hefu.components.reconcile import Batch, ReconcileResult, Status


def summarise(result: ReconcileResult, batches: Sequence[Batch]) -> dict[str, Any]:
    """Counts and cents of a result, in all and by organisation.

    Pairs count once (at the institution's row); a row missing at the institution is 疑似账外: funds without business.
    """
    sides = {batch.owner: batch.side for batch in batches}
    names = (
        np.array([*result.owners, ""], dtype=object)[result.owner]
        if len(result.owner)
        else np.array([], dtype=object)
    )
    per_owner: list[dict[str, Any]] = []
    for owner, side in sides.items():
        mine = names == owner
        counts = np.bincount(result.status[mine], minlength=len(Status))
        missing = int(counts[Status.MISSING_AT_BANK] + counts[Status.MISSING_AT_INSTITUTION])
        difference = np.abs(result.difference_cents[mine]) if result.difference_revealed else None
        per_owner.append(
            {
                "owner": owner,
                "side": side,
                "rows": int(mine.sum()),
                "match": int(counts[Status.MATCH]),
                "amount_mismatch": int(counts[Status.AMOUNT_MISMATCH]),
                "missing": missing,
                "conflict": int(counts[Status.TOKEN_CONFLICT]),
                "difference_cents": None
                if difference is None
                else sum(int(d) for d in difference[difference != 0]),
            }
        )
    at = {side: [s for s in per_owner if s["side"] == side] for side in ("institution", "bank")}
    rows = sum(s["rows"] for s in per_owner)
    matched = sum(s["match"] for s in per_owner)
    revealed = result.difference_revealed
    return {
        "matched": sum(s["match"] for s in at["institution"]),
        "mismatched": sum(s["amount_mismatch"] for s in at["institution"]),
        "missing_at_bank": sum(s["missing"] for s in at["institution"]),
        "missing_at_institution": sum(s["missing"] for s in at["bank"]),
        "conflicts": sum(s["conflict"] for s in per_owner),
        "difference_cents": sum(s["difference_cents"] for s in at["institution"]) if revealed else None,
        "match_rate": matched / rows if rows else None,
        "rows": rows,
        "sides": per_owner,
    }
