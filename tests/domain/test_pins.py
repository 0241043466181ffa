"""What a contract pins of its parties and its platform, against what was admitted: whatever differs is named."""

from typing import Any

import pytest
from hefu.domain.pins import party_differs, platform_differs

CHANGES = {
    "legal_name": "中国人民银行",
    "legal_name_en": "The People's Bank",
    "application": "0" * 64,
    "identity_key": "A" * 43 + "=",
    "sealing_key": "A" * 43 + "=",
    "tls_spki": "0" * 64,
    "url": "https://elsewhere.example:9000",
    "channel_host": "elsewhere.example",
    "channel_port": 9,
}


def test_as_admitted(world: Any) -> None:
    contract = world.contract()
    for party in contract.parties:
        assert party_differs(party, world.applications[party.org_id]) == []
    assert platform_differs(contract, world.kit()) == []


@pytest.mark.parametrize("clause", CHANGES)
def test_every_clause_is_compared(world: Any, clause: str) -> None:
    party = world.contract().party("bank").model_copy(update={clause: CHANGES[clause]})
    assert party_differs(party, world.applications["bank"]) == [clause]


def test_another_organisations_application_under_ones_name(world: Any) -> None:
    """Reviewed and admitted it may be: as somebody else."""
    contract = world.contract()
    borrowed = contract.party("exchange").model_copy(update={"org_id": "bank"})
    assert party_differs(borrowed, world.applications["exchange"]) == ["org_id"]


@pytest.mark.parametrize("clause", ["operator", "coordinator_key", "ledger_origin", "ledger_vkey"])
def test_another_platform(world: Any, clause: str) -> None:
    contract = world.contract()
    other = {"operator": "exchange", "coordinator_key": "A" * 43 + "="}.get(clause, "other")
    foreign = contract.model_copy(update={"platform": contract.platform.model_copy(update={clause: other})})
    assert platform_differs(foreign, world.kit()) == [clause]
