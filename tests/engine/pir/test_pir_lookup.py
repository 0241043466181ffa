"""Look-up by key: the table of buckets, open and sealed, from one server and from two."""

import math
import struct

import numpy as np
import pytest
from hefu.engine.errors import FrameInvalid, InputInvalid, PlanMismatch
from hefu.engine.pir import keyed, lookup, oprf, table, two_server
from hefu.engine.pir.delivery import deliver_table, receive_table
from hefu.engine.pir.keys import Keys
from hefu.engine.prg import Prg
from hypothesis import given, settings
from hypothesis import strategies as st

RNG = np.random.default_rng(1998)


def owned(count: int, width: int) -> tuple[list[bytes], np.ndarray]:
    keys = [b"key %d" % k * (1 + k % 3) for k in range(count)]
    return keys, RNG.integers(0, 256, (count, width), dtype=np.uint8)


def expected(keys, payloads, asked):
    rows = {key: row for row, key in enumerate(keys)}
    found = np.array([key in rows for key in asked], dtype=bool)
    values = np.zeros((len(asked), payloads.shape[1]), dtype=np.uint8)
    for k, key in enumerate(asked):
        if key in rows:
            values[k] = payloads[rows[key]]
    return found, values


def one_server(run_parties, keys, payloads, asked, sealed, seed=0):
    def owner(session, channels):
        made = lookup.prepare_lookup(session, keys, payloads, sealed=sealed, queries=len(asked) or 1)
        lookup.serve_lookup_hint(session, channels["asker"], made)
        return lookup.serve_lookups(session, channels["asker"], made)

    def asker(session, channels):
        hint = lookup.fetch_lookup_hint(session, channels["owner"])
        return lookup.look_up(session, channels["owner"], hint, asked)

    return run_parties({"owner": owner, "asker": asker}, seed=seed)


def two_servers(run_parties, made, asked, other=None):
    def server(name, held):
        def program(session, channels):
            two_server.serve_table(channels["asker"], held)
            if held.oprf_key is not None and name == "right":  # here the owner is one of the servers
                oprf.serve_evaluations(channels["asker"], held.oprf_key, 100)
            replica, other_server = two_server.Replica.of(held.rows), {"left": "right", "right": "left"}[name]
            two_server.serve_positions(session, channels["asker"], other_server, replica)

        return program

    def asker(session, channels):
        servers = channels["left"], channels["right"]
        header = two_server.fetch_table(servers)
        return two_server.look_up(session, servers, header, asked, prf_channel=channels["right"])

    programs = {"left": server("left", made), "right": server("right", other or made), "asker": asker}
    return run_parties(programs, may_fail=other is not None)


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize(("count", "width"), [(0, 3), (1, 0), (2, 1), (150, 20), (1500, 5)])
def test_found_equals_plaintext(run_parties, session_of, sealed: bool, count: int, width: int) -> None:
    if sealed and count > 1000:
        count = 400
    keys, payloads = owned(count, width)
    asked = [*keys[:3], *keys[-2:], b"", b"missing", b"key 0 ", *keys[:1]]
    wanted = expected(keys, payloads, asked)
    ran = one_server(run_parties, keys, payloads, asked, sealed)
    made = keyed.build_table(session_of(1), keys, payloads, sealed=sealed, mean_load=8)
    pair = two_servers(run_parties, made, asked)
    for found, values in (ran.values["asker"], pair.values["asker"]):
        assert (found == wanted[0]).all()
        assert (values == wanted[1]).all()


def test_no_key_asked(run_parties) -> None:
    found, values = one_server(run_parties, *owned(5, 2), [], True).values["asker"]
    assert found.shape == (0,)
    assert values.shape == (0, 2)


@pytest.mark.parametrize("sealed", [True, False])
def test_a_key_that_comes_twice_is_refused(session_of, sealed: bool) -> None:
    keys = [b"a", b"b", b"c", b"b"]
    with pytest.raises(InputInvalid, match="rows 1 and 3 have the same key"):
        keyed.build_table(session_of(1), keys, np.zeros((4, 2), np.uint8), sealed=sealed)


def test_payloads_that_do_not_fit_are_refused(session_of) -> None:
    for payloads in (np.zeros((3, 2), np.uint8), np.zeros(2, np.uint8), np.zeros((2, 2))):
        with pytest.raises(InputInvalid, match="one row of equal length per key"):
            keyed.build_table(session_of(1), [b"a", b"b"], payloads)


def test_keys_of_one_length_are_the_same_keys() -> None:
    fixed = Keys.fixed(np.frombuffer(b"abcdef", dtype=np.uint8).reshape(3, 2))
    assert [fixed[row] for row in range(3)] == [b"ab", b"cd", b"ef"]
    assert Keys.of([b"ab", b"cd", b"ef"]).data.tobytes() == fixed.data.tobytes()
    with pytest.raises(InputInvalid):
        Keys.fixed(np.zeros(3, np.uint8))


