"""The start-up kit: what a node must know before it can believe anything, handed over out of band."""

from __future__ import annotations

from hefu.domain.document import Document, Key32, Name


class Kit(Document):
    """The coordinator's address and keys, the ledger's key, and the applications of auditor and regulator.

    applications  org id → base64 of the self-signed application's envelope
    """

    coordinator_url: Name
    coordinator_key: Key32
    coordinator_certificate: str
    ca_certificate: str
    ledger_origin: Name
    ledger_vkey: Name
    operator: Name
    applications: dict[str, str]
