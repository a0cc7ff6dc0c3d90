"""Loops over the entries of a sparse matrix, row by row: of a csr_array its rows, of a csc_array its columns.

`ends` and `places` are what scipy calls indptr and indices. A row of A belongs to a row of X, a row of B to a column.
"""

from __future__ import annotations

from .numba_loops import outer


@outer
def model(ends, places, A, B, start, stop, eps, v):  # type: ignore[no-untyped-def]
    """Set v to A Bᵀ + eps at the entries of rows start to stop."""
    for row in range(start, stop):
        a = A[row]
        for i in range(ends[row], ends[row + 1]):
            b, total = B[places[i]], eps
            for k in range(a.size):
                total += a[k] * b[k]
            v[i] = total


@outer
def ratio(ends, places, entries, A, B, start, stop, eps, out):  # type: ignore[no-untyped-def]
    """Set rows start to stop of out to (X / (A Bᵀ + eps)) B."""
    for row in range(start, stop):
        a, own = A[row], out[row]
        for k in range(a.size):
            own[k] = 0
        for i in range(ends[row], ends[row + 1]):
            b, total = B[places[i]], eps
            for k in range(a.size):
                total += a[k] * b[k]
            share = entries[i] / total
            for k in range(a.size):
                own[k] += share * b[k]


@outer
def product(entries, places, ends, B, start, stop, out):  # type: ignore[no-untyped-def]
    """Set rows start to stop of out to X B."""
    for row in range(start, stop):
        own = out[row]
        for k in range(own.size):
            own[k] = 0
        for i in range(ends[row], ends[row + 1]):
            b, x = B[places[i]], entries[i]
            for k in range(own.size):
                own[k] += x * b[k]
