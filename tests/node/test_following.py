"""A node reads registry, contracts and filings when the coordinator's change counter has moved, and when it has to."""

from typing import Any

import pytest
from hefu.node import following
from hefu.node.following import Follower
from hefu.wire.errors import PeerUnreachable

READ = ["/api/participants", "/api/contracts", "/api/filings"]


@pytest.fixture
def ctx(world: Any, node: Any) -> Any:
    ctx = node("bank")
    ctx.client.answers |= {
        ("POST", "/api/applications"): {},
        ("GET", "/api/changes"): {"counter": 7},
        ("GET", "/api/participants"): world.registry(),
        ("GET", "/api/contracts"): [],
        ("GET", "/api/filings"): [],
    }
    return ctx


def look(ctx: Any, follower: Follower, *, woken: bool = False) -> list[str]:
    """What one round reads."""
    ctx.client.asked.clear()
    follower.look(woken=woken)
    return [path for method, _, path, _ in ctx.client.asked if method == "GET" and path != "/api/changes"]


def test_reads_only_when_something_changed(ctx: Any) -> None:
    follower = Follower(ctx, None)
    assert look(ctx, follower) == READ
    assert look(ctx, follower) == []
    ctx.client.answers["GET", "/api/changes"] = {"counter": 8}
    assert look(ctx, follower) == READ
    assert look(ctx, follower) == []
    ctx.client.answers["GET", "/api/changes"] = {"counter": 3}  # a coordinator that came back from a backup
    assert look(ctx, follower) == READ


def test_reads_when_there_is_something_to_hand_in(ctx: Any) -> None:
    follower = Follower(ctx, None)
    look(ctx, follower)
    assert look(ctx, follower, woken=True) == READ


def test_reads_everything_now_and_then_whatever_the_counter_says(ctx: Any, monkeypatch: Any) -> None:
    follower = Follower(ctx, None)
    look(ctx, follower)
    late = following.time.monotonic() + following.WHOLE_ROUND_SECONDS
    monkeypatch.setattr(following.time, "monotonic", lambda: late)
    assert look(ctx, follower) == READ


def test_reads_again_what_it_could_not_take(ctx: Any, world: Any) -> None:
    contract = world.contract()
    bad = {**world.bundle(contract), "signatures": {"bank": "AAAA"}}
    ctx.client.answers["GET", "/api/contracts"] = [{"digest": contract.digest, "state": "signing"}]
    ctx.client.answers["GET", f"/api/contracts/{contract.digest}"] = bad
    follower = Follower(ctx, None)
    assert READ[1] in look(ctx, follower)
    assert READ[1] in look(ctx, follower)
    ctx.client.answers["GET", f"/api/contracts/{contract.digest}"] = world.bundle(contract)
    assert READ[2] in look(ctx, follower)
    ctx.client.answers["GET", "/api/contracts"] = []
    assert look(ctx, follower) == []


def test_reads_again_what_was_interrupted(ctx: Any) -> None:
    del ctx.client.answers["GET", "/api/filings"]
    follower = Follower(ctx, None)
    for _ in range(2):
        with pytest.raises(PeerUnreachable):
            follower.look()
    ctx.client.answers["GET", "/api/filings"] = []
    assert look(ctx, follower) == READ
