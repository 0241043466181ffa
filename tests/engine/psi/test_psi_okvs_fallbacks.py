"""The intersections from VOLE without a compiler, and on a CPU without the instructions that they like."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import numpy as np
from hefu.engine.launch import run_together
from hefu.engine.psi import circuit, circuit_dealt, dealer, items, rr22_two_party as two
x, y = (items.from_integers(bytes(32), np.arange(*ends)) for ends in ((0, 9), (5, 20)))
many = items.from_integers(bytes(32), np.arange(900))

def r(session, channels):
    dealt = dealer.receive(session, channels, x, sender="s", dealer="d", operation=0)
    shares = circuit.receive(session, channels["s"], x, operation=1, dealer=channels["d"])
    silent = two.receive(session, channels["s"], many, operation=2)
    return dealt.rows.tolist(), shares.common, len(silent.rows)

def s(session, channels):
    dealer.send(session, channels, y, receiver="r", dealer="d", operation=0)
    shares = circuit.send(session, channels["r"], y, operation=1, dealer=channels["d"])
    two.send(session, channels["r"], many[100:], operation=2)
    return shares.common

def d(session, channels):
    dealer.deal(session, channels, receiver="r", sender="s", operation=0)
    circuit_dealt.deal(session, channels, receiver="r", sender="s", operation=1)
out = run_together({"r": r, "s": s, "d": d}, parties="threads")
print(out["r"][0], (int(out["r"][1]) + int(out["s"])) % 2**64, out["r"][2])
"""


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize(
    "setting", [{"NUMBA_DISABLE_JIT": "1"}, {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}]
)
def test_the_same_results(setting: dict[str, str], tmp_path: Path) -> None:
    environment = {**os.environ, **setting, "NUMBA_CACHE_DIR": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], env=environment, capture_output=True, text=True
    )
    assert ran.stdout.strip() == "[5, 6, 7, 8] 4 800", ran.stderr[-2000:]