def test_sizes_depend_on_numbers_only(run_parties) -> None:
    keys, payloads = owned(60, 6)
    other = [b"x%d" % k for k in range(60)]
    runs = [
        one_server(run_parties, keys, payloads, [keys[0]] * 3, True),
        one_server(run_parties, other, payloads ^ 1, [b"", b"long" * 50, b"missing"], True, 5),
    ]
    assert runs[0].sizes("owner") == runs[1].sizes("owner")
    assert runs[0].sizes("asker") == runs[1].sizes("asker")
    assert runs[0].sizes("owner")[0] == ("asker", 96)


def test_a_fetched_bucket_of_a_sealed_table_is_random(session_of, unevenness, distance) -> None:
    """What the asker decodes beyond its own entry: all zeros in the clear, uniform in a sealed table."""
    keys, payloads = [b"%d" % k for k in range(500)], np.zeros((500, 40), np.uint8)
    shut = keyed.build_table(session_of(1), keys, payloads, sealed=True).rows.tobytes()
    ones = keyed.build_table(session_of(2), keys[::-1], ~payloads, sealed=True).rows.tobytes()
    assert unevenness(shut) < 4
    assert distance(shut, ones) < 4
    bare = keyed.build_table(session_of(1), keys, payloads, sealed=False).rows.tobytes()
    assert unevenness(bare) > 100  # an open table shows it, as its documentation says


def test_places_tag_and_pad_share_no_bytes_of_a_value() -> None:
    assert keyed._TAG_AT >= 4 * table.PLACES
    assert keyed._PAD_AT >= keyed._TAG_AT + 16
    assert oprf.VALUE_BYTES - keyed._PAD_AT >= 16


