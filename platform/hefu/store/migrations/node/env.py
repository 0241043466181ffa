"""How Alembic reaches a node's database: the URL is given by the caller, the tables are ours."""

from typing import Literal

import hefu.store.node_tables
from alembic import context
from hefu.store.base import NODE
from sqlalchemy import create_engine

__all__ = ["hefu"]


def render_item(kind: str, item: object, _context: object) -> str | Literal[False]:
    """SQLModel's string type as plain SQLAlchemy, so that a migration imports nothing else."""
    return "sa.String()" if kind == "type" and type(item).__name__ == "AutoString" else False


engine = create_engine(context.config.attributes["url"], connect_args={"connect_timeout": 10})
with engine.connect() as connection:
    context.configure(connection=connection, render_item=render_item, target_metadata=NODE)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
