"""T+1 reconciliation, measured: every party a process of its own, every link mutual TLS 1.3 over loopback.

    python bench/reconcile.py --rows 1000000 [--institutions 2 --banks 2] [--json]
    python bench/reconcile.py --rows 100000 --kill exchange      # how long until everybody else has stopped

The parties are the owners (the first bank is also N1), the operator (N0), the exchange (N2) and the regulator (G).
Each compiles and loads first; then the clock starts: keys, tokens, sharing, shuffle, join, comparison, halves, opening.
Reading files is not part of it. The same rows are joined in the clear by DuckDB in the same run, and the statuses must
be equal, or the program ends with an error. Links between owners and nodes carry here what the product seals.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import signal
import socket
import ssl
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from hefu.engine.loopback import make_certificates

JOB, CONTRACT = "bench", b"c" * 32
STATUSES = ("match", "amount_mismatch", "missing_at_bank", "missing_at_institution", "token_conflict")


@dataclass(frozen=True)
class Setting:
    """What every process is told. owners: (name, side, rows); addresses follow when all listen."""

    folder: str
    owners: list[tuple[str, str, int]]
    links: list[tuple[str, str]]
    reveal: bool
    design: str = "F"
    kill: str | None = None

    @property
    def nodes(self) -> tuple[str, str, str]:
        first_bank = next(name for name, side, _ in self.owners if side == "bank")
        return ("operator", first_bank, "exchange")

    @property
    def institutions(self) -> list[str]:
        return [name for name, side, _ in self.owners if side == "institution"]

    @property
    def parties(self) -> list[str]:
        return [name for name, _, _ in self.owners] + ["operator", "exchange", "regulator"]


# Data: planted matches, mismatches, rows missing on each side, equal keys, reversals.


def plant(rows: int, institutions: int, banks: int, seed: int) -> dict[str, np.ndarray]:
    """`rows` entries a side: columns side, owner, key, amount, row; owner is a number within its side."""
    random = np.random.default_rng(seed)
    lost = max(rows // 100, 1)
    entry = np.concatenate([np.arange(rows), np.arange(lost, rows + lost)])
    side = np.repeat([0, 1], rows)
    key = entry - (entry % 1000 == 7)  # equal keys, on both sides
    amount = random.integers(1, 10**9, rows + lost)
    amount[random.random(rows + lost) < 0.02] *= -1
    amount = amount[entry]
    wrong = (side == 1) & (entry % 97 == 5)
    amount[wrong] += random.integers(1, 999, wrong.sum())
    customer = key  # a bank serves the same customers at both ends
    owner = np.where(side == 0, customer % institutions, customer // institutions % banks)
    order = random.permutation(len(entry))
    columns = {
        "side": side,
        "owner": owner,
        "key": key,
        "amount": amount,
        "institution": customer % institutions,
    }
    columns = {name: column[order] for name, column in columns.items()}
    row = np.empty(len(entry), dtype=np.int64)
    for s, o in {(s, o) for s in (0, 1) for o in range(max(institutions, banks))}:
        mine = (columns["side"] == s) & (columns["owner"] == o)
        row[mine] = np.arange(1, mine.sum() + 1)
    return columns | {"row": row}


def owner_arrays(columns: dict[str, np.ndarray], side: int, owner: int) -> dict[str, np.ndarray]:
    """The columns of one owner's OwnerRows."""
    mine = (columns["side"] == side) & (columns["owner"] == owner)
    key, amount, row = columns["key"][mine], columns["amount"][mine], columns["row"][mine]
    order = np.lexsort((row, amount, key))
    fresh = np.ones(len(key), dtype=bool)
    fresh[1:] = key[order][1:] != key[order][:-1]
    starts = np.maximum.accumulate(np.where(fresh, np.arange(len(key)), 0))
    occurrence = np.empty(len(key), dtype=np.uint32)
    occurrence[order] = np.arange(len(key)) - starts
    text = b"".join(b"S%019d" % k for k in key.tolist())
    return {
        "institution": columns["institution"][mine].astype(np.int32),
        "key_offsets": np.arange(len(key) + 1, dtype=np.int64) * 20,
        "key_data": np.frombuffer(text, dtype=np.uint8),
        "occurrence": occurrence,
        "amount_cents": amount.astype(np.int64),
        "row": row.astype(np.uint64),
        "transit": np.zeros(len(key), dtype=bool),
    }


# Certificates and connections.


