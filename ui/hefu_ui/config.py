"""The console's configuration file, `console.json`.

    {"nodes": {"bank": {"url": "https://127.0.0.1:7443", "certificate": "bank.pem", "name_zh": "…", "name_en": "…"}},
     "host": "127.0.0.1", "port": 8501}

Paths are relative to the file. With `certificate` and `private_key` of its own the console serves HTTPS and its cookie
becomes Secure; without them it must listen on loopback only, or behind a proxy that ends TLS (`behind_tls_proxy`).
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hefu_ui.errors import ConfigInvalid


class NodeAddress(BaseModel):
    """Where an organisation's node is, and the one certificate it is believed under."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, Field(pattern=r"^https://[^/]+$")]
    certificate: Path
    name_zh: str
    name_en: str


class ConsoleConfig(BaseModel):
    """What `hefu console serve` needs to know. `theme` overrides entries of the built-in theme, by Streamlit's names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nodes: Annotated[dict[str, NodeAddress], Field(min_length=1)]
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8501
    theme: dict[str, str] = {}
    certificate: Path | None = None
    private_key: Path | None = None
    behind_tls_proxy: bool = False
    idle_minutes: Annotated[int, Field(ge=1, le=720)] = 30

    @property
    def secure(self) -> bool:
        """True when browsers reach the console over TLS."""
        return self.certificate is not None or self.behind_tls_proxy

    @model_validator(mode="after")
    def _no_clear_text_on_a_network(self) -> Self:
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("certificate and private_key belong together")
        if not self.secure and not _is_loopback(self.host):
            raise ValueError("host: without TLS the console listens on loopback only")
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def load_config(path: Path) -> ConsoleConfig:
    """Read console.json; certificate paths become absolute.

    raises  ConfigInvalid when the file or an entry in it cannot be used
    """
    try:
        config = ConsoleConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigInvalid(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ConfigInvalid(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    base = path.resolve().parent
    nodes = {
        org: node.model_copy(update={"certificate": base / node.certificate})
        for org, node in config.nodes.items()
    }
    own = {name: base / value for name in ("certificate", "private_key") if (value := getattr(config, name))}
    return config.model_copy(update={"nodes": nodes, **own})
