"""Private retrieval, measured: every party a process of its own over loopback TCP, CPU seconds of all parties summed.

    python bench/pir.py [--full] [--json]

The peer is the physical limit: reading the same bytes once (numpy's sum over 64-bit words, in the same run), times the
passes that the protocol makes. `ratio` is the limit's CPU seconds over ours: 0.5 means twice the time of a plain read.
What is retrieved is compared with the plaintext, or the program ends with an error. `--full` makes the sealed lists as
long as the others (2^20 entries, a minute of group operations each) instead of 2^16.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from hefu.engine.launch import Report, measure
from hefu.engine.pir import (
    Keys,
    Replica,
    build_table,
    dpf,
    labelled,
    lattice,
    lookup,
    prepare_list,
    prepare_lookup,
    single,
    two_server,
)
from hefu.engine.pir.scan import as_words, scan
from hefu.engine.pir.warm import warm
from hefu.engine.prg import Prg
from hefu.engine.session import Session

RECORDS, WIDTH = 1 << 20, 32
QUERIES = 64
REPEATS = 9

Row = dict[str, Any]


def plain_read(data: np.ndarray) -> float:
    """CPU seconds to read the bytes once: the least of several."""
    words = data.reshape(-1)[: data.size // 8 * 8].view(np.uint64)
    return min(_cpu(lambda: np.sum(words)) for _ in range(REPEATS))


def _cpu(work: Callable[[], Any]) -> float:
    """Of this thread alone: those that multiplied matrices before us idle noisily for a while."""
    started = time.thread_time()
    work()
    return time.thread_time() - started


def _row(work: str, cpu: float, sent: int | None, peak_mb: float | None, peer: str, peer_cpu: float) -> Row:
    return {
        "work": work,
        "ours_cpu_s": round(cpu, 5),
        "ours_bytes": sent,
        "ours_peak_mb": peak_mb,
        "peer": peer,
        "peer_cpu_s": round(peer_cpu, 5),
        "ratio": round(peer_cpu / cpu, 4),
    }


def _of_run(work: str, reports: dict[str, Report], passes: int, read: float) -> Row:
    cpu = sum(report.cpu_seconds for report in reports.values())
    sent = sum(report.bytes_sent for report in reports.values())
    peak = round(max(report.peak_mb - report.idle_mb for report in reports.values()), 1)
    return _row(work, cpu, sent, peak, f"plain read x {passes}", read * passes)


def kernels(data: np.ndarray, read: float) -> list[Row]:
    """The owner's pass alone, for one query and for eight at once, in this process."""
    rows = []
    session = Session(bytes(32), "owner", {})
    made: list[lattice.LatticeDatabase] = []
    started = time.process_time()
    made.append(lattice.prepare(session, data, queries=QUERIES))
    cpu = time.process_time() - started
    rows.append(_row("single-server: hint (once per version)", cpu, None, None, "plain read x 1", read))
    words, mmo = as_words(data), dpf.Mmo(bytes(16))
    for count in (1, 8):
        secrets = [lattice.QuerySecret(session, count, k) for k in range(count)]
        columns = made[0].shape.columns
        asked = lattice.encrypt(made[0].seed, columns, list(range(count)), secrets)
        cpu = min(_cpu(lambda asked=asked: lattice.respond(made[0], asked)) for _ in range(REPEATS))
        name = f"single-server: answer to {count} at once, per query"
        rows.append(_row(name, cpu / count, None, None, "plain read x 1", read))
        wanted = np.arange(count, dtype=np.uint64) * np.uint64(7919)
        keys, _ = dpf.generate(mmo, len(data), wanted, Prg(bytes(16)))
        cpu = min(
            _cpu(lambda keys=keys: scan(words, dpf.evaluate_all(mmo, keys, len(data))))
            for _ in range(REPEATS)
        )
        name = f"two-server: one server's answer to {count} at once, per query"
        rows.append(_row(name, cpu / count, None, None, "plain read x 1", read))
    return rows


def single_server(data: np.ndarray, wanted: list[int], read: float) -> Row:
    """By position: preparation, hint and all queries."""

    def owner(session: Any, channels: Any) -> None:
        made = lattice.prepare(session, data, queries=len(wanted))
        single.serve_hint(session, channels["asker"], made)
        single.serve_queries(session, channels["asker"], made)

    def asker(session: Any, channels: Any) -> bool:
        hint = single.fetch_hint(session, channels["owner"])
        return bool((single.retrieve(session, channels["owner"], hint, wanted) == data[wanted]).all())

    reports = measure({"owner": owner, "asker": asker}, prepare=warm)
    assert reports["asker"].value
    return _of_run(f"single-server: hint and {len(wanted)} records", reports, len(wanted), read)


def by_key(keys: np.ndarray, data: np.ndarray, wanted: list[int], sealed: bool) -> Row:
    """By key: table, hint and all look-ups, half of them of keys that aren't there."""
    asked = [keys[k].tobytes() for k in wanted] + [b"missing %d" % k for k in wanted]

    def owner(session: Any, channels: Any) -> None:
        made = prepare_lookup(session, Keys.fixed(keys), data, sealed=sealed, queries=len(asked))
        lookup.serve_lookup_hint(session, channels["asker"], made)
        lookup.serve_lookups(session, channels["asker"], made)

    def asker(session: Any, channels: Any) -> bool:
        hint = lookup.fetch_lookup_hint(session, channels["owner"])
        return _right(lookup.look_up(session, channels["owner"], hint, asked), data, wanted)

    reports = measure({"owner": owner, "asker": asker}, prepare=warm)
    assert reports["asker"].value
    kind = "sealed" if sealed else "open"
    name = f"single-server, {kind}: table of {len(keys)} keys, hint and {len(asked)} look-ups"
    return _of_run(name, reports, len(asked), plain_read(data))


