"""The three ways between real processes over TCP, and the kernels compiled ahead."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hefu.engine.launch import run_together
from hefu.engine.pir import Replica, labelled, lookup, prepare_list, prepare_lookup, two_server
from hefu.engine.pir.warm import warm

KEYS = [b"%d" % k for k in range(300)]
PAYLOADS = np.arange(300 * 7, dtype=np.uint64).astype(np.uint8).reshape(300, 7)


def test_warm_runs() -> None:
    warm()


@pytest.mark.server
def test_look_ups_and_lists_between_processes() -> None:
    def owner(session, channels):
        made = prepare_lookup(session, KEYS, PAYLOADS)
        lookup.serve_lookup_hint(session, channels["asker"], made)
        lookup.serve_lookups(session, channels["asker"], made)
        entries = prepare_list(session, KEYS, PAYLOADS)
        labelled.serve_list(session, channels["asker"], entries)
        labelled.serve_labels(session, channels["asker"], entries)

    def asker(session, channels):
        hint = lookup.fetch_lookup_hint(session, channels["owner"])
        first = lookup.look_up(session, channels["owner"], hint, [b"5", b"no"])
        published = labelled.fetch_list(session, channels["owner"])
        return first, labelled.find_labels(session, channels["owner"], published, [b"5", b"no"])

    for found, payloads in run_together({"owner": owner, "asker": asker})["asker"]:
        assert found.tolist() == [True, False]
        assert (payloads[0] == PAYLOADS[5]).all()
        assert not payloads[1].any()


@pytest.mark.server
def test_two_servers_between_processes() -> None:
    def server(other):
        return lambda session, channels: two_server.serve_positions(
            session, channels["asker"], other, Replica.of(PAYLOADS)
        )

    def asker(session, channels):
        servers = channels["left"], channels["right"]
        return two_server.retrieve(session, servers, *PAYLOADS.shape, [0, 299, 77])

    values = run_together({"left": server("right"), "right": server("left"), "asker": asker})
    assert (values["asker"] == PAYLOADS[[0, 299, 77]]).all()


WITHOUT_COMPILER = """
import numpy as np
from hefu.engine.launch import run_together
from hefu.engine.pir import Replica, lookup, prepare_lookup, two_server

keys, payloads = [b"a", b"b", b"c"], np.array([[200], [7], [9]], dtype=np.uint8)

def owner(session, channels):
    made = prepare_lookup(session, keys, payloads)
    lookup.serve_lookup_hint(session, channels["asker"], made)
    lookup.serve_lookups(session, channels["asker"], made)
    two_server.serve_positions(session, channels["asker"], "other", Replica.of(payloads))

def other(session, channels):
    two_server.serve_positions(session, channels["asker"], "owner", Replica.of(payloads))

def asker(session, channels):
    hint = lookup.fetch_lookup_hint(session, channels["owner"])
    found, values = lookup.look_up(session, channels["owner"], hint, [b"a", b"no"])
    pair = two_server.retrieve(session, (channels["owner"], channels["other"]), 3, 1, [2, 1])
    return found.tolist(), values.tolist(), pair.tolist()

programs = {"owner": owner, "other": other, "asker": asker}
print(run_together(programs, parties="threads")["asker"])
"""


@pytest.mark.server
def test_everything_works_without_a_compiler() -> None:
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-W", "ignore", "-c", WITHOUT_COMPILER]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert ran.stdout.strip() == "([True, False], [[200], [0]], [[9], [7]])"


def test_no_coin_is_fixed(run_parties) -> None:
    """Every public seed and every secret comes from the session: other sessions, other values."""

    def owner(session, channels):
        made = prepare_lookup(session, KEYS[:20], PAYLOADS[:20])
        entries = prepare_list(session, KEYS[:20], PAYLOADS[:20])
        return [made.lattice.seed, made.table.header.seed, made.table.oprf_key, entries.oprf_key]

    def server(session, channels):
        return two_server.serve_positions(session, channels["asker"], "owner", Replica.of(PAYLOADS))

    def asker(session, channels):
        other = channels["server"]

        class Silent:
            peer = "nobody"

            def send(self, data):
                return None

            def recv_into(self, out):
                out[...] = 0

        two_server.retrieve(session, (other, Silent()), *PAYLOADS.shape, [3])

    runs = [run_parties({"owner": owner, "server": server, "asker": asker}, seed=seed) for seed in (1, 2)]
    values = [bytes(value) for ran in runs for value in ran.values["owner"]]
    values += [ran.views["server"][1][1][:16] for ran in runs]
    assert len(set(values)) == len(values) == 10