def tls(folder: Path, me: str, peers: list[str], server: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / f"{me}.crt", folder / f"{me}.key")
    for peer in peers:
        context.load_verify_locations(folder / f"{peer}.crt")
    return context


def connect_all(
    setting: Setting, me: str, listener: socket.socket, ports: dict[str, int]
) -> dict[str, ssl.SSLSocket]:
    """One mutual TLS connection per link of ours: the later name connects, the earlier accepts."""
    folder = Path(setting.folder)
    peers = sorted({b if a == me else a for a, b in setting.links if me in (a, b)})
    known = {ssl.PEM_cert_to_DER_cert((folder / f"{p}.crt").read_text()): p for p in peers}
    sockets = {}
    for peer in [p for p in peers if p < me]:
        plain = socket.create_connection(("127.0.0.1", ports[peer]), timeout=60)
        secured = tls(folder, me, [peer], server=False).wrap_socket(plain)
        secured.sendall(b".")  # under TLS 1.3 a client knows of its acceptance only after a first read
        sockets[peer] = secured
    context = tls(folder, me, peers, server=True)
    for _ in [p for p in peers if p > me]:
        plain, _ = listener.accept()
        secured = context.wrap_socket(plain, server_side=True)
        secured.recv(1)
        sockets[known[secured.getpeercert(binary_form=True)]] = secured
    return sockets


# One party.


def party(setting: Setting, me: str, pipe: Connection) -> None:
    """The process of one party: its report, or the error that ended it, goes into the pipe."""
    from hefu.engine.errors import EngineError

    try:
        run_party(setting, me, pipe)
    except EngineError as error:
        pipe.send({"error": error.code, "at": time.time()})


def run_party(setting: Setting, me: str, pipe: Connection) -> None:
    from hefu.components import reconcile as rc
    from hefu.engine.channel import ChannelSet, SocketChannel
    from hefu.engine.session import PartySecret, PublicHello, derive_session
    from hefu.engine.warmup import warm

    warm(("reconcile",) if setting.design == "F" else ("reconcile", "rss"))
    folder = Path(setting.folder)
    batches = [rc.Batch(name, side, i, n) for i, (name, side, n) in enumerate(setting.owners)]
    mine = next((b for b in batches if b.owner == me), None)
    n0, n1, n2 = setting.nodes
    rows = None
    if mine is not None:
        with np.load(folder / f"{me}.npz") as arrays:
            rows = rc.OwnerRows(me, mine.side, mine.batch, **arrays)
    secret = PartySecret()
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    pipe.send((listener.getsockname()[1], secret.hello().to_bytes()))
    ports, hellos = pipe.recv()
    loaded = peak_mb()
    cpu, wall = time.process_time(), time.perf_counter()

    session = derive_session(
        JOB, 1, CONTRACT, me, secret, {name: PublicHello.from_bytes(h) for name, h in hellos.items()}
    )
    channels = ChannelSet(
        {peer: SocketChannel(sock, peer) for peer, sock in connect_all(setting, me, listener, ports).items()}
    )
    channels.handshake(session.session_id, JOB, CONTRACT, me)
    result = None

    def progress(stage: str, done: int, total: int) -> None:
        if setting.kill == me and done == 0:
            pipe.send({"error": "killed", "at": time.time()})
            os.kill(os.getpid(), signal.SIGKILL)

    with channels.abort_on_error():
        phases = {"connect": time.process_time() - cpu}
        nodes = rc.Nodes(n0, n1, n2)
        if me == "regulator":
            keys = rc.make_keys(setting.institutions)
            for b in batches:
                entitled = setting.institutions if b.side == "bank" else [b.owner]
                channels[b.owner].send(b"".join(keys[name] for name in entitled))
        own_masked = None
        if rows is not None:
            blob = channels["regulator"].recv(1 << 20)
            entitled = setting.institutions if mine.side == "bank" else [me]
            keys_of = {
                setting.institutions.index(p): blob[32 * i : 32 * i + 32] for i, p in enumerate(entitled)
            }
            seed, own_masked = rc.share_rows(
                rows, keys_of, sorted_for=len(batches) if setting.design == "S" else None
            )
            channels[n0].send(seed)
            if me != n1:
                channels[n1].send(own_masked)
        phases["input"] = time.process_time() - cpu - sum(phases.values())
        options: dict[str, Any] = {
            "design": setting.design,
            "reveal_difference": setting.reveal,
            "progress": progress,
        }
        if me == n0:
            half = rc.run_n0(
                session, channels, nodes, [(b, channels[b.owner].recv(32)) for b in batches], **options
            )
            channels["regulator"].send(half.to_bytes())
        elif me == n1:
            masked = []
            for b in batches:
                part = own_masked if b.owner == me else np.empty((b.rows, rc.WORDS), dtype=np.uint64)
                if b.owner != me:
                    channels[b.owner].recv_into(part)
                masked.append((b, part))
            del own_masked
            rc.run_n1(session, channels, nodes, masked, **options)
        elif me == n2:
            half = rc.run_n2(session, channels, nodes, batches, **options)
            channels["regulator"].send(half.to_bytes())
        phases["compute"] = time.process_time() - cpu - sum(phases.values())
        if me == "regulator":
            halves = [rc.read_half(channels[node].recv(1 << 30)) for node in (n0, n2)]
            result = rc.open_result(*halves, batches)
        phases["open"] = time.process_time() - cpu - sum(phases.values())
    used, took = time.process_time() - cpu, time.perf_counter() - wall
    if result is not None:
        np.savez(folder / "result.npz", owner=result.owner, row=result.row, status=result.status)
    pipe.send(
        {
            "at": time.time(),
            "cpu_seconds": used,
            "cpu_by_phase": phases,
            "wall_seconds": took,
            "peak_mb": peak_mb(),
            "loaded_mb": loaded,
            "links": {peer: asdict(t) for peer, t in channels.transcripts().items()},
        }
    )
    pipe.recv()
    channels.close()


