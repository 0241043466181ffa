"""Two counts of one contract's uses, the coordinator's and a data holder's: where they differ, and whether that has a reason.

The coordinator consumes a use before it orders the computation, a holder when it joins. So a holder's uses are always
among the coordinator's, and a use that the coordinator has alone is one that the holder never joined: its node was out of
reach, or refused. Whatever else differs has no honest reason: the coordinator lost or hid a use, or the holder lost one
that it had confirmed. Then the job stops, and both counts are evidence (white paper A, 3.3; 4.4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from hefu.domain.rules.say import block, note
from hefu.domain.verdict import Finding

Uses = Mapping[str, int]
"""Job → its uses: one for each input that was committed to."""


def digest_of(uses: Uses) -> str:
    """SHA-256 (hex) over the jobs and their uses, in the order of their names: equal counts have equal digests."""
    lines = "".join(f"{job}:{number}\n" for job, number in sorted(uses.items()) if number)
    return hashlib.sha256(lines.encode()).hexdigest()


def compare_counts(holder: str, coordinator: Uses, own: Uses, joined: Sequence[str] = ()) -> list[Finding]:
    """Why a holder's count is not the coordinator's.

    coordinator  read after the holder had answered: else a use in between would look like a lost one
    own          the holder's
    joined       jobs whose use this holder confirmed to the coordinator
    """
    hidden = sorted(job for job, number in own.items() if number > coordinator.get(job, 0))
    lost = sorted(job for job in joined if not own.get(job))
    counts = (sum(coordinator.values()), sum(own.values()))
    if hidden:
        return [_differs("coordinator", holder, counts, hidden)]
    if lost:
        return [_differs(holder, holder, counts, lost)]
    if counts[0] == counts[1]:
        return []
    return [
        note(
            "uses_not_joined",
            "K10",
            f"调度方计 {counts[0]} 次，{holder} 计 {counts[1]} 次：其余任务 {holder} 未参与计算",
            f"the coordinator counts {counts[0]} uses, {holder} {counts[1]}: it did not join the others",
            party=holder,
            seen=str(counts[1]),
            expected=str(counts[0]),
        )
    ]


def _differs(party: str, holder: str, counts: tuple[int, int], jobs: list[str]) -> Finding:
    named = ", ".join(jobs[:5]) + (" …" if len(jobs) > 5 else "")
    return block(
        "use_count_differs",
        "K10",
        f"使用次数不一致：调度方计 {counts[0]} 次，{holder} 计 {counts[1]} 次；{party} 缺少 {named}",
        f"the counts of uses differ: {counts[0]} at the coordinator, {counts[1]} at {holder}; {party} lacks {named}",
        party=party,
        seen=f"coordinator {counts[0]}, {holder} {counts[1]}",
        expected="equal but for uses that the holder never joined",
        mend_zh="由缺少记录的一方按账本中的存证重新计数后，重新发起任务",
        mend_en="let the party that lacks them recount from the evidence in the ledger, then start the job again",
        source="WP-A 3.3",
    )
