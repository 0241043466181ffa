"""Every group of ours runs at a tiny size and equals the plain computation; without peers, nothing is claimed of them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hefu.engine.channel import ChannelSet
from hefu.engine.session import Session

from bench import items, ours, psi
from bench.peer import ROOT
from bench.rows import as_row
from bench.setting import Setting

pytestmark = pytest.mark.server


@pytest.mark.parametrize("group", ["arithmetic", "sorting", "regression", "psi"])
def test_a_group_of_ours_at_a_tiny_size(group: str) -> None:
    """In a process of its own: the parties are forks, and this one may have threads."""
    command = [sys.executable, "-m", "bench", group, "--no-peers", "--json"]
    sizes = ["--scale", "0.0005", "--repeat", "1"]
    done = subprocess.run([*command, *sizes], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(done.stdout.splitlines()[-1])["rows"]
    assert rows
    for row in rows:
        assert row["ours_bytes"] > 0
        assert (row["ours_wall_s"] if row["by_wall"] else row["ours_cpu_s"]) > 0
        assert (row["peer"], row["peer_cpu_s"], row["ratio"]) == (None, None, None)
    plain = {row["work"] for row in rows if not row["work"].endswith("over TLS")}
    assert {f"{work}, over TLS" for work in plain} == {r["work"] for r in rows} - plain


def test_statistics_at_a_tiny_size_equal_the_plain_table() -> None:
    command = [sys.executable, "-m", "bench", "aggregate", "--no-peers", "--json", "--scale", "0.01"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(done.stdout.splitlines()[-1])["rows"]
    assert all(row["ours_cpu_s"] > 0 and row["ratio"] is None for row in rows)
    assert len(rows) == 2


def test_a_wrong_result_gives_no_figure() -> None:
    def setup(session: Session, channels: ChannelSet) -> None:
        return None

    work = ours.Work(setup, lambda prepared: 1, lambda prepared, result: result == 2)
    with pytest.raises(ours.WrongResult, match="P0, P1, P2"):
        ours.measure(ours.everywhere(work))


def test_only_what_runs_is_counted() -> None:
    def setup(session: Session, channels: ChannelSet) -> ChannelSet:
        for name in sorted(channels):
            channels[name].exchange(bytes(1000), np.empty(1000, dtype=np.uint8))
        sum(i * i for i in range(2_000_000))
        return channels

    def run(channels: ChannelSet) -> int:
        for name in sorted(channels):
            channels[name].exchange(bytes(10), np.empty(10, dtype=np.uint8))
        return 0

    work = ours.Work(setup, run, lambda prepared, result: True)
    cost = ours.measure({"a": work, "b": work}, repeat=2)
    assert cost.bytes == 2 * (10 + 8)
    assert cost.rounds == 1
    assert cost.cpu_s < 0.05


def test_files_become_items_and_rows_become_files(tmp_path: Path) -> None:
    files = psi.make_files(tmp_path, 50_000)
    got = items.read_items(files.left, bytes(32))
    assert got.shape == (50_000, 2)
    assert len(np.unique(got, axis=0)) == 50_000
    rows = np.array([0, 1, 777, 49_999])
    items.write_rows(files.left, rows, files.out)
    lines = files.left.read_text().splitlines()
    assert files.out.read_text().replace('"', "").splitlines() == ["id", *(lines[1 + row] for row in rows)]
    assert np.array_equal(items.keys_of(files.right), np.arange(25_000, 75_000))


def test_no_rows_make_an_empty_file(tmp_path: Path) -> None:
    files = psi.make_files(tmp_path, 3)
    items.write_rows(files.left, np.empty(0, dtype=np.int64), files.out)
    assert len(items.keys_of(files.out)) == 0


def test_a_setting_scales_sizes_but_never_to_nothing() -> None:
    assert Setting(scale=0.01).size(10**4) == 100
    assert Setting(scale=1e-9).size(10**4) == 1


def test_other_groups_rows_are_ours_too() -> None:
    row = as_row({"work": "w", "ours_cpu_s": 1.0, "ours_bytes": None, "ours_peak_mb": 2.0, "peer": None})
    assert (row.work, row.ours_peak_mb, row.ratio) == ("w", 2.0, None)
