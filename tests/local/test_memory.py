"""The peak of a process tree is seen, children included, shared pages once."""

import os
import subprocess
import sys

from hefu.local.memory import PeakMemory, tree_memory

MB = 1_000_000


def test_peak_of_a_grandchild_is_seen():
    hungry = "import time; x = bytearray(150_000_000); time.sleep(1.0); del x; print('done'); time.sleep(0.2)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hungry!r}])"
    with (
        subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.DEVNULL) as process,
        PeakMemory([process.pid], interval_seconds=0.05) as watch,
    ):
        process.wait()
    assert 150 * MB < watch.peak.total_bytes < 260 * MB
    assert watch.peak.processes == 2
    assert watch.peak.samples > 5
    assert watch.peak.measure in ("pss", "rss")


def test_shared_pages_count_once():
    code = (
        "import os, sys, time; x = bytearray(100_000_000)\n"
        "pids = [os.fork() for _ in range(2)]\n"
        "print('up', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        for _ in range(4):
            process.stdout.readline()
        now = tree_memory([process.pid])
        for child in list(_tree(process.pid)):
            child.kill()
    assert now.processes == 4
    if now.measure == "pss":
        assert 100 * MB < now.total_bytes < 160 * MB


def _tree(pid: int):
    import psutil

    root = psutil.Process(pid)
    return [*root.children(recursive=True), root]


def test_a_process_given_twice_counts_once():
    one, twice = tree_memory([os.getpid()]), tree_memory([os.getpid(), os.getpid()])
    assert one.processes == twice.processes
    assert abs(one.total_bytes - twice.total_bytes) < 20 * MB


def test_ended_processes_count_nothing():
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert tree_memory([process.pid]).total_bytes == 0
