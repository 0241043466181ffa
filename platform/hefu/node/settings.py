"""A node's folder and its settings file (`node.json`, no secrets in it).

| below the folder | what |
|---|---|
| `node.json`, `kit.json` | settings, start-up kit |
| `database.url` (0600) | the node's own database |
| `keys/` | identity, sealing and TLS keys, encrypted under the passphrase |
| `public/` | the application and the certificate, for others to read |
| `data/`, `work/`, `results/` | data sets' files, a job's temporary files, sealed halves and opened results |
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from hefu.domain.kit import Kit


class NodeSettings(BaseModel):
    """What a node needs to start."""

    model_config = ConfigDict(extra="forbid")

    org_id: str
    host: str = "127.0.0.1"  # what others are told
    listen: str = "127.0.0.1"
    port: int
    channel_host: str = "127.0.0.1"
    channel_port: int
    sync_seconds: float = 2.0
    compute_deadline_seconds: float = 1800.0
    worker_memory_mb: int = 8192
    open_results: bool = False  # open a result as it arrives, instead of waiting for a person
    sign_contracts: bool = (
        False  # never on in production: sign what arrives without a person (unattended demo)
    )


class NodePaths:
    """Where things lie below the node's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings = root / "node.json"
        self.kit = root / "kit.json"
        self.database_url = root / "database.url"
        self.keys = root / "keys"
        self.public = root / "public"
        self.application = root / "public" / "application.dsse"
        self.certificate = root / "public" / "tls.pem"
        self.data = root / "data"
        self.work = root / "work"
        self.results = root / "results"

    def make(self) -> None:
        """Create the folders, readable by their owner alone."""
        for folder in (self.root, self.public, self.data, self.work, self.results):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)


def load_settings(paths: NodePaths) -> NodeSettings:
    """The node's settings. Raises FileNotFoundError when `hefu node init` has not run."""
    return NodeSettings.model_validate_json(paths.settings.read_bytes())


def load_kit(paths: NodePaths) -> Kit:
    """The start-up kit."""
    return Kit.from_bytes(paths.kit.read_bytes())


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, in one step."""
    temporary = path.with_name(path.name + ".new")
    temporary.touch(mode=0o600)
    temporary.chmod(0o600)
    temporary.write_bytes(content)
    temporary.replace(path)
