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


@pytest.fixture
def node(world: Any, database: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`node("bank", contract)`: that organisation's node, where the contract (if given) is in force."""
    made = []

    def make(org_id: str, *contracts: Any) -> Any:
        ctx = world.node(org_id, database.url, tmp_path)
        made.append(ctx)
        for contract in contracts:
            world.put_in_force(ctx, contract)
        return ctx

    yield make
    for ctx in made:
        ctx.engine.dispose()
