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

from ..system import private_folder
from .product import TINY as LEAST

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


def cache_folder() -> str | None:
    """Return where compiled loops are kept for other processes, None if nowhere."""
    path: str | None = _kept(width).stats.cache_path  # type: ignore[attr-defined]
    return path


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


TINY = np.float32(LEAST)


@inline
def _multiply(z, i, k, ratio):  # type: ignore[no-untyped-def]
    """Multiply an activation, which stays positive if it is."""
    product = z[i, k] * ratio
    z[i, k] = max(product, TINY) if product > ZERO else product


@outer
def kl_frames(X, W, ahead, Z, start, stop, eps, exponent, update, accumulate, N, D):  # type: ignore[no-untyped-def]
    """Do mm_activations and mm_statistics for beta 1 on frames start to stop; the statistics are added to N and D.

    X is (frames, bins), W, ahead and N (components, width), Z (frames, components), D (components, 1); components,
    start and stop are multiples of 4.
    """
    K = W.shape[0]
    v, g = np.empty((4, W.shape[1]), X.dtype), np.empty((4, K), X.dtype)
    sums = np.empty(K, X.dtype)
    for k in range(K):
        total = eps
        for f in range(W.shape[1]):
            total += W[k, f]
        sums[k] = total
    for t in range(start, stop, 4):
        z = Z[t : t + 4]
        if update:
            model(z, W, v, eps)
            quotient(X, t, v)
            project(v, W, g)
            for i in range(4):
                for k in range(K):
                    q = g[i, k] / sums[k]
                    _multiply(z, i, k, q if exponent == ONE else q**exponent)
        if accumulate:
            model(z, ahead, v, eps)
            quotient(X, t, v)
            add_products(z, v, N)
            for i in range(4):
                for k in range(K):
                    D[k, 0] += z[i, k]


@outer
def is_frames(X, W, ahead, Z, start, stop, eps, exponent, update, accumulate, N, D):  # type: ignore[no-untyped-def]
    """Do the same for beta 0, D as long as N."""
    K = W.shape[0]
    v, u = np.empty((4, W.shape[1]), X.dtype), np.empty((4, W.shape[1]), X.dtype)
    g, h = np.empty((4, K), X.dtype), np.empty((4, K), X.dtype)
    for t in range(start, stop, 4):
        z = Z[t : t + 4]
        if update:
            model(z, W, v, eps)
            reciprocals(X, t, v, u)
            project(u, W, g)
            project(v, W, h)
            for i in range(4):
                for k in range(K):
                    q = g[i, k] / (h[i, k] + eps)
                    _multiply(z, i, k, q if exponent == ONE else q**exponent)
        if accumulate:
            model(z, ahead, v, eps)
            reciprocals(X, t, v, u)
            add_products(z, u, N)
            add_products(z, v, D)


LN2 = np.float32(np.log(2))
C3, C5, C7, C9 = np.float32(1 / 3), np.float32(1 / 5), np.float32(1 / 7), np.float32(1 / 9)
MANTISSA_LOW = np.int32(0x3F400000)  # the bits of 0.75
MANTISSA_MASK = np.int32(0x7FFFFF)


@inline
def _add_logs(r, bits, weight, total):  # type: ignore[no-untyped-def]
    """Return total + sum of weight * log(r), all (4, width); `bits` is r seen as integers and is overwritten.

    The logarithm is that of the mantissa m in [0.75, 1.5), by the series of 2 artanh((m - 1) / (m + 1)), which five
    terms give to single precision, plus that of the power of two: a loop that is vectorised, unlike math.log.
    """
    for i in range(4):
        part = ZERO
        for f in range(r.shape[1]):
            shifted = bits[i, f] - MANTISSA_LOW
            power = shifted >> 23
            bits[i, f] = (shifted & MANTISSA_MASK) + MANTISSA_LOW
            m = r[i, f]
            s = (m - ONE) / (m + ONE)
            q = s * s
            series = ((((q * C9 + C7) * q + C5) * q + C3) * q + ONE) * (s + s)
            part += weight[i, f] * (series + np.float32(power) * LN2)
        total += part
    return total


@outer
def kl_loss(X, W, Z, start, stop, eps, tiny):  # type: ignore[no-untyped-def]
    """Return the sum of x log(x / v) - x + v over frames start to stop."""
    # where there is nothing x is eps, as v is, which adds nothing
    x, v = np.full((4, W.shape[1]), eps), np.empty((4, W.shape[1]), X.dtype)
    as_bits = v.view(np.int32)
    total = 0.0
    for t in range(start, stop, 4):
        load(X, t, x, eps)
        model(Z[t : t + 4], W, v, eps)
        linear = ZERO
        for i in range(4):
            for f in range(v.shape[1]):
                linear += v[i, f] - x[i, f]
                v[i, f] = max(x[i, f], tiny) / v[i, f]
        total = _add_logs(v, as_bits, x, total + linear)
    return total


