"""Six organisations and their contracts, as the tests of enforcement use them."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def world() -> Any:
    """Made by `tests/node/kit.py`, which is loaded once."""
    return _load("hefu_world_kit", Path(__file__).parents[1] / "node" / "kit.py").make_world()


@pytest.fixture(scope="session")
def kit() -> Any:
    """`compliant.py`: a contract with all its filings, and what judges a spoilt one."""
    return _load("hefu_compliant_kit", Path(__file__).with_name("compliant.py"))


@pytest.fixture
def case(world: Any, kit: Any) -> Any:
    """A contract that meets every rule; the test spoils it."""
    return kit.Case(world)


def _load(name: str, path: Path) -> Any:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError(name)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
