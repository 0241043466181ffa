"""The coordinator's folder and settings.

| below the folder | what |
|---|---|
| `coordinator.json` | settings |
| `database.url` (0600) | its own database, the ledger in a schema of its own |
| `keys/` | signing key, CA key, ledger key, TLS key, encrypted under the passphrase |
| `ca.pem`, `tls.pem`, `kit.json` | certificates, the start-up kit as it is handed out |
| `internal.token` (0600) | the flow runner's bearer token |
| `checkpoint` | the last signed checkpoint, outside the database |
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from hefu.domain.kit import Kit


class CoordinatorSettings(BaseModel):
    """What the coordinator needs to start."""

    model_config = ConfigDict(extra="forbid")

    host: str = "127.0.0.1"
    port: int
    operator: str
    ledger_origin: str
    lease_seconds: int = 30
    order_seconds: int = 120
    compute_deadline_seconds: float = 1800.0


class CoordinatorPaths:
    """Where things lie below the coordinator's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings = root / "coordinator.json"
        self.database_url = root / "database.url"
        self.ledger_dsn = root / "ledger.dsn"
        self.keys = root / "keys"
        self.ca_key = root / "keys" / "ca.key"
        self.log_key = root / "keys" / "ledger.key"
        self.ca_certificate = root / "ca.pem"
        self.certificate = root / "tls.pem"
        self.kit = root / "kit.json"
        self.token = root / "internal.token"
        self.checkpoint = root / "checkpoint"


def load_settings(paths: CoordinatorPaths) -> CoordinatorSettings:
    """The coordinator's settings. Raises FileNotFoundError when `hefu coordinator init` has not run."""
    return CoordinatorSettings.model_validate_json(paths.settings.read_bytes())


def load_kit(paths: CoordinatorPaths) -> Kit:
    """The start-up kit as it is handed out."""
    return Kit.from_bytes(paths.kit.read_bytes())