@outer
def is_loss(X, W, Z, start, stop, eps, tiny):  # type: ignore[no-untyped-def]
    """Return the sum of x / v - log(x / v) - 1 over frames start to stop."""
    x, v = np.full((4, W.shape[1]), eps), np.empty((4, W.shape[1]), X.dtype)
    as_bits = v.view(np.int32)
    minus = np.full((4, W.shape[1]), -ONE)
    total = 0.0
    for t in range(start, stop, 4):
        load(X, t, x, eps)
        model(Z[t : t + 4], W, v, eps)
        linear = ZERO
        for i in range(4):
            for f in range(v.shape[1]):
                q = x[i, f] / v[i, f]
                linear += q - ONE
                v[i, f] = q
        total = _add_logs(v, as_bits, minus, total + linear)
    return total


@outer
def squares_loss(X, W, Z, start, stop, eps, tiny):  # type: ignore[no-untyped-def]
    """Return half the sum of (x - v)² over frames start to stop."""
    x, v = np.full((4, W.shape[1]), eps), np.empty((4, W.shape[1]), X.dtype)
    total = 0.0
    for t in range(start, stop, 4):
        load(X, t, x, eps)
        model(Z[t : t + 4], W, v, eps)
        for i in range(4):
            part = ZERO
            for f in range(v.shape[1]):
                part += (x[i, f] - v[i, f]) ** 2
            total += 0.5 * float(part)
    return total


BLOCK = 256  # columns that are swept together and stay in the first cache
GROUP = 16  # frames whose activations are swept together


@inline
def _sweep(p, G, h, r):  # type: ignore[no-untyped-def]
    """Go over the rows of h (components, n) once, for products p of the same shape; r (n) is overwritten."""
    n = r.size
    for k in range(h.shape[0]):
        if G[k, k] > ZERO:
            for f in range(n):
                r[f] = p[k, f]
            for j in range(0, h.shape[0] // 4 * 4, 4):
                g0, g1, g2, g3 = G[k, j], G[k, j + 1], G[k, j + 2], G[k, j + 3]
                h0, h1, h2, h3 = h[j, :n], h[j + 1, :n], h[j + 2, :n], h[j + 3, :n]
                for f in range(n):
                    r[f] -= g0 * h0[f] + g1 * h1[f] + g2 * h2[f] + g3 * h3[f]
            for j in range(h.shape[0] // 4 * 4, h.shape[0]):
                g0, h0 = G[k, j], h[j, :n]
                for f in range(n):
                    r[f] -= g0 * h0[f]
            scale, own = ONE / G[k, k], h[k, :n]
            for f in range(n):
                own[f] = max(own[f] + r[f] * scale, ZERO)


@outer
def sweep_rows(P, G, H, sweeps):  # type: ignore[no-untyped-def]
    """Do sweep, for all columns of a block before those of the next; P and H are (components, columns)."""
    K, columns = H.shape
    p, h, rest = np.empty((K, BLOCK), H.dtype), np.empty((K, BLOCK), H.dtype), np.empty(BLOCK, H.dtype)
    for a in range(0, columns, BLOCK):
        n = min(BLOCK, columns - a)
        for k in range(K):
            for f in range(n):
                p[k, f], h[k, f] = P[k, a + f], H[k, a + f]
        for _ in range(sweeps):
            _sweep(p, G, h, rest[:n])
        for k in range(K):
            for f in range(n):
                H[k, a + f] = h[k, f]


@outer
def hals_frames(X, W, G, Z, plain, start, stop, sweeps, momentum, N, B):  # type: ignore[no-untyped-def]
    """Do hals_pass on frames start to stop, multiples of 4; Z Xᵀ and Z Zᵀ are added to N and B.

    W is (components, width), G and B (components, components), Z and plain (frames, components). A momentum below 0
    leaves plain alone.
    """
    K = W.shape[0]
    x, g = np.zeros((GROUP, W.shape[1]), X.dtype), np.empty((4, K), X.dtype)
    p, h, rest = np.zeros((K, GROUP), X.dtype), np.zeros((K, GROUP), X.dtype), np.empty(GROUP, X.dtype)
    for a in range(start, stop, GROUP):
        b = min(a + GROUP, stop)
        for t in range(a, b, 4):
            four = x[t - a : t - a + 4]
            load(X, t, four, ZERO)
            if sweeps > 0:
                project(four, W, g)
            for i in range(4):
                for k in range(K):
                    p[k, t - a + i], h[k, t - a + i] = g[i, k], Z[t + i, k]
        for _ in range(sweeps):
            _sweep(p, G, h, rest)
        for t in range(a, b):
            for k in range(K):
                z = h[k, t - a]
                if momentum >= ZERO:
                    h[k, t - a] = max(z + momentum * (z - plain[t, k]), ZERO)
                    plain[t, k] = z
                Z[t, k] = h[k, t - a]
        for t in range(a, b, 4):
            add_products(Z[t : t + 4], x[t - a : t - a + 4], N)
        for k in range(K):
            for j in range(K):
                total = ZERO
                for f in range(b - a):
                    total += h[k, f] * h[j, f]
                B[k, j] += total
