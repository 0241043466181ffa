"""A node whose disk takes no more: uploads say so and leave nothing behind, a job waits naming it and goes on later.

The full disk is a limit on the size of files (setrlimit(2), RLIMIT_FSIZE) set on the running node: every writer meets it
as it would meet a full file system, and it needs no rights of root.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hefu.local.console_client import ConsoleError

pytestmark = pytest.mark.server

LIMIT = 200_000


@pytest.fixture
def full(world: Any) -> contextlib.AbstractContextManager[None]:
    """The bank's node may write no file longer than LIMIT bytes, within the block."""

    @contextlib.contextmanager
    def limited() -> Iterator[None]:
        node = psutil.Process(world.system.supervisor.pids()["node-bank"])
        before = node.rlimit(resource.RLIMIT_FSIZE)
        node.rlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
        try:
            yield
        finally:
            node.rlimit(resource.RLIMIT_FSIZE, before)

    return limited()


def test_an_upload_that_does_not_fit_is_refused_and_leaves_nothing(world: Any, full: Any) -> None:
    day = world.new_day()
    before = _files(world)
    rows = [(f"S-{n}", "LOAN", "1.00", "990000199001010017", f"{day}T10:00:00") for n in range(10_000)]
    with full:
        with pytest.raises(ConsoleError) as refused:
            world.deliver("bank", day, rows)
        assert (refused.value.status, refused.value.body["code"]) == (507, "disk_full")
        assert refused.value.body["mend_zh"]
        assert _files(world) == before
        assert world.query("node_bank", "select 1 from arrival where business_date = %s", day) == []
        small = world.deliver("bank", day, rows[:10])  # what fits is taken all the same
        assert [a["rows"] for a in small] == [10]


def test_a_job_waits_for_room_and_names_the_party(world: Any, full: Any) -> None:
    day = world.new_day()
    world.deliver_sample(day, rows=6_000)
    with full:
        job_id = world.start_job(day)
        finding = world.await_finding(job_id, "disk_full", "bank")
        assert finding["severity"] == "wait"
        assert finding["mend_en"]
    world.await_success(job_id)


def _files(world: Any) -> set[Path]:
    """Every file below the bank's data folder."""
    return {p for p in world.system.node("bank").data.rglob("*") if p.is_file()}
