"""The state machines: any drop-outs above the threshold, what a client refuses, what a lying server would gain."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hefu.engine.aggregation import (
    AggregationError,
    Client,
    MessageInvalid,
    OutOfOrder,
    Plan,
    PlanInvalid,
    RangeExceeded,
    Server,
    SurvivorsDisputed,
    TooFewClients,
    keys,
    messages,
    shamir,
)
from hefu.engine.aggregation.masking import add_streams
from hefu.engine.errors import LabelReused
from hefu.engine.session import Session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

STEPS = ("advertise", "share_keys", "masked", "sign", "unmask")
SUMMED = {"sign", "unmask"}  # who leaves here has sent its vector
World = Any
Make = Callable[..., World]


def expected(world: World, leave: dict[str, str]) -> Any:
    inside = [n for n in world.clients if leave.get(n, "unmask") in SUMMED]
    return sum((world.vectors[n] for n in inside), np.zeros(world.plan.length, world.plan.dtype))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(2, 7), st.sampled_from([32, 64]), st.data())
def test_any_drop_outs_that_leave_the_threshold(make_world: Make, clients: int, bits: int, data: Any) -> None:
    world = make_world(clients=clients, ring_bits=bits, seed=data.draw(st.integers(0, 1000)))
    most = clients - world.plan.threshold
    leaving = data.draw(st.lists(st.sampled_from(sorted(world.clients)), max_size=most, unique=True))
    leave = {name: data.draw(st.sampled_from(STEPS)) for name in leaving}
    found = world.run(leave)
    np.testing.assert_array_equal(found.total, expected(world, leave))
    assert set(found.clients) == {n for n in world.clients if leave.get(n, "unmask") in SUMMED}
    assert set(found.dropped) == set(leave)


@pytest.mark.parametrize("step", STEPS)
def test_one_too_many_drop_outs_end_the_round(make_world: Make, step: str) -> None:
    world = make_world(clients=5)  # threshold 3
    with pytest.raises(TooFewClients, match="2 clients are left, 3 are needed"):
        world.run({"c0": step, "c2": step, "c4": step})


@pytest.mark.parametrize("values", [0, 1, 2**31, 2**32 - 1])
def test_edge_values_wrap_in_the_ring(make_world: Make, values: int) -> None:
    vectors = {f"c{i}": np.full(5, values, dtype=np.uint32) for i in range(4)}
    found = make_world(vectors=vectors).run()
    assert found.total.tolist() == [4 * values % 2**32] * 5


# The plan.


def test_a_threshold_of_half_or_less_is_refused(make_world: Make) -> None:
    for clients, threshold in ((4, 2), (5, 2), (4, 1), (4, 5), (2, 1)):
        with pytest.raises(PlanInvalid, match="more than half"):
            make_world(clients=clients, threshold=threshold)
    for options in ({"ring_bits": 16}, {"length": 0}, {"clients": 1}):
        with pytest.raises((PlanInvalid, TypeError)):
            make_world(**options)


def test_a_shared_or_foreign_identity_is_refused(make_world: Make) -> None:
    world = make_world()
    roster = dict(world.plan.roster)
    with pytest.raises(PlanInvalid):
        Plan(b"x", 0, roster | {"c0": roster["c1"]}, 3, 5)
    with pytest.raises(PlanInvalid):
        Client(world.plan, "c0", world.identities["c1"], Session(bytes(32), "c0", {}))


def test_a_session_gives_coins_for_one_client_a_round(make_world: Make) -> None:
    world = make_world()
    session = Session(bytes(32), "c0", {})
    Client(world.plan, "c0", world.identities["c0"], session)
    with pytest.raises(LabelReused):
        Client(world.plan, "c0", world.identities["c0"], session)


# What a client gives away, and when.


def played_to(world: World, last: str) -> dict[str, Any]:
    """All clients up to a step; the server's next messages."""
    server, c = Server(world.plan), world.clients
    out: dict[str, Any] = server.advertise({n: c[n].advertise() for n in c})
    if last == "key_list":
        return out
    out = server.share_keys({n: c[n].share_keys(m) for n, m in out.items()})
    if last == "relayed":
        return out
    for n, m in out.items():
        server.add_masked(n, c[n].masked_input(m, world.vectors[n]))
    out = server.close_masked()
    if last == "survivors":
        return out
    return server.sign_survivors({n: c[n].sign_survivors(m) for n, m in out.items()})


def kinds(world: World, answer: bytes) -> dict[int, int]:
    records = messages.read_records(world.plan, messages.UNMASK, answer, "c0")
    return {index: record[0] for index, record in records.items()}


