"""The organisations of `kit.py` as fixtures, and nodes over a real database."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


def _load(name: str) -> Any:
    """The kit, loaded once: pytest's import mode does not make it importable."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / "kit.py")
        if spec is None or spec.loader is None:
            raise ImportError(name)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def world_kit() -> Any:
    """The module `kit.py`."""
    return _load("hefu_world_kit")


@pytest.fixture(scope="session")
def world(world_kit: Any) -> Any:
    """Six organisations, the same for the whole run."""
    return world_kit.make_world()


@pytest.fixture(scope="session")
def node_database(postgres: Any) -> Iterator[str]:
    """One migrated node database for the whole run; `node` empties it."""
    from hefu.store.migrate import upgrade

    postgres.ensure_role("node_tests", "test-password")
    postgres.ensure_database("node_tests", "node_tests")
    url = postgres.url("node_tests", "node_tests", "test-password")
    upgrade(url, "node")
    yield url
    postgres.drop_database("node_tests")
    postgres.drop_role("node_tests")


@pytest.fixture
def node(world: Any, node_database: str, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`node("bank", contract)`: that organisation's node, where the contract (if given) is in force. One in a test."""
    made = []

    def make(org_id: str, *contracts: Any) -> Any:
        ctx = world.node(org_id, node_database, tmp_path)
        made.append(ctx)
        for contract in contracts:
            world.put_in_force(ctx, contract)
        return ctx

    empty(node_database)
    yield make
    for ctx in made:
        ctx.engine.dispose()


def empty(url: str) -> None:
    from hefu.store.base import NODE, open_engine
    from sqlalchemy import text

    engine = open_engine(url, pool_size=1)
    with engine.begin() as connection:
        connection.execute(text(f"truncate {', '.join(NODE.tables)} restart identity"))
    engine.dispose()
