"""SPU 0.9.5: private set intersection of two CSV files. usage: spu_psi.py RR22|KKRT|ECDH LEFT.csv RIGHT.csv OUT.csv

Two processes over brpc on loopback; the first receives. Counted: `psi_execute`, which reads the CSV, intersects and
writes the receiver's CSV. Not counted: imports and connecting. Duplicate checks and the sorted output are switched
off, as ours has none. The output's keys are compared with the plain intersection.
"""

import sys
import threading
from pathlib import Path

from common import Clock, answer, require, run
from spu import libspu, psi


def party(rank, ports, payload, clock: Clock):
    """Intersect; answers how many items this party's report counts."""
    protocol, files, out = payload
    description = libspu.link.Desc()
    description.recv_timeout_ms = 900_000
    description.http_timeout_ms = 900_000
    for i, port in enumerate(ports):
        description.add_party(f"P{i}", f"127.0.0.1:{port}")
    link = libspu.link.create_brpc(description, rank)
    settings = psi.PsiExecuteConfig(
        protocol_conf=psi.PsiProtocolConfig(
            protocol=getattr(psi.PsiProtocol, f"PROTOCOL_{protocol}"),
            receiver_rank=0,
            broadcast_result=False,
            ecdh_params=psi.EcdhParams(curve=psi.EllipticCurveType.CURVE_25519),
        ),
        input_params=psi.InputParams(path=files[rank], selected_keys=["id"], keys_unique=True),
        output_params=psi.OutputParams(path=out if rank == 0 else out + ".other", disable_alignment=True),
    )
    link.barrier()
    with clock:
        report = psi.psi_execute(settings, link)
    stopping = threading.Thread(target=link.stop_link, daemon=True)
    stopping.start()
    stopping.join(5)
    return report.intersection_count


def keys_of(path: str) -> set[str]:
    return set(Path(path).read_text().split("\n")[1:]) - {""}


def main() -> None:
    protocol, left, right, out = sys.argv[1:5]
    counts, cost = run(party, [(protocol, [left, right], out)] * 2)
    require(keys_of(out) == keys_of(left) & keys_of(right), f"{protocol}: {counts}")
    answer(cost)


if __name__ == "__main__":
    main()
