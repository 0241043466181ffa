"""One T+1 reconciliation through real processes: result against truth, evidence of every stage, the ledger's commands."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.server

CAST = {"institution", "bank", "operator", "exchange"}
EVIDENCE = {
    "job_created": {"coordinator"},
    "participants_checked": {"coordinator"},
    "contract_checked": {"coordinator"},
    "data_source_checked": {"institution", "bank"},
    "data_sources_checked": {"coordinator"},
    "use_consumed": {"coordinator", "institution", "bank"},
    "session_joined": CAST | {"regulator"},
    "keys_issued": {"regulator"},
    "input_shared": {"institution", "bank"},
    "channel_transcript": CAST,
    "half_sealed": {"operator", "exchange"},
    "output_checked": {"operator", "exchange", "coordinator"},
    "half_released": {"operator", "exchange"},
    "half_received": {"regulator"},
    "output_gate_checked": {"regulator"},
    "result_opened": {"regulator"},
    "inputs_deleted": CAST | {"regulator"},
    "job_finished": {"coordinator"},
}


@pytest.fixture(scope="module")
def done(world: Any) -> tuple[str, Any, dict[tuple[str, int], str]]:
    """A job of 1,000 rows a side: its id, the truth, what the regulator sees."""
    day = world.new_day()
    truth = world.deliver_sample(day, rows=1000)
    job_id = world.run_day(day)
    return job_id, truth, world.statuses(job_id)


def test_the_regulator_sees_the_truth_of_every_row(done: tuple[str, Any, Any]) -> None:
    _, truth, statuses = done
    expected = {
        (owner, row): truth.expected(owner, row)
        for owner in ("institution", "bank")
        for row in range(1, len(truth.status[owner]) + 1)
    }
    assert statuses == expected
    assert len(set(statuses.values())) == 4


def test_every_stage_left_its_evidence(world: Any, done: tuple[str, Any, Any]) -> None:
    job_id = done[0]
    entries = _entries(world, job_id)
    actors: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        actors[entry["kind"]].add(entry["actor"])
    assert {kind: actors[kind] for kind in EVIDENCE} == EVIDENCE


def test_both_ends_of_every_channel_say_the_same(world: Any, done: tuple[str, Any, Any]) -> None:
    ends = {}
    for entry in _entries(world, done[0]):
        if entry["kind"] == "channel_transcript":
            body = world.at("auditor").get(f"/console/ledger/entries/{entry['seq']}")["body"]
            ends[(entry["actor"], body["peer"])] = (body["sent"], body["bytes_sent"], body["received"])
    assert len(ends) == 2 * 5  # institution with N0, N1; N0, N1 (the bank) and N2 among each other; both ends
    for (actor, peer), (sent, size, received) in ends.items():
        assert ends[(peer, actor)][2] == sent
        assert ends[(peer, actor)][0] == received
        assert size > 0


def test_the_ledger_verifies_online_exported_and_not_when_a_byte_flips(
    world: Any, done: tuple[str, Any, Any], tmp_path: Path
) -> None:
    state = ["--dir", str(world.system.directory)]
    online = _hefu("ledger", "verify", *state)
    assert online.returncode == 0, online.stdout
    export = tmp_path / "export"
    written = _hefu("ledger", "export", str(export), *state)
    assert written.returncode == 0, written.stdout
    offline = _hefu("ledger", "verify", str(export))
    assert offline.returncode == 0, offline.stdout
    for number, file in enumerate(_samples(export)):
        forged = tmp_path / f"forged-{number}"
        shutil.copytree(export, forged)
        flipped = forged / file.relative_to(export)
        content = bytearray(flipped.read_bytes())
        content[len(content) // 2] ^= 1
        flipped.write_bytes(bytes(content))
        answer = _hefu("ledger", "verify", str(forged))
        assert answer.returncode == 1, (file, answer.stdout)


def _entries(world: Any, job_id: str) -> list[dict[str, Any]]:
    """The job's entries, once every node has handed its evidence in."""
    from hefu.local.bootstrap import await_true

    auditor = world.at("auditor")

    def entries() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = auditor.get("/console/ledger/entries", job=job_id, limit=500)
        return found

    await_true("evidence", lambda: set(EVIDENCE) <= {e["kind"] for e in entries()})
    return entries()


def _samples(export: Path) -> list[Path]:
    """The largest tile and the checkpoint."""
    files = sorted((p for p in export.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    checkpoint = [p for p in files if "checkpoint" in p.name][:1]
    return [files[-1], *checkpoint]


def _hefu(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hefu.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