def test_of_every_client_one_share_is_given_and_only_once(make_world: Make) -> None:
    world = make_world(clients=5)
    world.run({"c3": "masked", "c1": "sign"})
    for answer in world.seen["unmask"].values():
        assert kinds(world, answer) == {1: 0, 2: 0, 3: 0, 4: messages.KEY_SHARE, 5: 0}
    for client in (world.clients[name] for name in world.seen["unmask"]):
        for step in ("unmask", "sign_survivors"):
            with pytest.raises(OutOfOrder):
                getattr(client, step)(b"")


def test_an_error_ends_a_client_and_forgets_its_secrets(make_world: Make) -> None:
    world = make_world()
    out = played_to(world, "signatures")
    client = world.clients["c0"]
    with pytest.raises(SurvivorsDisputed):
        client.unmask(messages.write_records(messages.SIGNATURES, {}))
    assert (client._seed, client._mask_key, client._held) == (b"", b"", {})
    with pytest.raises(OutOfOrder):
        client.unmask(out["c0"])


def survivors(*indices: int) -> bytes:
    return messages.write_records(messages.SURVIVORS, dict.fromkeys(indices, b""))


def two_lists(world: World) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """A lying server shows half of the clients that c3 dropped out and the other half that it did not; then it hands
    each of them all the signatures that it has on that client's list."""
    played_to(world, "survivors")
    c = world.clients
    shown = {
        "c0": survivors(1, 2, 3),
        "c1": survivors(1, 2, 3),
        "c2": survivors(1, 2, 3, 4),
        "c3": survivors(1, 2, 3, 4),
    }
    signed = {n: c[n].sign_survivors(m)[1:] for n, m in shown.items()}
    collected = {
        n: messages.write_records(
            messages.SIGNATURES, {world.plan.index(o): signed[o] for o in shown if shown[o] == shown[n]}
        )
        for n in shown
    }
    return shown, collected


def unmasked_alone(world: World, answers: dict[str, bytes]) -> Any:
    """c3's own vector, from its masked one and both kinds of shares."""
    plan, index = world.plan, world.plan.index("c3")
    shares: dict[int, dict[int, int]] = {messages.SEED_SHARE: {}, messages.KEY_SHARE: {}}
    for name, answer in answers.items():
        record = messages.read_records(plan, messages.UNMASK, answer, name)[index]
        shares[record[0]][plan.index(name)] = int.from_bytes(record[1:], "big")
    seed, private = (shamir.combine(s).to_bytes(33, "big")[-32:] for s in (shares[0], shares[1]))
    plus, minus = [], [keys.self_stream(plan, seed, index)]
    for name in plan.names:
        if name != "c3":
            public = world.clients["c0"]._keys[plan.index(name)][1]
            stream = keys.pair_stream(plan, keys.agree(private, public, name), index, plan.index(name))
            (minus if index < plan.index(name) else plus).append(stream)
    found = world.masked["c3"][8:].view(plan.dtype).copy()
    add_streams(found, plus, minus)
    return found


def test_a_server_that_shows_different_lists_gets_nothing(make_world: Make) -> None:
    world = make_world(clients=4)
    _, collected = two_lists(world)
    for name, client in world.clients.items():
        with pytest.raises(SurvivorsDisputed, match="2 signatures on the list of survivors, 3 are needed"):
            client.unmask(collected[name])