def _right(answer: tuple[np.ndarray, np.ndarray], data: np.ndarray, wanted: list[int]) -> bool:
    found, payloads = answer
    half = len(wanted)
    return bool(found[:half].all() and not found[half:].any() and (payloads[:half] == data[wanted]).all())


def two_servers(data: np.ndarray, wanted: list[int], read: float) -> Row:
    """By position, from two servers."""
    replica = Replica.of(data)

    def server(other: str) -> Any:
        return lambda session, channels: two_server.serve_positions(
            session, channels["asker"], other, replica
        )

    def asker(session: Any, channels: Any) -> bool:
        servers = channels["left"], channels["right"]
        made = two_server.retrieve(session, servers, *data.shape, wanted)
        return bool((made == data[wanted]).all())

    programs = {"left": server("right"), "right": server("left"), "asker": asker}
    reports = measure(programs, prepare=warm)
    assert reports["asker"].value
    return _of_run(f"two-server: {len(wanted)} records", reports, 2 * len(wanted), read)


def two_servers_by_key(keys: np.ndarray, data: np.ndarray, wanted: list[int]) -> Row:
    """By key, from two servers that hold an open table; making the table isn't counted."""
    asked = [keys[k].tobytes() for k in wanted] + [b"missing %d" % k for k in wanted]
    table = build_table(Session(bytes(32), "owner", {}), Keys.fixed(keys), data, sealed=False)

    def server(other: str) -> Any:
        def program(session: Any, channels: Any) -> None:
            two_server.serve_table(channels["asker"], table)
            two_server.serve_positions(session, channels["asker"], other, Replica.of(table.rows))

        return program

    def asker(session: Any, channels: Any) -> bool:
        servers = channels["left"], channels["right"]
        header = two_server.fetch_table(servers)
        return _right(two_server.look_up(session, servers, header, asked), data, wanted)

    programs = {"left": server("right"), "right": server("left"), "asker": asker}
    reports = measure(programs, prepare=warm)
    assert reports["asker"].value
    name = f"two-server: {len(asked)} look-ups among {len(keys)} keys"
    return _of_run(name, reports, 2 * len(asked), plain_read(data))


def labelled_psi(keys: np.ndarray, data: np.ndarray, wanted: list[int]) -> list[Row]:
    """The list's preparation and download, and the batch, apart."""
    asked = [keys[k].tobytes() for k in wanted] + [b"missing %d" % k for k in wanted]

    def owner(session: Any, channels: Any) -> float:
        made = prepare_list(session, Keys.fixed(keys), data)
        labelled.serve_list(session, channels["asker"], made)
        started = time.process_time()
        labelled.serve_labels(session, channels["asker"], made)
        return time.process_time() - started

    def asker(session: Any, channels: Any) -> tuple[bool, float, int]:
        published = labelled.fetch_list(session, channels["owner"])
        started, before = time.process_time(), channels["owner"].transcript()
        answer = labelled.find_labels(session, channels["owner"], published, asked)
        after = channels["owner"].transcript()
        moved = after.bytes_sent + after.bytes_received - before.bytes_sent - before.bytes_received
        return _right(answer, data, wanted), time.process_time() - started, moved

    reports = measure({"owner": owner, "asker": asker}, prepare=warm)
    right, cpu, moved = reports["asker"].value
    assert right
    read = plain_read(data)
    whole = _of_run(f"labelled PSI: list of {len(keys)}, {len(asked)} keys", reports, 1, read)
    online = cpu + reports["owner"].value
    return [
        whole,
        _row(f"labelled PSI: the {len(asked)} keys alone", online, moved, None, "plain read x 1", read),
    ]


def rows() -> list[Row]:
    """Every measurement, with sealed lists of 2^16 entries."""
    return measured(full=False)


def measured(full: bool) -> list[Row]:
    """Every measurement."""
    warm()
    rng = np.random.default_rng(20230809)
    data = rng.integers(0, 256, (RECORDS, WIDTH), dtype=np.uint8)
    keys = rng.integers(0, 256, (RECORDS, 16), dtype=np.uint8)
    wanted = rng.integers(0, 1 << 16, QUERIES).tolist()
    read = plain_read(data)
    sealed = RECORDS if full else 1 << 16
    return [
        *kernels(data, read),
        single_server(data, wanted, read),
        two_servers(data, wanted, read),
        by_key(keys, data, wanted, sealed=False),
        two_servers_by_key(keys, data, wanted),
        by_key(keys[:sealed], data[:sealed], wanted, sealed=True),
        *labelled_psi(keys[:sealed], data[:sealed], wanted * 8),
    ]


def main() -> None:
    """Print the table, or with --json one object on the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="sealed lists of 2^20 entries")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = measured(arguments.full)
    if arguments.json:
        print(json.dumps({"rows": found}))
        return
    for row in found:
        print(
            f"{row['work']:75} {row['ours_cpu_s']:9.4f} s {row['ours_bytes'] or '':>12} B "
            f"{row['ours_peak_mb'] or '':>7} MB   {row['peer']} {row['peer_cpu_s']:.4f} s   {row['ratio']:.3f}"
        )


if __name__ == "__main__":
    main()
