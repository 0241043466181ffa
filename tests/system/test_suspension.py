"""A suspended organisation: refused at its next request, known to every node directly, resumed afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hefu.local.bootstrap import await_true
from hefu.local.console_client import ConsoleError

pytestmark = pytest.mark.server

PARTNERS = ("institution", "bank", "regulator", "operator", "auditor")
"""Who stands in a contract with the exchange; nobody else knows it."""


@pytest.fixture
def resumed(world: Any) -> Iterator[None]:
    """Whatever happens, the exchange is active again afterwards."""
    yield
    world.at("operator").post(
        "/console/participants/exchange/standing", {"standing": "active", "reason": "整改完成 / mended"}
    )
    await_true("resumed everywhere", lambda: _standings(world) == {"active"})


@pytest.mark.usefixtures("resumed")
def test_a_suspended_party_is_refused_at_once_and_resumed_later(world: Any) -> None:
    day = world.new_day()
    world.deliver_sample(day, rows=20)
    exchange = world.at("exchange")
    assert exchange.get("/console/schedules")
    _suspend(world)
    await_true("told everywhere", lambda: _standings(world) == {"suspended"})
    with pytest.raises(ConsoleError) as refused:
        exchange.get("/console/schedules")
    assert "suspended" in str(refused.value.body)
    view = world.await_end(world.start_job(day))
    assert view["summary"]["state"] == "refused"
    said = next(s["verdict"]["findings"] for s in view["stages"] if s["stage"] == "check_participants")
    assert [(f["rule"], f["party"]) for f in said] == [("participant_suspended", "exchange")]


@pytest.mark.usefixtures("resumed")
def test_every_node_learns_of_a_suspension_from_the_operator_without_the_coordinator(world: Any) -> None:
    world.kill("coordinator")
    with contextlib.suppress(ConsoleError, httpx.HTTPError):  # the answer shows the registry, which is away
        _suspend(world)
    await_true("told everywhere", lambda: _standings(world) == {"suspended"})
    world.start("coordinator")


def test_after_the_resumption_jobs_run_again(world: Any) -> None:
    day = world.new_day()
    world.deliver_sample(day, rows=20)
    world.run_day(day)


def _suspend(world: Any) -> None:
    world.at("operator").post(
        "/console/participants/exchange/standing", {"standing": "suspended", "reason": "核查 / under inquiry"}
    )


def _standings(world: Any) -> set[str]:
    """What the nodes that signed a contract with the exchange hold of it."""
    found = set()
    for org in PARTNERS:
        rows = world.query(f"node_{org}", "select standing from peer where org_id = 'exchange'")
        found |= {row[0] for row in rows} or {"unknown"}
    return found