@pytest.mark.parametrize("broken", ["half is enough", "signatures not checked"])
def test_without_the_rule_it_would_unmask_a_client(
    make_world: Make, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two broken variants: a threshold of n/2, and clients that don't ask for signatures."""
    if broken == "half is enough":
        monkeypatch.setattr(
            Plan, "__post_init__", lambda self: object.__setattr__(self, "names", tuple(self.roster))
        )
        world = make_world(clients=4, threshold=2)
    else:
        monkeypatch.setattr(Client, "_require_consent", lambda *_: None)
        world = make_world(clients=4, threshold=3)
        object.__setattr__(world.plan, "threshold", 2)  # so that two shares of a kind suffice here too
    world.masked = {}
    honest = Client.masked_input

    def kept(self: Client, relayed: bytes, vector: Any) -> Any:
        world.masked[self.name] = honest(self, relayed, vector)
        return world.masked[self.name]

    monkeypatch.setattr(Client, "masked_input", kept)
    _, collected = two_lists(world)
    answers = {n: world.clients[n].unmask(m) for n, m in collected.items()}
    np.testing.assert_array_equal(unmasked_alone(world, answers), world.vectors["c3"])


def test_forged_or_foreign_signatures_are_refused(make_world: Make) -> None:
    for change in ("flip", "swap", "stranger"):
        world = make_world(clients=4)
        out = played_to(world, "signatures")
        records = messages.read_records(world.plan, messages.SIGNATURES, out["c0"], "server")
        if change == "flip":
            records[2] = records[2][:-1] + bytes([records[2][-1] ^ 1])
        elif change == "swap":
            records[2], records[3] = records[3], records[2]
        else:
            records[2] = world.identities["c0"].sign(b"something else")
        with pytest.raises(SurvivorsDisputed):
            world.clients["c0"].unmask(messages.write_records(messages.SIGNATURES, records))


def test_a_signature_of_another_round_does_not_count(make_world: Make) -> None:
    old, new = make_world(seed=1), make_world(seed=2)
    stale = played_to(old, "signatures")
    played_to(new, "signatures")
    with pytest.raises(SurvivorsDisputed):
        new.clients["c0"].unmask(stale["c0"])


# Messages that are not what they should be.


def test_a_client_refuses_a_bad_list_of_keys(make_world: Make) -> None:
    def changed(change: Callable[[dict[int, bytes], Any], Any]) -> None:
        world = make_world()
        out = played_to(world, "key_list")
        records = messages.read_records(world.plan, messages.KEY_LIST, out["c0"], "server")
        data = change(records, world)
        data = messages.write_records(messages.KEY_LIST, records) if data is None else data
        with pytest.raises((MessageInvalid, TooFewClients)):
            world.clients["c0"].share_keys(data)

    changed(lambda r, _: r.__delitem__(1))  # ours is missing
    changed(lambda r, _: r.__delitem__(2) or r.__delitem__(3))  # too few
    changed(lambda r, _: r.update({2: r[3]}))  # another's keys
    changed(lambda r, _: r.update({2: bytes(range(64)) + r[2][64:]}))  # keys that nobody signed
    changed(lambda r, _: b"\x02")
    changed(lambda r, _: b"")
    changed(lambda r, _: messages.write_records(messages.KEY_LIST, r) + b"x")
    changed(
        lambda r, _: messages.write_records(messages.KEY_LIST, r | {9: r[2]})
    )  # a client not on the roster
    changed(lambda r, _: messages.write_records(messages.SURVIVORS, r))


def test_keys_that_two_clients_sign_are_refused(make_world: Make) -> None:
    world = make_world()
    out = played_to(world, "key_list")
    records = messages.read_records(world.plan, messages.KEY_LIST, out["c0"], "server")
    copied = records[3][:64]
    statement = world.plan.keys_statement("c1", copied[:32], copied[32:])
    records[2] = copied + world.identities["c1"].sign(statement)
    with pytest.raises(MessageInvalid, match="appears twice"):
        world.clients["c0"].share_keys(messages.write_records(messages.KEY_LIST, records))


def test_a_client_refuses_bad_shares_and_bad_vectors(make_world: Make) -> None:
    for change in ("flip", "self", "few", "garbage", "shape", "dtype"):
        world = make_world()
        out = played_to(world, "relayed")
        records = messages.read_records(world.plan, messages.RELAYED, out["c0"], "server")
        vector = world.vectors["c0"]
        if change == "flip":
            records[2] = bytes([records[2][0] ^ 1]) + records[2][1:]
        elif change == "self":
            records[1] = records[2]
        elif change == "few":
            records = {2: records[2]}
        elif change == "shape":
            vector = vector[:-1]
        elif change == "dtype":
            vector = vector.astype(np.int64)
        data = b"\x04junk" if change == "garbage" else messages.write_records(messages.RELAYED, records)
        with pytest.raises((MessageInvalid, TooFewClients, RangeExceeded)):
            world.clients["c0"].masked_input(data, vector)


def test_a_client_refuses_bad_survivors(make_world: Make) -> None:
    for listed in (survivors(2, 3, 4), survivors(1, 2), survivors(1), b"\x06\x00\x01\x00\x01", b"\x06\x00"):
        world = make_world()
        played_to(world, "survivors")
        with pytest.raises((MessageInvalid, TooFewClients)):
            world.clients["c0"].sign_survivors(listed)


def test_the_server_drops_who_sends_garbage_and_goes_on(make_world: Make) -> None:
    for step in ("advertise", "share_keys", "masked", "sign", "unmask"):
        for garbage in (b"", b"\xff" * 50, None):
            world = make_world(clients=5, seed=3)
            honest = {
                "advertise": Client.advertise,
                "share_keys": Client.share_keys,
                "masked": Client.masked_input,
                "sign": Client.sign_survivors,
                "unmask": Client.unmask,
            }[step]
            sent = world.clients["c2"]

            def spoilt(*given: Any, honest: Any = honest, sent: Any = sent, garbage: Any = garbage) -> Any:
                message = honest(sent, *given)
                if isinstance(message, np.ndarray):
                    return np.frombuffer(garbage if garbage is not None else bytes(message)[::-1], np.uint8)
                return garbage if garbage is not None else message[:-1] + bytes([message[-1] ^ 1])

            setattr(sent, honest.__name__, spoilt)
            if step == "masked":
                with pytest.raises(MessageInvalid):
                    world.run()
                continue
            if step in ("share_keys", "unmask") and garbage is None:
                continue  # a flipped bit inside a share: seen when it is opened or combined
            found = world.run()
            assert "c2" in found.dropped
            np.testing.assert_array_equal(
                found.total, expected(world, {"c2": step} if step not in SUMMED else {})
            )


def test_false_shares_are_noticed(make_world: Make) -> None:
    for leave in ({}, {"c4": "masked"}):
        world = make_world(clients=5)
        client = world.clients["c0"]
        honest = client.unmask

        def lie(signatures: bytes, honest: Any = honest) -> bytes:
            answer = bytearray(honest(signatures))
            answer[-1] ^= 1  # the share of c4
            return bytes(answer)

        client.unmask = lie
        with pytest.raises(AggregationError, match="c4: the shares of its"):
            world.run(leave)


def test_late_and_second_vectors_are_refused(make_world: Make) -> None:
    world = make_world(clients=4)
    server, c = Server(world.plan), world.clients
    out = server.advertise({n: c[n].advertise() for n in c})
    out = server.share_keys({n: c[n].share_keys(m) for n, m in out.items()})
    masked = {n: c[n].masked_input(m, world.vectors[n]) for n, m in out.items()}
    for name in ("c0", "c1", "c2"):
        server.add_masked(name, masked[name])
    with pytest.raises(OutOfOrder):
        server.add_masked("c0", masked["c0"])
    server.close_masked()
    with pytest.raises(OutOfOrder):
        server.add_masked("c3", masked["c3"])
    with pytest.raises(OutOfOrder):
        server.advertise({})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.sampled_from(["share_keys", "masked_input", "sign_survivors", "unmask"]))
