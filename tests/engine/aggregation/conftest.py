"""A whole aggregation in one thread: the state machines, with clients that leave at a chosen step."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hefu.engine.aggregation import Aggregate, Client, Plan, Server
from hefu.engine.session import Session

CONTEXT = b"context of tests"
STEPS = ("advertise", "share_keys", "masked", "sign", "unmask")


def _coin(*parts: object) -> bytes:
    return hashlib.sha256(repr(parts).encode()).digest()


@dataclass
class World:
    """Plan, clients, vectors and what the server received, under coins from a seed."""

    plan: Plan
    identities: dict[str, Ed25519PrivateKey]
    clients: dict[str, Client]
    vectors: dict[str, Any]
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)

    def run(self, leave: Mapping[str, str] | None = None) -> Aggregate:
        """leave: client -> the step whose message it no longer sends."""
        leave = leave or {}
        gone: set[str] = set()

        def here(step: str, names: Any) -> list[str]:
            gone.update(name for name, at in leave.items() if at == step)
            return [name for name in names if name not in gone]

        server, c = Server(self.plan), self.clients
        self.seen["advertise"] = {n: c[n].advertise() for n in here("advertise", c)}
        out = server.advertise(self.seen["advertise"])
        self.seen["share_keys"] = {n: c[n].share_keys(out[n]) for n in here("share_keys", out)}
        out = server.share_keys(self.seen["share_keys"])
        self.seen["masked"] = {n: c[n].masked_input(out[n], self.vectors[n]) for n in here("masked", out)}
        for name, message in self.seen["masked"].items():
            server.add_masked(name, message)
        out = server.close_masked()
        self.seen["sign"] = {n: c[n].sign_survivors(out[n]) for n in here("sign", out)}
        out = server.sign_survivors(self.seen["sign"])
        self.seen["unmask"] = {n: c[n].unmask(out[n]) for n in here("unmask", out)}
        return server.unmask(self.seen["unmask"])


def make_world(
    clients: int = 4,
    threshold: int | None = None,
    length: int = 5,
    ring_bits: int = 32,
    seed: int = 0,
    vectors: Mapping[str, Any] | None = None,
) -> World:
    names = [f"c{i}" for i in range(clients)]
    identities = {n: Ed25519PrivateKey.from_private_bytes(_coin("identity", n)) for n in names}
    roster = {n: key.public_key().public_bytes_raw() for n, key in identities.items()}
    plan = Plan(CONTEXT, seed, roster, threshold or clients // 2 + 1, length, ring_bits)
    made = {
        n: Client(plan, n, identities[n], Session(_coin(seed), n, {}, own_key=_coin(seed, n))) for n in names
    }
    if vectors is None:
        random = np.random.default_rng(seed)
        vectors = {n: random.integers(0, 1 << ring_bits, length, dtype=plan.dtype) for n in names}
    return World(plan, identities, made, dict(vectors))


@pytest.fixture(name="make_world")
def make_world_fixture() -> Callable[..., World]:
    return make_world
