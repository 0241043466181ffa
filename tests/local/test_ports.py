"""Ports are free, distinct, and the same again at the second start."""

import json
import socket

from hefu.local.ports import LOOPBACK, Ports, is_free


def test_ports_are_distinct_and_remembered(tmp_path):
    first = Ports(tmp_path / "state" / "ports.json")
    given = {name: first.get(name) for name in ("coordinator", "bank", "console")}
    assert len(set(given.values())) == 3
    assert all(is_free(port) for port in given.values())
    second = Ports(tmp_path / "state" / "ports.json")
    assert {name: second.get(name) for name in given} == given


def test_a_taken_port_is_replaced_and_the_new_one_kept(tmp_path):
    file = tmp_path / "ports.json"
    old = Ports(file).get("bank")
    with socket.create_server((LOOPBACK, old)):
        assert not is_free(old)
        new = Ports(file).get("bank")
    assert new != old
    assert Ports(file).as_dict() == {"bank": new}


def test_preferred_port_is_taken_when_free_and_not_when_promised(tmp_path):
    with socket.create_server((LOOPBACK, 0)) as probe:
        wanted = probe.getsockname()[1]
    ports = Ports(tmp_path / "ports.json")
    assert ports.get("console", preferred=wanted) == wanted
    assert ports.get("other", preferred=wanted) != wanted


def test_a_spoilt_state_file_is_no_obstacle(tmp_path):
    file = tmp_path / "ports.json"
    for spoilt in ("{", "[1]", json.dumps({"bank": 70000, "console": "x"})):
        file.write_text(spoilt)
        assert is_free(Ports(file).get("bank"))
