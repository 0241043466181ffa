"""Which way of private retrieval is cheapest for a task, and why.

A cost is bytes and CPU seconds over the life of one version of the owner's list, preparation included. The rates are
those of one core of a 2.x GHz x86 server with AVX-512 (docs/protocols, measured by bench/pir.py); they decide between
methods, they are no promise.
"""

from __future__ import annotations

from dataclasses import dataclass

from hefu.engine.errors import InputInvalid
from hefu.engine.pir.dpf import depth_for, key_bytes
from hefu.engine.pir.labelled import tag_bytes_for
from hefu.engine.pir.lookup import choose_load
from hefu.engine.pir.params import DIMENSION, Shape, choose_shape
from hefu.engine.pir.table import choose_layout

SINGLE_SERVER, TWO_SERVER, LABELLED_PSI = "single-server", "two-server", "labelled-psi"

HINT_MULTIPLICATIONS_PER_SECOND = 18e9
LATTICE_BYTES_PER_SECOND = 6e9
ASKER_MULTIPLICATIONS_PER_SECOND = 1.8e9  # A s, with A expanded anew
SCAN_BYTES_PER_SECOND = 10e9
LEAVES_PER_SECOND = 12e6
PRF_SECONDS = 55e-6
TABLE_SECONDS = 2e-6
_ELEMENTS_BYTES = 64
_ELEMENTS_SECONDS = 4 * 40e-6
_MEAN_LOAD = 128


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes before and for the queries (both directions), CPU seconds of owner (or both servers) and asker."""

    offline_bytes: int
    online_bytes: int
    prepare_cpu_seconds: float
    online_cpu_seconds: float

    def seconds(self, bytes_per_second: float) -> float:
        """Transfer and computation one after the other."""
        transfer = (self.offline_bytes + self.online_bytes) / bytes_per_second
        return transfer + self.prepare_cpu_seconds + self.online_cpu_seconds


@dataclass(frozen=True, slots=True)
class PirChoice:
    """The method, the reasons in words, and the cost of every method that was possible."""

    method: str
    reasons: tuple[str, ...]
    costs: dict[str, Cost]


def choose_pir(
    records: int,
    record_bytes: int,
    queries: int,
    two_servers: bool,
    *,
    by_key: bool = True,
    hide_other_records: bool = True,
    bytes_per_second: float = 12.5e6,
) -> PirChoice:
    """The method with the least transfer and computation.

    queries             asked of one version of the list, in all
    two_servers         whether two servers that do not collude can hold the records
    by_key              by the owner's keys; False: by position
    hide_other_records  the asker must not be able to read records that it did not ask for
    """
    if records < 0 or record_bytes < 0 or queries < 1 or not bytes_per_second > 0:
        raise InputInvalid("sizes are not negative, there is at least one query and some bandwidth")
    costs: dict[str, Cost] = {}
    reasons: list[str] = []
    if by_key or not hide_other_records:
        costs[SINGLE_SERVER] = single_server_cost(
            records, record_bytes, queries, by_key=by_key, sealed=hide_other_records
        )
    else:
        reasons.append("single-server by position shows the asker a whole column: ruled out")
    if two_servers:
        costs[TWO_SERVER] = two_server_cost(
            records, record_bytes, queries, by_key=by_key, sealed=hide_other_records
        )
    else:
        reasons.append("no two servers that don't collude: two-server ruled out")
    costs[LABELLED_PSI] = labelled_cost(records, record_bytes, queries)
    method = min(costs, key=lambda name: costs[name].seconds(bytes_per_second))
    for name, cost in costs.items():
        reasons.append(
            f"{name}: {cost.offline_bytes + cost.online_bytes:,} bytes, "
            f"{cost.prepare_cpu_seconds + cost.online_cpu_seconds:.3g} CPU s, "
            f"{cost.seconds(bytes_per_second):.3g} s at {bytes_per_second:.3g} bytes/s"
        )
    return PirChoice(method, (f"{method} is the least in all", *reasons), costs)


def single_server_cost(records: int, record_bytes: int, queries: int, *, by_key: bool, sealed: bool) -> Cost:
    """hint 4096 rows; 4 (rows + columns) per query; 1024 multiplications per byte once, one pass per query."""
    keyed_cpu = records * TABLE_SECONDS if by_key else 0.0
    if by_key:
        layout = choose_layout(records, record_bytes, choose_load(records, record_bytes, queries))
        shape = Shape(layout.buckets, layout.bucket_bytes, 1)
    else:
        shape = choose_shape(records, record_bytes, queries)
    prf = by_key and sealed
    size = shape.rows * shape.columns
    return Cost(
        shape.hint_bytes,
        queries * (shape.query_bytes + shape.answer_bytes + _ELEMENTS_BYTES * prf),
        size * DIMENSION / HINT_MULTIPLICATIONS_PER_SECOND + keyed_cpu + records * PRF_SECONDS * prf,
        queries
        * (
            size / LATTICE_BYTES_PER_SECOND
            + shape.columns * DIMENSION / ASKER_MULTIPLICATIONS_PER_SECOND
            + _ELEMENTS_SECONDS * prf
        ),
    )


def two_server_cost(records: int, record_bytes: int, queries: int, *, by_key: bool, sealed: bool) -> Cost:
    """17 log2(n / 128) + 33 bytes to each server and one record from each; one pass of each server per query."""
    points, width, prepare = records, record_bytes, 0.0
    prf = by_key and sealed
    if by_key:
        layout = choose_layout(records, record_bytes, _MEAN_LOAD)
        points, width = layout.buckets, layout.bucket_bytes
        prepare = records * (TABLE_SECONDS + PRF_SECONDS * prf)
    leaves = 1 << depth_for(points)
    return Cost(
        0,
        queries * (2 * (key_bytes(points) + width) + _ELEMENTS_BYTES * prf),
        prepare,
        queries
        * (
            2 * (points * width / SCAN_BYTES_PER_SECOND + leaves / LEAVES_PER_SECOND)
            + _ELEMENTS_SECONDS * prf
        ),
    )


def labelled_cost(records: int, record_bytes: int, queries: int) -> Cost:
    """The whole sealed list once; 64 bytes per key."""
    return Cost(
        records * (tag_bytes_for(records, queries) + record_bytes),
        queries * _ELEMENTS_BYTES,
        records * PRF_SECONDS,
        queries * _ELEMENTS_SECONDS,
    )
