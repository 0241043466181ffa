"""The chooser: small sets and thin links to Diffie-Hellman, large ones to symmetric cryptography, and always a reason."""

from typing import Any

import numpy as np
import pytest
from hefu.engine.channel import ChannelSet
from hefu.engine.errors import InputInvalid
from hefu.engine.psi import dealer, ecdh, kkrt, rr22_two_party
from hefu.engine.psi.choose import PROTOCOLS, choose, estimate
from hefu.engine.session import Session
from hypothesis import given
from hypothesis import strategies as st


def test_small_sets_go_by_diffie_hellman_and_large_ones_do_not() -> None:
    assert choose(100, 100).protocol == "ecdh"
    assert choose(10, 10, megabits_per_second=1).protocol == "ecdh"
    assert choose(10**6, 10**6, megabits_per_second=10_000).protocol == "kkrt"
    assert choose(10**6, 10**6, megabits_per_second=50).protocol == "rr22"


def test_a_receiver_with_few_items_does_not_pay_for_the_senders_many() -> None:
    unequal = choose(10, 10**6, megabits_per_second=100, fast_group=True)
    assert unequal.protocol != "dealt"
    assert choose(10**6, 10, megabits_per_second=20).protocol in {"rr22", "ecdh"}


def test_a_helping_node_is_used_where_there_is_one() -> None:
    with_helper = choose(10**6, 10**6, helper=True)
    assert with_helper.protocol == "dealt"
    without = choose(10**6, 10**6)
    assert without.protocol != "dealt"
    assert "dealt (no helping node)" in without.reason


def test_what_is_not_available_is_left_out_and_said() -> None:
    choice = choose(10**6, 10**6, available={"ecdh", "kkrt"}, megabits_per_second=50)
    assert choice.protocol == "kkrt"
    assert "rr22 (not available to both parties)" in choice.reason
    with pytest.raises(InputInvalid, match="no intersection protocol"):
        choose(1, 1, available={"dealt"})
    assert choose(10**6, 10**6, cardinality=True, helper=True).protocol == "ecdh"


@given(st.integers(0, 10**8), st.integers(0, 10**8), st.floats(0.1, 1e5), st.booleans())
def test_the_choice_is_the_fastest_of_its_estimates(r: int, s: int, megabits: float, helper: bool) -> None:
    choice = choose(r, s, megabits_per_second=megabits, helper=helper)
    best = min(choice.estimates, key=lambda one: one.seconds(megabits, 0.001))
    assert choice.protocol == best.protocol
    assert choice.reason.count(choice.protocol) >= 1
    assert {one.protocol for one in choice.estimates} == set(PROTOCOLS) - (set() if helper else {"dealt"})


def test_impossible_numbers_are_refused() -> None:
    for bad in ({"receiver_items": -1}, {"megabits_per_second": 0}, {"round_trip_seconds": -1}):
        with pytest.raises(InputInvalid):
            choose(**{"receiver_items": 1, "sender_items": 1, **bad})  # type: ignore[arg-type]
    with pytest.raises(InputInvalid):
        estimate("guess", 1, 1)


@pytest.mark.parametrize(
    ("protocol", "r", "s"), [("ecdh", 200, 100), ("kkrt", 3000, 5000), ("kkrt", 50, 2000)]
)
def test_bytes_are_what_the_protocol_sends(run_parties: Any, protocol: str, r: int, s: int) -> None:
    run = {"ecdh": ecdh, "kkrt": kkrt}[protocol]
    draw = np.random.default_rng(0)
    items = [draw.integers(0, 2**64, (n, 2), dtype=np.uint64) for n in (r, s)]

    def receiver(session: Session, channels: ChannelSet) -> Any:
        run.receive(session, channels["s"], items[0], operation=0)

    def sender(session: Session, channels: ChannelSet) -> Any:
        run.send(session, channels["r"], items[1], operation=0)

    ran = run_parties({"r": receiver, "s": sender})
    sent = sum(len(payload) for view in ran.views.values() for _, payload in view)
    assert abs(estimate(protocol, r, s).bytes / sent - 1) < 0.1


@pytest.mark.parametrize(("r", "s"), [(300, 500), (3000, 2000), (20_000, 3000)])
def test_bytes_of_the_protocols_on_an_okvs(run_parties: Any, r: int, s: int) -> None:
    draw = np.random.default_rng(0)
    mine, theirs = (draw.integers(0, 2**64, (n, 2), dtype=np.uint64) for n in (r, s))

    def receiver(session: Session, channels: ChannelSet) -> Any:
        rr22_two_party.receive(session, channels["s"], mine, operation=0)

    def sender(session: Session, channels: ChannelSet) -> Any:
        rr22_two_party.send(session, channels["r"], theirs, operation=0)

    def dealt_receiver(session: Session, channels: ChannelSet) -> Any:
        dealer.receive(session, channels, mine, sender="s", dealer="d", operation=0)

    def dealt_sender(session: Session, channels: ChannelSet) -> Any:
        dealer.send(session, channels, theirs, receiver="r", dealer="d", operation=0)

    def deal(session: Session, channels: ChannelSet) -> Any:
        dealer.deal(session, channels, receiver="r", sender="s", operation=0)

    for protocol, programs in (
        ("rr22", {"r": receiver, "s": sender}),
        ("dealt", {"r": dealt_receiver, "s": dealt_sender, "d": deal}),
    ):
        ran = run_parties(programs)
        sent = sum(len(payload) for view in ran.views.values() for _, payload in view)
        assert abs(estimate(protocol, r, s).bytes / sent - 1) < 0.25, (protocol, sent)