def test_whatever_arrives_a_client_leaves_with_an_engine_error(
    make_world: Make, data: bytes, step: str
) -> None:
    world = make_world(clients=3)
    client = world.clients["c0"]
    client.advertise()
    client._due = step
    client._survivors = survivors(1, 2, 3)
    given_to = (data, world.vectors["c0"]) if step == "masked_input" else (data,)
    with pytest.raises(AggregationError):
        getattr(client, step)(*given_to)


# The server's view.


def chi_square(data: bytes) -> float:
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)
    mean = len(data) / 256
    return float(((counts - mean) ** 2 / mean).sum())


def test_masked_vectors_look_uniform_whatever_is_inside(make_world: Make) -> None:
    """Over many seeds, for zeros and for large numbers; 255 degrees of freedom, standard deviation 22.6."""
    for value in (0, 2**32 - 7):
        seen = b""
        for seed in range(12):
            vectors = {f"c{i}": np.full(600, value, dtype=np.uint32) for i in range(3)}
            world = make_world(clients=3, length=600, seed=seed, vectors=vectors)
            world.run()
            seen += b"".join(message[8:].tobytes() for message in world.seen["masked"].values())
        assert chi_square(seen) < 255 + 5 * 22.6


def test_two_clients_never_share_a_masks_bytes_and_rounds_differ(make_world: Make) -> None:
    """A reused stream would show as equal differences; the broken variant (one seed for all) is seen."""
    zeros = {f"c{i}": np.zeros(64, dtype=np.uint32) for i in range(3)}
    sent: list[bytes] = []
    for seed in (1, 2):
        world = make_world(clients=3, length=64, seed=seed, vectors=zeros)
        world.run()
        sent += [message[8:].tobytes() for message in world.seen["masked"].values()]
    words = np.concatenate([np.frombuffer(s, np.uint32) for s in sent])
    assert len(np.unique(words)) >= len(words) - 1
    assert chi_square(b"".join(sent[:1]) * 8) > 1000


def test_sizes_are_those_of_the_plan(make_world: Make) -> None:
    sizes = []
    for seed, leave in ((1, {"c4": "masked"}), (2, {"c1": "masked"})):
        world = make_world(clients=5, length=100, seed=seed)
        world.run(leave)
        sizes.append({step: sorted({len(m) for m in sent.values()}) for step, sent in world.seen.items()})
    assert (
        sizes[0]
        == sizes[1]
        == {
            "advertise": [1 + 128],
            "share_keys": [1 + 32 + 4 * (2 + 82)],
            "masked": [8 + 400],
            "sign": [1 + 64],
            "unmask": [1 + 5 * (2 + 34)],
        }
    )
