"""The building blocks of the compiled loops: four frames by some components together, vectorised over the bins.

Arrays are float32 and C-contiguous. Components come in fours, and rows over the bins are as long as `width` says, with
a filler at their end: so the compiler's remainder loops, which are not vectorised, have nothing to do, and rows do not
compete for the same places of the cache, as those of 1025 bins do, which lie nearly 4096 bytes apart.

numba does not see that loops it has cached depend on this file: after a change here, touch those that import it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np

from ...system import private_folder

inline = nb.njit(inline="always", fastmath=True)
# a check for division by zero would keep the loops from being vectorised: error_model="numpy" leaves it out
_compiled = functools.partial(nb.njit, nogil=True, fastmath=True, error_model="numpy")
# typed, since numba makes float64 of a float32 and a Python number
ZERO, ONE = np.float32(0), np.float32(1)
STEP = 32  # entries of a row that a vectorised loop handles in one turn


def outer(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a loop at its first call, and keep the code for other processes where there is a place for it."""
    loop = _kept(function)

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        nonlocal loop
        try:
            return loop(*arguments)
        except Exception:  # what was kept is damaged, or its disk is full; a loop itself raises nothing
            loop = _compiled(function)
            return loop(*arguments)

    return call


def _kept(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a loop that is kept where numba does or else in a folder for what is temporary, or one that is not."""
    loop: Callable[..., Any] = _compiled(function)
    try:
        return _compiled(cache=True)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written to
        folder, config = private_folder(), vars(nb.config)
    if folder is None:
        return loop
    before, config["CACHE_DIR"] = config["CACHE_DIR"], str(folder)  # is looked at here only
    try:
        return _compiled(cache=True)(function)
    except RuntimeError:
        return loop
    finally:
        config["CACHE_DIR"] = before


def width(bins: int) -> int:
    """Return the length of rows that hold so many bins: an odd multiple of STEP."""
    return (-(-bins // STEP) | 1) * STEP


@inline
def load(X, t, x, filler):  # type: ignore[no-untyped-def]
    """Copy four frames of X from t on to x (4, width), whose rows end in `filler` already; behind the last all is."""
    for i in range(4):
        if t + i < X.shape[0]:
            row = X[t + i]
            for f in range(row.size):
                x[i, f] = row[f]
        else:
            x[i] = filler


@inline
def model(z, W, v, eps):  # type: ignore[no-untyped-def]
    """Set v (4, width) to z (4, components) @ W + eps."""
    v0, v1, v2, v3 = v[0], v[1], v[2], v[3]
    for k in range(0, W.shape[0], 4):
        w0, w1, w2, w3 = W[k], W[k + 1], W[k + 2], W[k + 3]
        a0, a1, a2, a3 = z[0, k], z[0, k + 1], z[0, k + 2], z[0, k + 3]
        b0, b1, b2, b3 = z[1, k], z[1, k + 1], z[1, k + 2], z[1, k + 3]
        c0, c1, c2, c3 = z[2, k], z[2, k + 1], z[2, k + 2], z[2, k + 3]
        d0, d1, d2, d3 = z[3, k], z[3, k + 1], z[3, k + 2], z[3, k + 3]
        if k == 0:
            for f in range(w0.size):
                p0, p1, p2, p3 = w0[f], w1[f], w2[f], w3[f]
                v0[f] = eps + a0 * p0 + a1 * p1 + a2 * p2 + a3 * p3
                v1[f] = eps + b0 * p0 + b1 * p1 + b2 * p2 + b3 * p3
                v2[f] = eps + c0 * p0 + c1 * p1 + c2 * p2 + c3 * p3
                v3[f] = eps + d0 * p0 + d1 * p1 + d2 * p2 + d3 * p3
        else:
            for f in range(w0.size):
                p0, p1, p2, p3 = w0[f], w1[f], w2[f], w3[f]
                v0[f] += a0 * p0 + a1 * p1 + a2 * p2 + a3 * p3
                v1[f] += b0 * p0 + b1 * p1 + b2 * p2 + b3 * p3
                v2[f] += c0 * p0 + c1 * p1 + c2 * p2 + c3 * p3
                v3[f] += d0 * p0 + d1 * p1 + d2 * p2 + d3 * p3


@inline
def project(r, W, g):  # type: ignore[no-untyped-def]
    """Set g (4, components) to r (4, width) @ W transposed."""
    r0, r1, r2, r3 = r[0], r[1], r[2], r[3]
    for k in range(0, W.shape[0], 2):
        w, u = W[k], W[k + 1]
        a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = ZERO
        for f in range(w.size):
            p, q = w[f], u[f]
            a0 += r0[f] * p
            a1 += r1[f] * p
            a2 += r2[f] * p
            a3 += r3[f] * p
            b0 += r0[f] * q
            b1 += r1[f] * q
            b2 += r2[f] * q
            b3 += r3[f] * q
        g[0, k], g[1, k], g[2, k], g[3, k] = a0, a1, a2, a3
        g[0, k + 1], g[1, k + 1], g[2, k + 1], g[3, k + 1] = b0, b1, b2, b3


@inline
def add_products(z, r, N):  # type: ignore[no-untyped-def]
    """Add z (4, components) transposed @ r (4, width) to N."""
    r0, r1, r2, r3 = r[0], r[1], r[2], r[3]
    for k in range(0, N.shape[0], 2):
        n, m = N[k], N[k + 1]
        a0, a1, a2, a3 = z[0, k], z[1, k], z[2, k], z[3, k]
        b0, b1, b2, b3 = z[0, k + 1], z[1, k + 1], z[2, k + 1], z[3, k + 1]
        for f in range(n.size):
            x0, x1, x2, x3 = r0[f], r1[f], r2[f], r3[f]
            n[f] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
            m[f] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3


@inline
def quotient(X, t, v):  # type: ignore[no-untyped-def]
    """Set v (4, width) to x / v, x being four frames of X from t on, and to 0 where there are none."""
    for i in range(4):
        row = v[i]
        if t + i < X.shape[0]:
            x = X[t + i]
            for f in range(x.size):
                row[f] = x[f] / row[f]
            row[x.size :] = ZERO
        else:
            row[:] = ZERO


@inline
def reciprocals(X, t, v, u):  # type: ignore[no-untyped-def]
    """Set v (4, width) to 1 / v and u to x / v², x being four frames of X from t on, and to 0 where there are none."""
    for i in range(4):
        row, scaled = v[i], u[i]
        if t + i < X.shape[0]:
            x = X[t + i]
            for f in range(x.size):
                q = ONE / row[f]
                row[f] = q
                scaled[f] = x[f] * q * q
            row[x.size :] = ZERO
            scaled[x.size :] = ZERO
        else:
            row[:] = ZERO
            scaled[:] = ZERO
