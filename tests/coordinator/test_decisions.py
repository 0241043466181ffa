"""Release decisions: of the reviewer whom the contract names, for exactly this attempt, in its own name, once."""

from typing import Any

import pytest
from hefu.coordinator import decisions, jobs
from hefu.domain.job import JobState, Stage
from hefu.store.base import now
from hefu.store.coordinator_tables import StageRow

pytestmark = pytest.mark.server


def test_who_decides_about_what_in_whose_name(office: Any, days: Any, code: Any) -> None:
    contract = office.everybody().active()
    w, ctx = office.world, office.ctx
    job = jobs.create(ctx, "HF-TEST-1", days(2), by="regulator", reason="manual").job_id
    checked = "c" * 64

    def said(sender: str = "auditor", **changes: Any) -> str:
        of = changes.pop("of", contract)
        document = w.decision(of, **{"job": job, "signed_by": sender, "checked": checked, **changes})
        return str(code(decisions.take, ctx, job, document, sender))

    assert said() == "decided_already"  # nothing waits for it yet
    with ctx.session() as session:
        body = {"passed": True, "halves": {"operator": "a" * 64, "exchange": "b" * 64}}
        checked = ctx.record(session, "output_checked", body, contract=contract.digest, job=job, attempt=1)
        session.add(
            StageRow(
                job_id=job,
                stage=Stage.CHECK_OUTPUT.value,
                attempt=1,
                state="passed",
                started_at=now(),
                parties={"envelope_id": checked},
            )
        )
        session.commit()
    assert said() == "decided_already"  # the release has not come to it
    office.set_job(job, state=JobState.AWAITING_REVIEW.value)
    assert said("bank", org_id="bank") == "not_reviewer"
    assert said(attempt=2) == "not_reviewer"
    assert said(job="J20260302BBBBBBBB") == "not_reviewer"
    assert said(of=w.contract(version=2, previous=contract.digest)) == "not_reviewer"
    assert said(org_id="bank") == "not_reviewer"  # N0 and N2 would not count it, and the job fail for good
    assert said(checked="d" * 64) == "another_result"
    assert said() == "ok"
    assert said() == "decided_already"
