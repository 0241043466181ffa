"""Aggregation over channels: clients that vanish at every step, exact sizes, processes over TCP."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hefu.engine.aggregation import Client, Plan, Quantiser, TooFewClients, participate, serve
from hefu.engine.channel import ChannelSet
from hefu.engine.launch import measure
from hefu.engine.session import Session

CLIENTS = tuple(f"c{i}" for i in range(5))
LENGTH = 40
IDENTITIES = {n: Ed25519PrivateKey.from_private_bytes(n.encode().ljust(32, b".")) for n in CLIENTS}
ROSTER = {n: key.public_key().public_bytes_raw() for n, key in IDENTITIES.items()}
STEPS = ("advertise", "share_keys", "masked_input", "sign_survivors", "unmask")


def plan_of(session: Session, length: int = LENGTH) -> Plan:
    return Plan(session.session_id, 0, ROSTER, 3, length)


def vector_of(name: str, length: int = LENGTH) -> Any:
    return np.arange(length, dtype=np.uint32) * np.uint32(1 + int(name[1:]))


def server(session: Session, channels: ChannelSet) -> Any:
    found = serve(channels, plan_of(session), round_seconds=20)
    return found.total, found.clients, found.dropped


def client(leave: str | None = None, garbage: bool = False) -> Callable[..., None]:
    def program(session: Session, channels: ChannelSet) -> None:
        name = session.party
        mine = Client(plan_of(session), name, IDENTITIES[name], session)
        if leave is not None:

            def gone(*_: Any) -> bytes:
                if garbage:
                    return b"\xee" * 33
                raise RuntimeError("the power went out")

            setattr(mine, leave, gone)
        participate(channels["server"], mine, vector_of(name))

    return program


@pytest.mark.parametrize("garbage", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_clients_that_vanish_or_send_garbage(run_parties: Any, step: str, garbage: bool) -> None:
    programs: dict[str, Any] = {"server": server} | {n: client() for n in CLIENTS}
    programs["c1"] = client(step, garbage)
    ran = run_parties(programs, may_fail=True)
    assert set(ran.errors) <= {"c1"}
    total, clients, dropped = ran.values["server"]
    inside = [n for n in CLIENTS if n != "c1" or step in ("sign_survivors", "unmask")]
    assert list(clients) == inside
    assert set(dropped) == {"c1"}
    np.testing.assert_array_equal(total, sum(vector_of(n) for n in inside))


def test_too_many_drop_outs_reach_everybody(run_parties: Any) -> None:
    programs: dict[str, Any] = {"server": server} | {n: client() for n in CLIENTS}
    for name in ("c0", "c3", "c4"):
        programs[name] = client("masked_input")
    ran = run_parties(programs, may_fail=True)
    assert isinstance(ran.errors["server"], TooFewClients)
    assert set(ran.errors) == {"server", *CLIENTS}


def test_every_party_receives_exactly_what_the_page_states(run_parties: Any) -> None:
    ran = run_parties({"server": server} | {n: client() for n in CLIENTS})
    n = len(CLIENTS)
    for name in CLIENTS:
        assert ran.sizes(name) == [
            ("server", 1 + n * 130),
            ("server", 1 + (n - 1) * 84),
            ("server", 1 + n * 2),
            ("server", 1 + n * 66),
        ]
    per_client = [129, 33 + (n - 1) * 84, 8 + 4 * LENGTH, 65, 1 + n * 36]
    assert sorted(ran.sizes("server")) == sorted((c, size) for c in CLIENTS for size in per_client)


@pytest.mark.server
@pytest.mark.parametrize("tls", [False, True])
def test_processes_average_floats(tls: bool) -> None:
    length = 100_000  # more than socket buffers hold together
    quantiser = Quantiser(1.0, len(CLIENTS))

    def run_server(session: Session, channels: ChannelSet) -> Any:
        found = serve(channels, plan_of(session, length))
        return quantiser.decode(found.total) / len(found.clients)

    def run_client(session: Session, channels: ChannelSet) -> None:
        name = session.party
        mine = Client(plan_of(session, length), name, IDENTITIES[name], session)
        participate(channels["server"], mine, quantiser.encode(floats(name, length)))

    reports = measure(
        {"server": run_server} | dict.fromkeys(CLIENTS, run_client), tls=tls, timeout_seconds=60
    )
    mean = np.mean([floats(n, length) for n in CLIENTS], axis=0)
    np.testing.assert_allclose(reports["server"].value, mean, atol=quantiser.error_bound(1))


def floats(name: str, length: int) -> Any:
    return np.random.default_rng(int(name[1:])).uniform(-1, 1, length)