def test_a_sealed_table_without_pads_is_seen(session_of, unevenness, monkeypatch) -> None:
    monkeypatch.setattr(keyed, "pads", lambda values, count: np.zeros((len(values), count), np.uint8))
    made = keyed.build_table(session_of(1), [b"%d" % k for k in range(200)], np.zeros((200, 40), np.uint8))
    assert unevenness(made.rows.tobytes()) > 100


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 400), st.integers(1, 40), st.integers(0, 5), st.integers(0, 2**32))
def test_a_full_table_gives_back_every_entry(count: int, buckets: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layout = table.Layout(buckets, table.capacity_for(count, buckets, 60), width)
    places = rng.integers(0, 2**32, count, dtype=np.uint32)
    tags = rng.integers(0, 256, (count, 8), dtype=np.uint8)
    bodies = rng.integers(0, 256, (count, width), dtype=np.uint8)
    rows = table.fill(layout, places, tags, bodies, Prg(b"f" * 16))
    assert rows.shape == (buckets, layout.bucket_bytes)
    at = table.bucket_of(places, buckets)
    found, back = table.find(layout, rows[at], tags)
    assert found.all()
    assert (back == bodies).all()
    order = np.sort(table.tag_words(rows.reshape(buckets, layout.capacity, -1)), axis=1)
    assert (order == table.tag_words(rows.reshape(buckets, layout.capacity, -1))).all()


def test_room_is_enough_and_not_far_too_much() -> None:
    rng = np.random.default_rng(31)
    for count, buckets in ((1000, 10), (100_000, 1000), (1 << 20, 8192)):
        room = table.capacity_for(count, buckets)
        loads = np.array(
            [np.bincount(rng.integers(0, buckets, count), minlength=buckets).max() for _ in range(10)]
        )
        assert loads.max() <= room < 1.9 * count / buckets
    exact = sum(math.comb(1000, k) * 9 ** (1000 - k) for k in range(131, 1001)) / 10**1000  # P(load > 130)
    assert exact < 2 ** table._log2_overflow(1000, 10, 130) < 1.5 * exact
    assert table.capacity_for(0, 5) == 1
    assert table.capacity_for(7, 1) == 7


def test_an_overflow_moves_on_to_the_next_place(session_of, monkeypatch) -> None:
    keys, payloads = owned(300, 4)
    calls = []
    real = keyed.fill

    def first_overflows(*arguments):
        calls.append(1)
        if len(calls) == 1:
            raise table.BucketOverflow("full")
        return real(*arguments)

    monkeypatch.setattr(keyed, "fill", first_overflows)
    for sealed in (True, False):
        calls.clear()
        made = keyed.build_table(session_of(1), keys, payloads, sealed=sealed, mean_load=16)
        assert made.header.place == 1
        if not sealed:
            located = keyed.locate(session_of(2), made.header, keys[:20])
            found, values = keyed.open_buckets(made.header, located, made.rows[located.buckets])
            assert found.all()
            assert (values == payloads[:20]).all()
    with pytest.raises(table.BucketOverflow):
        crowded = np.zeros(9, np.uint32)
        table.fill(
            table.Layout(2, 8, 0),
            crowded,
            np.zeros((9, 8), np.uint8),
            np.zeros((9, 0), np.uint8),
            Prg(bytes(16)),
        )


HEADERS = [
    b"",
    struct.pack("<BBQQQ16s", 9, 0, 1, 1, 1, b""),
    struct.pack("<BBQQQ16s", 0, 6, 1, 1, 1, b""),
    struct.pack("<BBQQQ16s", 0, 0, 0, 1, 1, b""),
    struct.pack("<BBQQQ16s", 0, 0, 2**40, 1, 1, b""),
    struct.pack("<BBQQQ16s", 1, 0, 1, 2**62, 2**62, b""),
]


@pytest.mark.parametrize("header", HEADERS)
def test_an_impossible_table_is_refused(run_parties, header: bytes) -> None:
    ran = run_parties(
        {
            "owner": lambda session, channels: channels["asker"].send(header),
            "asker": lambda session, channels: lookup.fetch_lookup_hint(session, channels["owner"]),
        },
        may_fail=True,
    )
    assert isinstance(ran.errors["asker"], FrameInvalid)


def test_a_hint_of_another_table_is_refused(run_parties, session_of) -> None:
    def owner(session, channels):
        made = lookup.prepare_lookup(session, *owned(50, 2), sealed=False)
        other = keyed.build_table(session_of(3), *owned(5, 9), sealed=False)
        lookup.serve_lookup_hint(session, channels["asker"], lookup.LookupDatabase(other, made.lattice))

    def asker(session, channels):
        return lookup.fetch_lookup_hint(session, channels["owner"])

    ran = run_parties({"owner": owner, "asker": asker}, may_fail=True)
    assert isinstance(ran.errors["asker"], FrameInvalid)


def test_a_hint_over_the_limit_is_refused(run_parties) -> None:
    def owner(session, channels):
        lookup.serve_lookup_hint(
            session, channels["asker"], lookup.prepare_lookup(session, *owned(50, 2), sealed=False)
        )

    def asker(session, channels):
        return lookup.fetch_lookup_hint(session, channels["owner"], max_bytes=100)

    ran = run_parties({"owner": owner, "asker": asker}, may_fail=True)
    assert "raise max_bytes" in str(ran.errors["asker"])


def test_servers_with_different_tables_are_refused(run_parties, session_of) -> None:
    keys, payloads = owned(50, 2)
    made = [keyed.build_table(session_of(k), keys, payloads, sealed=False) for k in (1, 2)]
    ran = two_servers(run_parties, made[0], [b"key 1"], made[1])
    assert isinstance(ran.errors["asker"], PlanMismatch)


def test_buckets_over_the_limit_are_refused(run_parties, session_of) -> None:
    made = keyed.build_table(session_of(1), *owned(50, 2), sealed=False)

    def serve(session, channels):
        two_server.serve_table(channels["asker"], made)

    def asker(session, channels):
        two_server.fetch_table((channels["left"], channels["right"]), max_bucket_bytes=100)

    ran = run_parties({"left": serve, "right": serve, "asker": asker}, may_fail=True)
    assert isinstance(ran.errors["asker"], FrameInvalid)


def test_more_keys_than_allowed_are_refused(run_parties) -> None:
    def owner(session, channels):
        made = lookup.prepare_lookup(session, *owned(5, 2))
        lookup.serve_lookup_hint(session, channels["asker"], made)
        lookup.serve_lookups(session, channels["asker"], made, max_keys=2)

    def asker(session, channels):
        hint = lookup.fetch_lookup_hint(session, channels["owner"])
        lookup.look_up(session, channels["owner"], hint, [b"a", b"b", b"c"])

    ran = run_parties({"owner": owner, "asker": asker}, may_fail=True)
    assert isinstance(ran.errors["owner"], FrameInvalid)


def test_a_sealed_table_needs_its_owner(session_of) -> None:
    made = keyed.build_table(session_of(1), *owned(5, 2))
    with pytest.raises(InputInvalid, match="holder of its key"):
        keyed.locate(session_of(2), made.header, [b"a"])
    assert "oprf_key" not in repr(made)


@pytest.mark.parametrize("sealed", [True, False])
def test_a_table_is_delivered_without_the_owners_secret(run_parties, session_of, sealed: bool) -> None:
    made = keyed.build_table(session_of(1), *owned(90, 3), sealed=sealed, mean_load=4)
    ran = run_parties(
        {
            "owner": lambda session, channels: deliver_table(channels["server"], made),
            "server": lambda session, channels: receive_table(channels["owner"]),
        }
    )
    held = ran.values["server"]
    assert held.header == made.header
    assert (held.rows == made.rows).all()
    assert held.oprf_key is None
    assert made.for_servers().oprf_key is None
    if sealed:
        payload = b"".join(frame for _, frame in ran.views["server"])
        assert made.oprf_key not in payload


def test_a_delivery_over_the_limit_is_refused(run_parties, session_of) -> None:
    made = keyed.build_table(session_of(1), *owned(90, 3), sealed=False)
    ran = run_parties(
        {
            "owner": lambda session, channels: deliver_table(channels["server"], made),
            "server": lambda session, channels: receive_table(channels["owner"], max_bytes=10),
        },
        may_fail=True,
    )
    assert isinstance(ran.errors["server"], FrameInvalid)
