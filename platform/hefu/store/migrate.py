"""Bringing a database up to date with Alembic; one history per kind of database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy import create_engine, inspect, text

if TYPE_CHECKING:
    from alembic.config import Config

Kind = Literal["coordinator", "node"]
_MIGRATIONS = Path(__file__).parent / "migrations"


def configuration(url: str, kind: Kind) -> Config:
    """Alembic's configuration for one kind of database."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS / kind))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "v%%(rev)s")
    config.attributes["url"] = url
    return config


def upgrade(url: str, kind: Kind) -> None:
    """Apply every migration that is missing. A database that is up to date is left alone, without loading Alembic."""
    if is_current(url, kind):
        return
    from alembic import command

    command.upgrade(configuration(url, kind), "head")


def is_current(url: str, kind: Kind) -> bool:
    """Whether the database bears the newest revision: that of the last migration by name (a date and a deed)."""
    newest = max(path.stem.removeprefix("v") for path in (_MIGRATIONS / kind / "versions").glob("v*.py"))
    engine = create_engine(url, connect_args={"connect_timeout": 10})
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return False
            return connection.execute(text("select version_num from alembic_version")).scalar() == newest
    finally:
        engine.dispose()
