"""What every table shares: separate metadata per database, and the engine that opens one.

A row is not the thing: rows validate nothing (SQLModel tables do not), documents do. Times are `timestamptz`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, DateTime, Engine, LargeBinary, MetaData, create_engine
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

COORDINATOR = MetaData()
NODE = MetaData()


class CoordinatorRow(SQLModel):
    """A row of the coordinator's database."""

    metadata = COORDINATOR


class NodeRow(SQLModel):
    """A row of a node's database."""

    metadata = NODE


def now() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)


def moment(**options: Any) -> Any:
    """A timestamptz column; required unless nullable=True is given."""
    nullable = bool(options.pop("nullable", False))
    index = bool(options.pop("index", False))
    if nullable:
        options.setdefault("default", None)
    return Field(sa_column=Column(DateTime(timezone=True), nullable=nullable, index=index), **options)


def blob(*, nullable: bool = False) -> Any:
    """A bytea column: signed bytes are kept as they were signed (jsonb does not keep bytes)."""
    if nullable:
        return Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    return Field(sa_column=Column(LargeBinary, nullable=False))


def json_column(factory: Any = dict) -> Any:
    """A jsonb column for what is only shown, never signed."""
    return Field(default_factory=factory, sa_column=Column(JSONB, nullable=False))


def open_engine(url: str, *, pool_size: int = 10) -> Engine:
    """A pooled engine that notices dead connections (PostgreSQL restarted) before it hands one out."""
    return create_engine(
        url, pool_size=pool_size, max_overflow=20, pool_pre_ping=True, connect_args={"connect_timeout": 10}
    )
