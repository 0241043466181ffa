"""The bars that the engine is held to, beside each row: how many times faster than which peer, at most how much memory."""

from __future__ import annotations

from dataclasses import dataclass

from bench.rows import Row


@dataclass(frozen=True, slots=True)
class Bar:
    """Holds for the works that begin with `work`, over plain TCP, against the peers whose names begin with `peer`."""

    work: str
    peer: str
    at_least: float
    reach_for: float | None = None


RATIOS = (
    Bar("comparison 10^6", "SPU 0.9.5 ABY3", 8, 15),
    Bar("multiplication 10^6, integer", "SPU 0.9.5 ABY3", 2.5, 4),
    Bar("multiplication 10^6, fixed point", "SPU 0.9.5 ABY3", 1.5, 2),
    Bar("equality 10^6", "SPU 0.9.5 ABY3", 4, 7),
    Bar("matmul 1000x1000x100", "SPU 0.9.5 ABY3", 4, 8),
    Bar("sort 10^5", "SPU", 8, 15),
    Bar("group-by-sum 10^5", "SPU", 3, 5),
    Bar("logistic regression 10^5", "SPU", 2, 5),
    Bar("logistic regression 10^5", "CrypTen", 2, 5),
    Bar("PSI 2^20, two parties", "SPU 0.9.5 RR22", 2, 3),
    Bar("PSI 2^20, two parties", "openmined-psi", 40),
    Bar("PSI 2^20, with a helping node", "SPU 0.9.5 RR22", 3, 4.5),
    Bar("Paillier-2048 encrypt", "phe", 12),
    Bar("Paillier-2048 packed encrypt", "phe", 200),
    Bar("Paillier-2048 dot product", "phe", 5),
    Bar("scalar comparison latency, loopback", "SPU 0.9.5 ABY3", 3, 7),
)
PEAK_MB = (("PSI 2^20", 250.0, 140.0),)
CPU_S = (("secure aggregation 10 x 10^6", 0.3, 0.15),)


def bar_of(row: Row) -> str:
    """`≥ 8 ✓`: what is asked of this row and whether it was met; empty where nothing is asked or nothing was measured."""
    if row.work.endswith("over TLS"):
        return ""
    said = [
        _said("≥", bar.at_least, row.ratio >= bar.at_least)
        for bar in RATIOS
        if row.ratio is not None and row.work.startswith(bar.work) and (row.peer or "").startswith(bar.peer)
    ]
    limits = [(PEAK_MB, row.ours_peak_mb, " MB"), (CPU_S, row.ours_cpu_s, " s")]
    for table, measured, unit in limits:
        for work, limit, _ in table:
            if measured is not None and row.work.startswith(work):
                said.append(_said("≤", limit, measured <= limit, unit))
    return ", ".join(said)


def _said(sign: str, limit: float, met: bool, unit: str = "") -> str:
    return f"{sign} {limit:g}{unit} {'✓' if met else '✗'}"
