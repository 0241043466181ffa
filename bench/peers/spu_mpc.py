"""SPU 0.9.5: programs on shares. usage: spu_mpc.py WORK N [--protocol ABY3] [--repeat R] [--sort SORT_QUICK]

One process per party over brpc on loopback. Counted: `Runtime.run` of the compiled program, shares in, shares out. Not
counted: imports, compilation, connecting, making the shares, opening the result. SEMI2K takes its triples from the
first party (trusted first party: it could open everything); ABY3 needs no such party.
"""

import argparse
import threading

import numpy as np
from common import Clock, answer, require, run
from spu import api, libspu

FEATURES, ITERATIONS, RATE = 20, 10, 1.0


def config(given):
    """The runtime as its defaults have it; 18 fraction bits in 64."""
    made = libspu.RuntimeConfig(
        protocol=getattr(libspu.ProtocolKind, given.protocol), field=libspu.FieldType.FM64
    )
    if given.sort:
        made.sort_method = getattr(libspu.RuntimeConfig.SortMethod, given.sort)
    if given.work == "latency":
        made.experimental_enable_intra_op_par = False
    return made


def party(rank, ports, payload, clock: Clock):
    """Run the program `repeat` times; answers the shares of its last outputs."""
    given, executable, shares = payload
    code, name, inputs, outputs = executable
    description = libspu.link.Desc()
    description.recv_timeout_ms = 900_000
    description.http_timeout_ms = 900_000
    for i, port in enumerate(ports):
        description.add_party(f"P{i}", f"127.0.0.1:{port}")
    link = libspu.link.create_brpc(description, rank)
    runtime = api.Runtime(link, config(given))
    for key, share in zip(inputs, shares, strict=True):
        runtime.set_var(key, share)
    program = libspu.Executable(name=name, input_names=inputs, output_names=outputs, code=code)
    if given.work == "latency":
        runtime.run(program)
    for _ in range(given.repeat):
        link.barrier()
        with clock:
            for _ in range(given.inner):
                runtime.run(program)
            if given.inner == 1:
                link.barrier()
    result = [runtime.get_var(key) for key in outputs]
    stopping = threading.Thread(target=link.stop_link, daemon=True)
    stopping.start()
    stopping.join(5)
    return result


def compiled(function, arguments):
    """The program as SPU bytecode."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from spu.utils import frontend

    names = [f"in{i}" for i in range(len(arguments))]
    executable, _ = frontend.compile(
        frontend.Kind.JAX,
        function,
        arguments,
        {},
        names,
        [libspu.Visibility.VIS_SECRET] * len(arguments),
        lambda out: [f"out{i}" for i in range(len(out))],
    )
    return executable.code, executable.name, list(executable.input_names), list(executable.output_names)


def work_of(name: str, n: int):
    """The program, its plain inputs, and the check of its plain outputs."""
    import jax
    import jax.numpy as jnp

    coins = np.random.default_rng(7)

    def wide(count):
        return coins.integers(-(2**61), 2**61, count)

    if name in ("comparison", "latency"):
        x, y = wide(n), wide(n)
        return (lambda a, b: a < b), (x, y), lambda out: np.array_equal(out[0].astype(bool), x < y)
    if name == "multiplication":
        x, y = wide(n), wide(n)
        return (lambda a, b: a * b), (x, y), lambda out: np.array_equal(out[0], x * y)
    if name == "fixed":
        x, y = coins.uniform(-100, 100, n), coins.uniform(-100, 100, n)
        return (lambda a, b: a * b), (x, y), lambda out: np.abs(out[0] - x * y).max() < 2e-3
    if name == "equality":
        x = wide(n)
        y = np.where(coins.random(n) < 0.5, x, wide(n))
        return (lambda a, b: a == b), (x, y), lambda out: np.array_equal(out[0].astype(bool), x == y)
    if name == "matmul":
        x, y = coins.integers(-(2**40), 2**40, (n, n)), coins.integers(-(2**40), 2**40, (n, max(n // 10, 1)))
        return jnp.matmul, (x, y), lambda out: np.array_equal(out[0], x @ y)
    if name == "sort":
        x = coins.integers(-(2**40), 2**40, n)
        return jnp.sort, (x,), lambda out: np.array_equal(out[0], np.sort(x))
    if name == "groupby":
        groups = 16
        key, value = coins.integers(0, groups, n), coins.integers(-(2**30), 2**30, n)

        def one_hot(k, v):
            hot = k[:, None] == jnp.arange(groups)[None, :]
            return jnp.sum(jnp.where(hot, v[:, None], 0), axis=0)

        right = np.array([value[key == g].sum() for g in range(groups)])
        return one_hot, (key, value), lambda out: np.array_equal(out[0], right)
    if name == "groupby_sort":
        groups = min(1000, n)
        key, value = coins.integers(0, groups, n), coins.integers(-(2**30), 2**30, n)

        def sort_then_sum(k, v):
            k, v = jax.lax.sort((k, v), num_keys=1)
            total = jax.lax.associative_scan(jnp.add, v)  # its cumsum needs n x n elements
            last = jnp.concatenate([k[1:] != k[:-1], jnp.ones(1, dtype=bool)])
            return k, total, last

        def right(out):
            k, total, last = out
            last = last.astype(bool)
            sums = np.diff(total[last], prepend=0)
            found = dict(zip(k[last].tolist(), sums.tolist(), strict=True))
            return found == {g: int(value[key == g].sum()) for g in np.unique(key).tolist()}

        return sort_then_sum, (key, value), right
    if name == "regression":
        x = coins.normal(size=(n, FEATURES))
        true = coins.normal(size=FEATURES)
        y = (coins.random(n) < 1 / (1 + np.exp(-x @ true))).astype(np.float64)

        def train(a, b):
            w = jnp.zeros(FEATURES)
            for _ in range(ITERATIONS):
                p = jax.nn.sigmoid(a @ w)
                gradient = a.T @ (p - b)
                w = w - gradient * (RATE * 512 / n) / 512
            return w

        plain = np.zeros(FEATURES)
        for _ in range(ITERATIONS):
            plain = plain - RATE / n * (x.T @ (1 / (1 + np.exp(-x @ plain)) - y))

        def accuracy(w):
            return ((x @ w > 0) == (y > 0.5)).mean()

        return train, (x, y), lambda out: abs(accuracy(out[0]) - accuracy(plain)) < 1e-3
    raise SystemExit(f"no work {name!r}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work")
    parser.add_argument("n", type=int)
    parser.add_argument("--protocol", default="ABY3")
    parser.add_argument("--sort", default="")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--inner", type=int, default=1)
    given = parser.parse_args()
    function, plain, right = work_of(given.work, given.n)
    executable = compiled(function, plain)
    parties = 3 if given.protocol == "ABY3" else 2
    io = api.Io(parties, config(given))
    shared = [io.make_shares(value, libspu.Visibility.VIS_SECRET) for value in plain]
    results, cost = run(party, [(given, executable, [s[rank] for s in shared]) for rank in range(parties)])
    opened = [io.reconstruct([result[i] for result in results]) for i in range(len(results[0]))]
    require(right(opened), given.work)
    answer({key: value / given.inner if key != "peak_mb" else value for key, value in cost.items()})


if __name__ == "__main__":
    main()
