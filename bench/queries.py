"""Repeated-query control: how long one new query takes to be checked against a full history.

python bench/queries.py [--sets 1000] [--subjects 100000]; sets are random tokens, so that the sketch decides, as it does for
keyed hashes of sets that are not near each other. The first figure has the sketches of the history computed, the second not.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from hefu.domain.rules.queries import check_query
from hefu.domain.rules.query_sets import Query


def main() -> None:
    """Print seconds and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--subjects", type=int, default=100_000)
    asked = parser.parse_args()
    draw = np.random.default_rng(1)
    people = np.unique(draw.integers(0, 2**64, size=10 * asked.subjects, dtype=np.uint64))
    sets = [
        Query("sum", "pay", people[np.sort(draw.choice(len(people), asked.subjects, replace=False))])
        for _ in range(asked.sets)
    ]
    *history, query = sets
    for name in ("with the history's sketches to compute", "sketches at hand"):
        began = time.process_time()
        verdict = check_query(history, query, max_queries=len(history) + 1)
        print(f"{name}: {time.process_time() - began:.2f} CPU s, passed {verdict.passed}")


if __name__ == "__main__":
    main()
