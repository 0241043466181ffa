"""Does a contract pin what was admitted? The coordinator asks at a proposal, and every node again before it signs.

What stands under a party in a contract is what people read and what channels trust: its name as well as its keys and
addresses are those of the application that was reviewed under that very organisation id.
"""

from __future__ import annotations

from hefu.domain.contract import Contract, Party
from hefu.domain.identity import Application
from hefu.domain.kit import Kit

_KIT_CLAUSES = ("operator", "coordinator_key", "ledger_origin", "ledger_vkey")
_SAME_NAME = ("org_id", "legal_name", "legal_name_en", "url", "channel_host", "channel_port")


def platform_differs(contract: Contract, kit: Kit) -> list[str]:
    """The clauses of `platform` that are not the start-up kit's; none where all agree."""
    return [name for name in _KIT_CLAUSES if getattr(contract.platform, name) != getattr(kit, name)]


def party_differs(party: Party, application: Application) -> list[str]:
    """The clauses of a party that are not its admitted application's; none where all agree."""
    admitted = {name: getattr(application, name) for name in _SAME_NAME} | {
        "application": application.digest,
        "identity_key": application.keys.identity,
        "sealing_key": application.keys.sealing,
        "tls_spki": application.keys.tls_spki,
    }
    return [name for name, value in admitted.items() if getattr(party, name) != value]