def peak_mb() -> float:
    """This process's peak; getrusage would count what the parent held before exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


# The plain join.


def plain_join(columns: dict[str, np.ndarray]) -> tuple[np.ndarray, float, float]:
    """Statuses by DuckDB, one per row of `columns`; CPU and wall seconds of the join."""
    import duckdb

    database = duckdb.connect()
    plain = {name: column.astype(np.int64) for name, column in columns.items()} | {
        "id": np.arange(len(columns["key"]), dtype=np.int64)
    }
    database.execute("create table entries as select *, printf('S%019d', key) as serial from plain")
    cpu, wall = time.process_time(), time.perf_counter()
    rows = database.execute(
        """
        with numbered as (
            select *, row_number() over (partition by side, owner, institution, serial order by amount, "row") as occ
            from entries)
        select coalesce(a.id, -1) as a, coalesce(b.id, -1) as b,
               case when b.id is null then 2 when a.id is null then 3 when a.amount = b.amount then 0 else 1 end as status
        from (select * from numbered where side = 0) a
        full outer join (select * from numbered where side = 1) b using (institution, serial, occ)
        """
    ).fetchnumpy()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    status = np.full(len(plain["id"]), 255, dtype=np.uint8)
    for side in ("a", "b"):
        present = rows[side] >= 0
        status[rows[side][present]] = rows["status"][present]
    return status, cpu, wall


# The run.


def measure(
    rows: int, institutions: int, banks: int, reveal: bool, design: str, seed: int, kill: str | None
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        columns = plant(rows, institutions, banks, seed)
        owners = []
        for side, label, count in ((0, "institution", institutions), (1, "bank", banks)):
            for owner in range(count):
                arrays = owner_arrays(columns, side, owner)
                owners.append((f"{label}-{owner}", label, len(arrays["row"])))
                np.savez(folder / f"{label}-{owner}.npz", **arrays)
        nodes = ("operator", "bank-0", "exchange")
        names = [o[0] for o in owners]
        links = {(o, n) for o in names for n in (nodes[0], nodes[1], "regulator") if o != n}
        links |= {(nodes[0], nodes[1]), (nodes[0], nodes[2]), (nodes[1], nodes[2])}
        links |= {("regulator", nodes[0]), ("regulator", nodes[2])}
        links = {(min(link), max(link)) for link in links}
        setting = Setting(name, owners, sorted(links), reveal, design, kill)
        make_certificates(folder, setting.parties)
        reports = run_parties(setting)
        if kill is not None:
            died_at = reports[kill]["at"]
            ends = {
                p: {"error": r.get("error"), "seconds": round(r["at"] - died_at, 3)}
                for p, r in reports.items()
            }
            return {"rows_per_side": rows, "killed": kill, "ends": ends}
        expected, plain_cpu, plain_wall = plain_join(columns)
        with np.load(folder / "result.npz") as result:
            got = np.full(len(expected), 254, dtype=np.uint8)
            for index, (owner, label, _) in enumerate(owners):
                mine = (columns["side"] == (label == "bank")) & (columns["owner"] == int(owner.split("-")[1]))
                lines = result["owner"] == index
                by_row = np.full(mine.sum() + 1, 253, dtype=np.uint8)
                by_row[result["row"][lines]] = result["status"][lines]
                got[mine] = by_row[columns["row"][mine]]
        wrong = int((got != expected).sum())
        cpu = sum(r["cpu_seconds"] for r in reports.values())
        sent = {f"{p} -> {q}": t["bytes_sent"] for p, r in reports.items() for q, t in r["links"].items()}
        agree = all(
            t["sent"] == reports[q]["links"][p]["received"]
            for p, r in reports.items()
            for q, t in r["links"].items()
        )
        return {
            "rows_per_side": rows,
            "institutions": institutions,
            "banks": banks,
            "design": design,
            "wrong_statuses": wrong,
            "transcripts_agree": agree,
            "statuses": dict(zip(STATUSES, np.bincount(got, minlength=5)[:5].tolist(), strict=True)),
            "cpu_seconds": round(cpu, 3),
            "wall_seconds": round(max(r["wall_seconds"] for r in reports.values()), 3),
            "megabytes": round(sum(sent.values()) / 1e6, 1),
            "duckdb_cpu_seconds": round(plain_cpu, 3),
            "duckdb_wall_seconds": round(plain_wall, 3),
            "cpu_ratio_to_duckdb": round(cpu / plain_cpu, 2),
            "parties": {
                p: {
                    "cpu_seconds": round(r["cpu_seconds"], 3),
                    "cpu_by_phase": {k: round(v, 3) for k, v in r["cpu_by_phase"].items()},
                    "peak_mb": round(r["peak_mb"]),
                    "loaded_mb": round(r["loaded_mb"]),
                }
                for p, r in reports.items()
            },
            "link_bytes": {link: count for link, count in sorted(sent.items()) if count},
        }


def run_parties(setting: Setting) -> dict[str, dict[str, Any]]:
    """Start a process per party, introduce them, collect their reports."""
    spawn = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for name in setting.parties:
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=party, args=(setting, name, theirs), daemon=True)
        process.start()
        theirs.close()
        pipes[name] = ours
        processes.append(process)
    try:
        hellos = {name: pipe.recv() for name, pipe in pipes.items()}
        for pipe in pipes.values():
            pipe.send(({n: port for n, (port, _) in hellos.items()}, {n: h for n, (_, h) in hellos.items()}))
        reports = {name: pipe.recv() for name, pipe in pipes.items()}
        for pipe in pipes.values():
            with contextlib.suppress(BrokenPipeError):  # whoever failed has left
                pipe.send("done")
        return reports
    finally:
        for process in processes:
            process.join(timeout=10)
            if process.is_alive():
                process.kill()


def table(report: dict[str, Any]) -> str:
    lines = [
        f"{report['rows_per_side']} rows a side, {report['institutions']} institutions x {report['banks']} banks",
        f"CPU {report['cpu_seconds']} s over all parties, wall {report['wall_seconds']} s, {report['megabytes']} MB sent",
        f"DuckDB, in the clear: CPU {report['duckdb_cpu_seconds']} s (ratio {report['cpu_ratio_to_duckdb']})",
        f"{'party':16}{'CPU s':>8}{'peak MB':>9}{'before':>8}   by phase",
    ]
    for name, r in report["parties"].items():
        lines.append(
            f"{name:16}{r['cpu_seconds']:8.3f}{r['peak_mb']:9}{r['loaded_mb']:8}   {r['cpu_by_phase']}"
        )
    lines += [f"{link:32}{count / 1e6:10.3f} MB" for link, count in report["link_bytes"].items()]
    lines.append(f"statuses {report['statuses']}, wrong: {report['wrong_statuses']}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Measure the reconciliation protocol, every party a process."
    )
    parser.add_argument("--rows", type=int, default=100_000, help="rows a side")
    parser.add_argument("--institutions", type=int, default=1)
    parser.add_argument("--banks", type=int, default=1)
    parser.add_argument("--reveal-difference", action="store_true")
    parser.add_argument("--design", choices=("F", "S"), default="F")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kill", help="kill this compute node in the middle, and time the others' end")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    report = measure(
        given.rows,
        given.institutions,
        given.banks,
        given.reveal_difference,
        given.design,
        given.seed,
        given.kill,
    )
    if given.kill:
        print(json.dumps(report))
        return 0
    print(json.dumps(report) if given.json else table(report))
    return 0 if report["wrong_statuses"] == 0 and report["transcripts_agree"] else 1


if __name__ == "__main__":
    sys.exit(main())
