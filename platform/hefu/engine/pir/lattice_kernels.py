"""The two products of SimplePIR: bytes of the database with queries, and rows of words with a secret, mod 2^32."""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.kernels import kernel


@kernel
def answer(cells: NDArray[np.int8], queries: NDArray[np.uint32], out: NDArray[np.uint32]) -> None:
    """out[k] += sum over c of queries[k, c] cells[c]; cells (m, l), queries (k, m), out (k, l).

    Eight columns at a time: the database passes through the cache once for all queries, and is never written.
    """
    columns, rows = cells.shape
    whole = columns // 8 * 8
    for c in range(0, whole, 8):
        r0, r1, r2, r3 = cells[c], cells[c + 1], cells[c + 2], cells[c + 3]
        r4, r5, r6, r7 = cells[c + 4], cells[c + 5], cells[c + 6], cells[c + 7]
        for k in range(len(queries)):
            q, o = queries[k], out[k]
            q0, q1, q2, q3 = q[c], q[c + 1], q[c + 2], q[c + 3]
            q4, q5, q6, q7 = q[c + 4], q[c + 5], q[c + 6], q[c + 7]
            for i in range(rows):
                upper = r0[i] * q0 + r1[i] * q1 + r2[i] * q2 + r3[i] * q3
                lower = r4[i] * q4 + r5[i] * q5 + r6[i] * q6 + r7[i] * q7
                o[i] = np.uint32(o[i] + upper + lower)
    for c in range(whole, columns):
        r = cells[c]
        for k in range(len(queries)):
            q0, o = queries[k, c], out[k]
            for i in range(rows):
                o[i] = np.uint32(o[i] + r[i] * q0)


@kernel
def dots(matrix: NDArray[np.uint32], vector: NDArray[np.uint32], out: NDArray[np.uint32]) -> None:
    """out[i] += matrix[i] . vector."""
    for i in range(len(matrix)):
        row = matrix[i]
        total = out[i]
        for j in range(len(vector)):
            total = np.uint32(total + row[j] * vector[j])
        out[i] = total
