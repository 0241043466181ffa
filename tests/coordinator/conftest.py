"""The coordinator without its server: real registry, contracts and jobs over a real database; no node answers unless told."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hefu.coordinator import contracts, registry
from hefu.coordinator.context import CoordinatorContext
from hefu.coordinator.directory import Directory
from hefu.coordinator.settings import CoordinatorPaths, CoordinatorSettings
from hefu.store.base import COORDINATOR, open_engine
from hefu.store.coordinator_tables import JobRow
from hefu.store.journal import Journal
from hefu.store.migrate import upgrade
from hefu.wire.refusal import Refusal
from sqlalchemy import text


@pytest.fixture(scope="session")
def world_kit() -> Any:
    """The module `tests/node/kit.py`, loaded once."""
    name = "hefu_world_kit"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / "node" / "kit.py")
        if spec is None or spec.loader is None:
            raise ImportError(name)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def world(world_kit: Any) -> Any:
    return world_kit.make_world()


@pytest.fixture(scope="session")
def coordinator_database(postgres: Any) -> Iterator[str]:
    postgres.ensure_role("coordinator_tests", "test-password")
    postgres.ensure_database("coordinator_tests", "coordinator_tests")
    url = postgres.url("coordinator_tests", "coordinator_tests", "test-password")
    upgrade(url, "coordinator")
    yield url
    postgres.drop_database("coordinator_tests")
    postgres.drop_role("coordinator_tests")


class Office:
    """A coordinator and the world it serves."""

    def __init__(self, world: Any, kit: Any, ctx: CoordinatorContext) -> None:
        self.world, self.kit, self.ctx = world, kit, ctx

    def apply(self, *orgs: str) -> None:
        for org in orgs:
            registry.submit(self.ctx, self.world.application_envelope(org), self.world.own_certificate(org))

    def admit(self, *orgs: str) -> None:
        for org in orgs:
            digest = self.world.applications[org].digest
            registry.review(self.ctx, digest, self.world.review(org), "auditor")
            registry.admit(self.ctx, digest, self.world.admission(org), "operator")

    def everybody(self) -> "Office":
        self.apply(*self.kit.ROLES)
        self.admit(*self.kit.ROLES)
        return self

    def active(self, **changes: Any) -> Any:
        """A contract that everybody signed."""
        contract = self.world.contract(**changes)
        contracts.propose(self.ctx, self.world.signature(contract, "regulator"), "regulator")
        self.sign(contract, *[org for org in self.kit.ROLES if org != "regulator"])
        return contract

    def sign(self, contract: Any, *orgs: str) -> None:
        for org in orgs:
            contracts.sign(self.ctx, contract.digest, self.world.signature(contract, org), org)

    def state(self, contract: Any) -> str:
        with self.ctx.session() as session:
            return contracts.load(session, contract.digest)[0].state

    def job(self, job_id: str) -> JobRow:
        with self.ctx.session() as session:
            return session.get_one(JobRow, job_id)

    def set_job(self, job_id: str, **values: Any) -> None:
        with self.ctx.session() as session:
            row = session.get_one(JobRow, job_id)
            for name, value in values.items():
                setattr(row, name, value)
            session.add(row)
            session.commit()


@pytest.fixture
def office(world: Any, world_kit: Any, coordinator_database: str, tmp_path: Path) -> Iterator[Office]:
    """An empty coordinator."""
    engine = open_engine(coordinator_database, pool_size=20)
    with engine.begin() as connection:
        connection.execute(text(f"truncate {', '.join(COORDINATOR.tables)} restart identity"))
    directory = Directory(engine, world.coordinator.identity.public_key())
    directory.load()
    ctx = CoordinatorContext(
        settings=CoordinatorSettings(port=1, operator="operator", ledger_origin=world_kit.ORIGIN),
        paths=CoordinatorPaths(tmp_path),
        kit=world.kit(),
        keys=world.coordinator,
        ca_key=world.ca_key,
        ca_certificate=world.ca,
        engine=engine,
        directory=directory,
        journal=Journal("coordinator", world.coordinator.identity),
        client=world_kit.Silent(),
    )
    yield Office(world, world_kit, ctx)
    engine.dispose()


@pytest.fixture
def code() -> Callable[..., str]:
    """`code(f, …)`: ok, or the reason code of the refusal."""

    def run(call: Callable[..., Any], *args: Any, **named: Any) -> str:
        try:
            call(*args, **named)
        except Refusal as refusal:
            return str(refusal.body["code"])
        return "ok"

    return run


@pytest.fixture
def days() -> Callable[[int], date]:
    """`days(3)`: three days ago in Shanghai."""
    from hefu.domain.businessdays import business_date
    from hefu.store.base import now

    return lambda ago: business_date(now()) - timedelta(days=ago)
