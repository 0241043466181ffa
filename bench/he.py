"""Homomorphic encryption, measured beside python-paillier with gmpy2 in the same run: one process, one core.

    python -m bench.he [--bits 2048] [--json]

Every result is decrypted and compared with integers in the clear, or the program ends with an error. Both sides get the
same key length, values of 62 bits and weights of 62 bits, phe on fewer of them (its cost per value does not depend on
their number). Keys, tables and imports are made before the clock starts. `ours_bytes` is what would travel.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import phe
from hefu.engine.he import (
    decrypt_packed,
    encrypt_packed,
    encrypt_vector,
    generate_lattice_keypair,
    generate_okamoto_keypair,
    generate_paillier_keypair,
)

COUNT, PEER_COUNT, PACKED, REPEATS = 1000, 60, 21_000, 3


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The value and the least CPU seconds of several runs."""
    best = float("inf")
    for _ in range(REPEATS):
        started = time.process_time()
        value = work()
        best = min(best, time.process_time() - started)
    return value, best


def peak_mb() -> float:
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def require(right: bool, what: str) -> None:
    if not right:
        raise SystemExit(f"{what}: not what the plain computation gives")


def rows(bits: int = 2048) -> list[dict[str, Any]]:
    """Rows of {work, ours_cpu_s, ours_bytes, ours_peak_mb, peer, peer_cpu_s, ratio}, CPU seconds for the stated count."""
    random = np.random.default_rng(7)
    values, weights = random.integers(-(2**62), 2**62, (2, COUNT))
    packed_values = random.integers(-(2**62), 2**62, PACKED)
    exact = sum(int(v) * int(w) for v, w in zip(values, weights, strict=True))
    peer_cost = measure_phe(bits, values.tolist(), weights.tolist())
    idle = peak_mb()
    public, private = generate_paillier_keypair(bits)
    for key in (public, private):
        encrypt_vector(key, [1])  # the tables
    found: list[dict[str, Any]] = []

    def row(work: str, count: int, cpu: float, sent: int | None, peer: str | None) -> None:
        theirs = None if peer is None else peer_cost[peer] * count
        found.append(
            {
                "work": work,
                "ours_cpu_s": cpu,
                "ours_bytes": sent,
                "ours_peak_mb": peak_mb() - idle,
                "peer": None if peer is None else f"phe {phe.__about__.__version__} + gmpy2",
                "peer_cpu_s": theirs,
                "ratio": None if theirs is None else theirs / cpu,
            }
        )

    vector, cpu = timed(lambda: encrypt_vector(public, values))
    row(f"Paillier-{bits} encrypt, {COUNT} values", COUNT, cpu, len(vector.to_bytes()), "encrypt")
    _, cpu = timed(lambda: encrypt_vector(private, values))
    row(f"Paillier-{bits} encrypt by the key's owner, {COUNT} values", COUNT, cpu, None, "encrypt")
    opened, cpu = timed(lambda: private.decrypt_vector(vector))
    require(np.array_equal(opened, values), "decryption")
    row(f"Paillier-{bits} decrypt, {COUNT} values", COUNT, cpu, None, "decrypt")
    product, cpu = timed(lambda: vector.dot(weights))
    require(int(private.decrypt_vector(product)[0]) == exact, "dot product")
    row(f"Paillier-{bits} dot product, {COUNT} terms of 62 bits", COUNT, cpu, len(product.to_bytes()), "dot")
    packed, cpu = timed(lambda: encrypt_packed(public, packed_values))
    require(np.array_equal(decrypt_packed(private, packed), packed_values), "packing")
    row(f"Paillier-{bits} packed encrypt, {PACKED} values", PACKED, cpu, len(packed.to_bytes()), "encrypt")
    okamoto, owner = generate_okamoto_keypair(bits)
    okamoto.encrypt_vector([1, 2**62])
    small, cpu = timed(lambda: okamoto.encrypt_vector(values))
    row(f"Okamoto-Uchiyama-{bits} encrypt, {COUNT} values", COUNT, cpu, len(small.to_bytes()), None)
    opened, cpu = timed(lambda: owner.decrypt_vector(small))
    require(np.array_equal(opened, values), "decryption")
    row(f"Okamoto-Uchiyama-{bits} decrypt, {COUNT} values", COUNT, cpu, None, None)
    for scheme in ("bfv", "ckks"):
        lattice, secret = generate_lattice_keypair(scheme)
        x, y = random.integers(-1000, 1000, (2, lattice.slots))
        cx, cy = lattice.encrypt_vector(x), lattice.encrypt_vector(y)
        both, cpu = timed(lambda cx=cx, cy=cy: cx * cy)
        require(np.abs(secret.decrypt_vector(both) - x * y).max() < 20, scheme)
        row(f"{scheme.upper()} encrypted product, {lattice.slots} pairs", 0, cpu, len(both.to_bytes()), None)
    return found


def measure_phe(bits: int, values: list[int], weights: list[int]) -> dict[str, float]:
    """CPU seconds per value of phe's encryption, decryption and dot product."""
    public, private = phe.generate_paillier_keypair(n_length=bits)
    values, weights = values[:PEER_COUNT], weights[:PEER_COUNT]
    numbers, encrypt = timed(lambda: [public.encrypt(v) for v in values])
    opened, decrypt = timed(lambda: [private.decrypt(c) for c in numbers])
    require(opened == values, "phe: decryption")

    def product() -> Any:
        total = numbers[0] * weights[0]
        for number, weight in zip(numbers[1:], weights[1:], strict=True):
            total = total + number * weight
        return total

    total, dot = timed(product)
    require(private.decrypt(total) == sum(v * w for v, w in zip(values, weights, strict=True)), "phe: dot")
    return {
        name: cpu / PEER_COUNT for name, cpu in (("encrypt", encrypt), ("decrypt", decrypt), ("dot", dot))
    }


def main() -> None:
    """Print a table, or with --json one object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bits", type=int, default=2048)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = rows(given.bits)
    for row in found:
        beside = (
            ""
            if row["ratio"] is None
            else f"{row['peer_cpu_s']:9.3f} s {row['peer']}, ratio {row['ratio']:.1f}"
        )
        print(f"{row['work']:58s} {row['ours_cpu_s']:8.4f} s  {row['ours_bytes'] or '':>10} B  {beside}")
    if given.json:
        print(json.dumps({"rows": found}))


if __name__ == "__main__":
    main()
