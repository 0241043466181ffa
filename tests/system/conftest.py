"""The whole system as real processes, started once for all tests of this folder.

Every test takes business dates, and where limits matter a contract, of its own; who stops a process starts it again.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hefu.domain.identity import Role, uscc_check_character
from hefu.local.bootstrap import add_sample_accounts, admit_everybody, register_data_sets
from hefu.local.organisations import ORGANISATIONS
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
def organisations() -> Iterator[None]:
    """A second institution and a second bank beside the six of the demo."""
    for name, number in (("institution", 71), ("bank", 72)):
        profile = ORGANISATIONS[name]
        first17 = f"919900000000000{number}"
        ORGANISATIONS[f"{name}2"] = replace(
            profile,
            legal_name=profile.legal_name + "二号",
            legal_name_en=profile.legal_name_en + " two",
            uscc=first17 + uscc_check_character(first17),
            controlling_shareholder=f"示例控股{number}号 / Sample Holding {number}",
            roles=(Role.DATA_PROVIDER,),
        )
    yield
    for name in ("institution2", "bank2"):
        del ORGANISATIONS[name]


@pytest.fixture(scope="session")
def world(scratch: Path, organisations: None) -> Iterator[Any]:
    """Admitted organisations with their data sets and a signed contract, everything running but the console."""
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
        made.schedule_every_minute()  # its first run comes while the first tests are under way
        yield made
        made.close()


@pytest.fixture(scope="session")
def patient(world: Any) -> str:
    """A contract whose jobs do not try again for an hour unless something wakes them."""
    world.sign_contract("T1-PATIENT", retry_seconds=3600)
    return "T1-PATIENT"


@pytest.fixture(scope="session")
def hasty(world: Any) -> str:
    """A contract that waits for nobody."""
    world.sign_contract("T1-HASTY", cutoff_minutes=0)
    return "T1-HASTY"


@pytest.fixture(scope="session")
def scheduled(world: Any) -> tuple[str, list[date]]:
    """A contract whose schedule fires every minute, and the days it has to cover."""
    return world.SCHEDULED, world.scheduled_days


@pytest.fixture(autouse=True)
def everything_runs(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test whatever it stopped runs again, so that the next one starts from a whole system."""
    yield
    if "world" in request.fixturenames:
        request.getfixturevalue("world").revive()
