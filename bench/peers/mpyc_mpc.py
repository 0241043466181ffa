"""MPyC 0.11: the same arithmetic among three processes, Shamir shares. usage: mpyc_mpc.py WORK N

WORK is comparison, multiplication or fixed. Counted at each party: the operation and `gather`-ing its shares; not
counted: imports, connecting, input, output. MPyC's own launcher (-M3) starts the other two parties; each writes its
cost to a file that the first reads. Comparison is of 64-bit secure integers; multiplication of arrays mod a 64-bit prime;
fixed point of 64-bit arrays with 18 fraction bits.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np


async def party(work: str, n: int, folder: Path) -> None:
    from common import Clock, require
    from mpyc.runtime import mpc

    coins = np.random.default_rng(7)
    clock = Clock()
    if work == "fixed":
        kind = mpc.SecFxp(64, 18)
        x, y = coins.uniform(-100, 100, n), coins.uniform(-100, 100, n)
    else:
        kind = mpc.SecInt(64)
        bound = 2**61 if work == "comparison" else 2**30
        x, y = coins.integers(-bound, bound, n), coins.integers(-bound, bound, n)
    await mpc.start()
    a, b = (mpc.input(kind.array(v), senders=0) for v in (x, y))
    await mpc.gather(a), await mpc.gather(b)
    await mpc.barrier()
    with clock:
        c = a < b if work == "comparison" else a * b
        await mpc.gather(c)
    opened = await mpc.output(c)
    await mpc.shutdown()
    if work == "comparison":
        right = np.array_equal(np.array(opened, dtype=np.int64) != 0, x < y)
    elif work == "fixed":
        right = np.abs(np.array(opened, dtype=np.float64) - x * y).max() < 2e-3
    else:
        right = np.array_equal(np.array(opened, dtype=np.int64), x * y)
    require(right, work)
    (folder / f"{mpc.pid}.json").write_text(json.dumps(clock.laps[0]))


def main() -> None:
    work, n = sys.argv[1], int(sys.argv[2])
    if "HEFU_BENCH_FOLDER" in os.environ:
        from mpyc.runtime import mpc

        mpc.run(party(work, n, Path(os.environ["HEFU_BENCH_FOLDER"])))
        return
    from common import answer, free_ports

    with tempfile.TemporaryDirectory() as name:
        base = free_ports(1)[0]
        subprocess.run(
            [sys.executable, __file__, work, str(n), "-M3", "-B", str(base), "--no-log"],
            env=os.environ | {"HEFU_BENCH_FOLDER": name},
            check=True,
            stdout=sys.stderr,
        )
        import time

        for _ in range(100):
            if len(list(Path(name).iterdir())) == 3:
                break
            time.sleep(0.1)
        laps = [json.loads(path.read_text()) for path in sorted(Path(name).iterdir())]
    answer(
        {
            "cpu_s": sum(lap["cpu_s"] for lap in laps),
            "wall_s": max(lap["wall_s"] for lap in laps),
            "bytes": sum(lap["bytes"] for lap in laps),
            "peak_mb": max(lap["peak_mb"] for lap in laps),
        }
    )


if __name__ == "__main__":
    main()
