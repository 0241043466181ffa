"""Rows: what the JSON object holds, what is null, and that a ratio comes from two numbers of one run."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import __main__ as program
from bench.bars import bar_of
from bench.ours import Cost
from bench.peer import Peer, PeerAbsent, beside, beside_row
from bench.rows import Row, as_row, report, rounded, size_name

KEYS = {"work", "ours_cpu_s", "ours_bytes", "ours_peak_mb", "peer", "peer_cpu_s", "ratio"}
COST = Cost(cpu_s=0.5, wall_s=0.25, bytes=1000, rounds=3, peak_mb=12.0)
seconds = st.floats(1e-6, 1e4)


class Answering(Peer):
    """A peer that answers without a process."""

    __slots__ = ()
    runs = 0

    def run(self, timeout_seconds: float = 0.0) -> dict[str, float]:
        Answering.runs += 1
        return {"cpu_s": 4.0, "wall_s": 1.0}


class Absent(Peer):
    """A peer that is not installed."""

    __slots__ = ()

    def run(self, timeout_seconds: float = 0.0) -> dict[str, float]:
        raise PeerAbsent(f"{self.name} is not installed")


@given(seconds, seconds)
def test_a_ratio_is_computed_from_the_two_figures_of_its_row(ours: float, theirs: float) -> None:
    row = Row("work", ours_cpu_s=ours, peer="peer", peer_cpu_s=theirs)
    assert row.ratio == theirs / ours
    assert row.to_json()["ratio"] == rounded(theirs / ours)


@pytest.mark.parametrize(("ours", "theirs"), [(None, 1.0), (1.0, None), (None, None), (0.0, 1.0)])
def test_no_ratio_without_both(ours: float | None, theirs: float | None) -> None:
    assert Row("work", ours_cpu_s=ours, peer_cpu_s=theirs).to_json()["ratio"] is None


def test_a_ratio_that_a_group_claims_is_not_believed() -> None:
    row = as_row({"work": "w", "ours_cpu_s": 2.0, "peer": "p", "peer_cpu_s": 4.0, "ratio": 99.0})
    assert row.ratio == 2.0


def test_latency_is_a_ratio_of_walls_and_shows_no_cpu() -> None:
    (row,) = beside("latency", COST, [Answering("a", "e", ("latency",))], by_wall=True)
    found = row.to_json()
    assert (found["ours_cpu_s"], found["peer_cpu_s"], found["ratio"]) == (None, None, 4.0)


def test_the_best_peer_stands_first_and_an_absent_one_is_null() -> None:
    rows = beside("w", COST, [Absent("gone", "e", ("x",)), Answering("there", "e", ("y",))])
    assert [row.peer for row in rows] == ["there", None]
    assert rows[1].to_json()["peer_cpu_s"] is None
    assert "gone is not installed" in rows[1].note


def test_only_absent_peers_leave_one_row_of_ours() -> None:
    (row,) = beside("w", COST, [Absent("a", "e", ("1",)), Absent("b", "e", ("2",))])
    assert (row.ours_cpu_s, row.peer) == (0.5, None)
    assert "a is not installed" in row.note
    assert "b is not installed" in row.note


def test_a_peer_runs_once_for_several_rows() -> None:
    peer, before = Answering("once", "e", ("z",)), Answering.runs
    first, second = (beside(work, COST, [peer])[0] for work in ("v", "w"))
    assert first.peer_cpu_s == second.peer_cpu_s == 4.0
    assert Answering.runs == before + 1


def test_a_peer_whose_environment_is_missing_says_what_to_do() -> None:
    (row,) = beside_row(Row("w", ours_cpu_s=1.0), [Peer("x", "no-such-environment", ("y.py",))])
    assert "make bench-peers" in row.note


def test_the_last_line_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    report("t", [Row("w", ours_cpu_s=1.0, note="said")], {"machine": {}}, as_json=True)
    out = capsys.readouterr().out.rstrip("\n").splitlines()
    found = json.loads(out[-1])
    assert set(found["rows"][0]) >= KEYS
    assert found["rows"][0]["peer"] is None
    assert any("w: said" in line for line in out[:-1])


def test_a_group_that_fails_is_a_row_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.arithmetic._row", lambda *given: 1 / 0)
    assert program.main(["arithmetic", "--json", "--no-peers"]) == 1
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["rows"][0]["ours_cpu_s"] is None


def test_sizes_have_short_names() -> None:
    assert [size_name(n) for n in (1, 999, 1000, 10**6, 1 << 20, 1048577)] == [
        "1",
        "999",
        "10^3",
        "10^6",
        "2^20",
        "1048577",
    ]


def test_a_bar_is_met_or_not_and_never_claimed_without_figures() -> None:
    work, peer = "comparison 10^6, 64-bit", "SPU 0.9.5 ABY3"
    assert re.search("≥ 8 ✓", bar_of(Row(work, 1.0, peer=peer, peer_cpu_s=8.0)))
    assert re.search("≥ 8 ✗", bar_of(Row(work, 1.0, peer=peer, peer_cpu_s=7.9)))
    assert bar_of(Row(work, 1.0)) == ""
    assert bar_of(Row(f"{work}, over TLS", 1.0, peer=peer, peer_cpu_s=9.0)) == ""
    assert re.search("≤ 250 MB ✗", bar_of(Row("PSI 2^20, two parties, KKRT", 1.0, ours_peak_mb=251.0)))
