"""Compile the kernels of this package on a few elements, with the types that the protocols use."""

import numpy as np

from hefu.engine.rss import bitslice, compare, convert, malicious_ring, matrix, multiply, summands, truncate
from hefu.engine.rss.warm_programs import warm_programs


def warm() -> None:
    """Run each kernel once."""
    n = 4
    row, out, one = (np.zeros(n, dtype=np.uint64) for _ in range(3))
    one = one[:1].copy()
    multiply.local_products(row, row, row, row, row, row, 0, out)
    multiply.local_ands(row, row, row, row, row, row, 0, out)
    multiply.add_zero(out, row, row, 0)
    matrix.ring_product(np.zeros((1, 2), dtype=np.uint64), np.zeros((2, 1), dtype=np.uint64))
    matrix.ring_product(np.zeros((1, 2), dtype=np.uint64), np.zeros((2, 5), dtype=np.uint64))
    planes = bitslice.to_planes(row)
    bitslice.from_planes(planes, n)
    summands._xor_ands(planes, planes, planes[:63].copy())
    compare._combine(planes[:4], planes[:4], planes[:3], planes[:3], row[:3], row[:3], 0, out)
    convert._bits_minus(one, row, 0, out)
    convert._flip(row, one, one, row, 0, out)
    truncate._deal(row, row, row, row, one, 0, out, out)
    truncate._finish(row, row, row, row, one, one, 0, out)
    truncate._local_products(row, row, row, row, out)
    warm_programs()
    malicious_ring.warm()
