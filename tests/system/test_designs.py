"""A contract that asks for design S: the same day, the same truth, and the compute nodes see no pairs."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.server


def test_a_day_reconciled_by_sorting_on_shares_gives_the_truth_of_every_row(world: Any) -> None:
    world.sign_contract("T1-DESIGN-S", design="S")
    day = world.new_day()
    truth = world.deliver_sample(day, rows=300)
    job_id = world.run_day(day, "T1-DESIGN-S")
    statuses = world.statuses(job_id)
    assert len(statuses) == 600
    assert set(statuses.values()) >= {"match", "amount_mismatch", "missing_at_bank"}
    assert all(truth.expected(owner, row) == status for (owner, row), status in statuses.items())
    shown = world.at("bank").get(f"/console/jobs/{job_id}")["summary"]
    contract = world.at("bank").get(f"/console/contracts/{shown['contract_digest']}")["document"]
    assert contract["computation"]["steps"][0]["parameters"]["design"] == "S"
