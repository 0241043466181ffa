"""Bringing a database up to date with Alembic; one history per kind of database."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config

Kind = Literal["coordinator", "node"]


def configuration(url: str, kind: Kind) -> Config:
    """Alembic's configuration for one kind of database."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations" / kind))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "v%%(rev)s")
    config.attributes["url"] = url
    return config


def upgrade(url: str, kind: Kind) -> None:
    """Apply every migration that is missing."""
    command.upgrade(configuration(url, kind), "head")
