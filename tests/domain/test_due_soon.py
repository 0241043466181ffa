"""What ends within thirty days: each thing once, neither what is over already nor what ends later."""

import sys
from datetime import timedelta
from typing import Any

import pytest
from hefu.domain.filings import Filings
from hefu.domain.rules.due_soon import due_soon
from hefu.domain.rules.matter import Matter
from hefu.local.sample_filings import general_filings


def world_kit() -> Any:
    """The module `kit.py`, loaded by the fixture `world`."""
    return sys.modules["hefu_world_kit"]


def found(contract: Any, filed: list[Any], in_days: int) -> list[tuple[str | None, str]]:
    day = contract.limits.valid_until.date() - timedelta(days=in_days)
    matter = Matter(contract, Filings.of(filed), {}, day)
    return [(f.party, f.seen) for f in due_soon(matter)]


@pytest.mark.parametrize(("in_days", "soon"), [(31, False), (30, True), (0, True), (-1, False)])
def test_the_contracts_own_end(world: Any, in_days: int, soon: bool) -> None:
    contract = world.contract()
    end = contract.limits.valid_until.date().isoformat()
    assert found(contract, [], in_days) == ([("operator", end)] if soon else [])


def test_a_dossier_and_its_certificate_and_the_newest_filing_alone(world: Any) -> None:
    contract = world.contract()
    end = contract.limits.valid_until.date()
    form = next(
        f
        for f in general_filings(world_kit().ROLES, end - timedelta(days=365))
        if (f.issuer, f.kind) == ("bank", "admission_dossier")
    )
    old = world_kit()._filing(form)
    seen = [party for party, _ in found(contract, [old], 3)]
    assert seen.count("bank") == 2 + len(old.qualifications)  # the dossier and the certificate in it
    later = (end + timedelta(days=365)).isoformat()
    renewed = old.model_copy(
        update={
            "valid_until": later,
            "mlps_expires_on": later,
            "qualifications": (),
            "issued_at": old.issued_at + timedelta(seconds=1),
        }
    )
    assert "bank" not in [party for party, _ in found(contract, [old, renewed], 3)]
