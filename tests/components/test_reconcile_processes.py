"""The protocol between real processes over mutual TLS, against DuckDB's plain join of the same rows."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench" / "reconcile.py"

pytestmark = pytest.mark.server


def bench(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(BENCH), "--json", *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-1000:]
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


@pytest.mark.parametrize("design", ["F", "S"])
@pytest.mark.parametrize(("rows", "owners"), [(10, 1), (2000, 2), (100_000, 1)])
def test_statuses_equal_the_plain_join(rows: int, owners: int, design: str) -> None:
    sides = ("--institutions", str(owners), "--banks", str(owners))
    report = bench("--rows", str(rows), *sides, "--seed", str(rows), "--design", design)
    assert report["wrong_statuses"] == 0
    assert report["transcripts_agree"]
    assert sum(report["statuses"].values()) == 2 * rows
    assert all(report["statuses"][s] for s in ("match", "missing_at_bank", "missing_at_institution"))


@pytest.mark.slow
def test_a_million_rows_a_side_within_the_goals() -> None:
    report = bench("--rows", "1000000")
    assert report["wrong_statuses"] == 0
    assert report["megabytes"] <= 350
    assert all(party["peak_mb"] < 1024 for party in report["parties"].values())


@pytest.mark.parametrize("victim", ["operator", "bank-0", "exchange"])
def test_a_node_that_is_killed_ends_all_within_seconds(victim: str) -> None:
    report = bench("--rows", "50000", "--kill", victim)
    ends = report["ends"]
    assert ends.pop(victim)["error"] == "killed"
    ends.pop("institution-0")  # has nothing more to do
    assert set(ends) == {"operator", "bank-0", "exchange", "regulator"} - {victim}
    for name, end in ends.items():
        assert end["error"] in ("peer_lost", "peer_aborted"), name
        assert end["seconds"] < 10, name
