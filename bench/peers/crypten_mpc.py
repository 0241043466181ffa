"""CrypTen 0.4.1 on torch: programs on shares. usage: crypten_mpc.py WORK N [--repeat R]

Two processes over gloo on loopback; triples come from the first party (trusted first party: it could open everything).
Counted: the operation on shares. Not counted: imports, connecting, sharing the inputs, opening the result. One thread
per process. CrypTen 0.4.1 wants a module that later torch versions no longer have: a stub stands in for it.
"""

import argparse
import os
import sys
import types

import numpy as np
from common import Clock, answer, require, run

FEATURES, ITERATIONS, RATE, SCALE = 20, 10, 1.0, 65536


def crypten_module():
    """CrypTen, once what it expects of torch is there."""
    import importlib.util

    import torch
    import torch.onnx

    for name in ("torch.onnx._internal.registration", "torch.onnx.symbolic_registry"):
        try:
            found = importlib.util.find_spec(name) is not None
        except ModuleNotFoundError:
            found = False
        if not found:
            stub = types.ModuleType(name)
            stub.registry = types.SimpleNamespace(register=lambda *a, **k: None)
            sys.modules[name] = stub
    for name in ("_internal", "utils"):
        if not hasattr(torch.onnx, name):
            setattr(torch.onnx, name, types.SimpleNamespace())
    import crypten

    return crypten, torch


def party(rank, ports, payload, clock: Clock):
    """Run `repeat` times; answers the opened result."""
    given, inputs = payload
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "RENDEZVOUS": f"tcp://127.0.0.1:{ports[0]}",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(ports[0]),
        "DISTRIBUTED_BACKEND": "gloo",
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
    }
    crypten, torch = crypten_module()
    torch.set_num_threads(1)
    crypten.init()
    whole = given.work in ("comparison", "multiplication", "equality", "matmul")
    precision = 0 if whole else 16
    shared = [crypten.cryptensor(torch.from_numpy(v), src=0, precision=precision) for v in inputs]

    def train(x, y):
        weights = crypten.cryptensor(torch.zeros(FEATURES), src=0)
        for _ in range(ITERATIONS):
            p = x.matmul(weights).sigmoid()
            gradient = x.transpose(0, 1).matmul(p - y)
            weights = weights - gradient.div(x.size(0)) * RATE  # gradient * (RATE / n) would round to nothing
        return weights

    program = {
        "comparison": lambda x, y: x < y,
        "multiplication": lambda x, y: x * y,
        "fixed": lambda x, y: x * y,
        "equality": lambda x, y: x == y,
        "matmul": lambda x, y: x.matmul(y),
        "regression": train,
    }[given.work]
    for _ in range(given.repeat):
        crypten.communicator.get().barrier()
        with clock:
            result = program(*shared)
    return (
        result.reveal().numpy()
    )  # the ring's integers: its own decoding is off by one for some negative values


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work")
    parser.add_argument("n", type=int)
    parser.add_argument("--repeat", type=int, default=1)
    given = parser.parse_args()
    coins, n = np.random.default_rng(7), given.n
    wrong = 0
    if given.work in ("comparison", "multiplication", "equality"):
        x, y = coins.integers(-(2**61), 2**61, n), coins.integers(-(2**61), 2**61, n)
        if given.work == "equality":
            y = np.where(coins.random(n) < 0.5, x, y)

        def check(out):
            found = out if given.work == "multiplication" else out != 0
            right = {"comparison": x < y, "multiplication": x * y, "equality": x == y}[given.work]
            return np.array_equal(found, right)

    elif given.work == "fixed":
        x, y = coins.uniform(-100, 100, n), coins.uniform(-100, 100, n)

        def check(out):
            nonlocal wrong  # its truncation fails by design with probability 2^(bits - 64) per element
            wrong = int((np.abs(out / SCALE - x * y) > 1e-2).sum())
            return wrong <= max(n // 10_000, 1)

    elif given.work == "matmul":
        x = coins.integers(-(2**40), 2**40, (n, n))
        y = coins.integers(-(2**40), 2**40, (n, max(n // 10, 1)))

        def check(out):
            return np.array_equal(out, x @ y)

    else:
        x = coins.normal(size=(n, FEATURES))
        true = coins.normal(size=FEATURES)
        y = (coins.random(n) < 1 / (1 + np.exp(-x @ true))).astype(np.float64)
        plain = np.zeros(FEATURES)
        for _ in range(ITERATIONS):
            plain = plain - RATE / n * (x.T @ (1 / (1 + np.exp(-x @ plain)) - y))

        def check(out):
            return (
                abs(((x @ (out / SCALE) > 0) == (y > 0.5)).mean() - ((x @ plain > 0) == (y > 0.5)).mean())
                < 1e-3
            )

    results, cost = run(party, [(given, (x, y))] * 2)
    require(check(results[0]), given.work)
    answer(cost, wrong_elements=wrong)


if __name__ == "__main__":
    main()
