"""The whole system as real processes, started once for all tests of this folder.

Every test takes business dates, and where limits matter a contract, of its own; who stops a process starts it again.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hefu.local.bootstrap import add_sample_accounts, admit_everybody, register_data_sets
from hefu.local.system import LocalSystem

LEASE_SECONDS = 6
"""Shorter than in earnest, so that the take-over of a dead runner's job does not take long to watch."""


def _module(name: str) -> Any:
    """A helper beside this file, under its plain name (tests have no packages)."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
        if spec is None or spec.loader is None:
            raise ImportError(name)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


_world = _module("system_world")


@pytest.fixture(scope="session")
def world(scratch: Path) -> Iterator[Any]:
    """Six admitted organisations with their data sets and a signed contract, everything running but the console."""
    with LocalSystem(scratch / "system", say=lambda *_: None) as system:
        system.initialise()
        settings = json.loads(system.coordinator.settings.read_text())
        system.coordinator.settings.write_text(json.dumps(settings | {"lease_seconds": LEASE_SECONDS}))
        add_sample_accounts(system)
        system.start(console=False)
        admit_everybody(system)
        register_data_sets(system)
        made = _world.World(system, scratch / "files")
        made.sign_contract(_world.MAIN_CONTRACT)
        yield made
        made.close()


@pytest.fixture(autouse=True)
def everything_runs(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test whatever it stopped runs again, so that the next one starts from a whole system."""
    yield
    if "world" in request.fixturenames:
        request.getfixturevalue("world").revive()
