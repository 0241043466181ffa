"""Adding accounts to a node from the command line, before anybody can sign in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from sqlmodel import Session

from hefu.node.console_models import NewUser, UserRole
from hefu.node.users import create_user
from hefu.store.base import open_engine
from hefu.store.migrate import upgrade
from hefu.store.node_tables import UserRow


def add_account(
    database_url: str, username: str, display_name: str, password: str, roles: Sequence[str]
) -> None:
    """Add a person; one that is there already is left alone."""
    upgrade(database_url, "node")
    engine = open_engine(database_url, pool_size=1)
    try:
        with Session(engine) as session:
            if session.get(UserRow, username) is None:
                new = NewUser(
                    username=username,
                    display_name=display_name,
                    password=password,
                    roles=[cast(UserRole, r) for r in roles],
                )
                create_user(session, new)
                session.commit()
    finally:
        engine.dispose()
