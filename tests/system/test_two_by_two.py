"""Two institutions and two banks in one job: four owners, three compute nodes, eight organisations' processes."""

from __future__ import annotations

from typing import Any

import pytest
from hefu.local.sample import write_samples

pytestmark = pytest.mark.server

INSTITUTIONS, BANKS = ("institution", "institution2"), ("bank", "bank2")


def test_every_row_of_four_owners_gets_its_status(world: Any) -> None:
    data_sets = {
        org: world.register(org, "of-many", org in INSTITUTIONS, many=True) for org in (*INSTITUTIONS, *BANKS)
    }
    contract = "T1-TWO-BY-TWO"
    world.sign_contract(contract, institutions=list(INSTITUTIONS), banks=list(BANKS), data_sets=data_sets)
    day = world.new_day()
    truth = write_samples(
        world.files / "two-by-two", rows=300, days=[day], seed=22, institutions=INSTITUTIONS, banks=BANKS
    ).day(day)
    for owner, path in truth.files.items():
        world.upload(owner, path, data_sets[owner])
    statuses = world.statuses(world.run_day(day, contract))
    expected = {
        (owner, row): truth.expected(owner, row)
        for owner in (*INSTITUTIONS, *BANKS)
        for row in range(1, len(truth.status[owner]) + 1)
    }
    assert statuses == expected
    assert {status for (owner, _), status in statuses.items() if owner == "bank2"} >= {"match"}
