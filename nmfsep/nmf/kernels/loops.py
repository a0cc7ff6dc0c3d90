"""The loops that numba compiles, kept apart so that importing anything else does not load it."""

from __future__ import annotations

import numba as nb
import numpy as np

inline = nb.njit(inline="always", fastmath=True)
# a check for division by zero would keep the loops from being vectorised: error_model="numpy" leaves it out
outer = nb.njit(nogil=True, fastmath=True, cache=True, error_model="numpy")
# typed, since numba makes float64 of a float32 and a Python number
ZERO, ONE, LN2 = np.float32(0), np.float32(1), np.float32(np.log(2))
C3, C5, C7, C9 = np.float32(1 / 3), np.float32(1 / 5), np.float32(1 / 7), np.float32(1 / 9)
BLOCK = 256  # columns that are swept together and stay in the first cache
MANTISSA_LOW = np.int32(0x3F400000)  # the bits of 0.75
MANTISSA_MASK = np.int32(0x7FFFFF)


@inline
def _model(z, W, v, eps):  # type: ignore[no-untyped-def]
    """Set v (4, bins) to z (4, components) @ W + eps."""
    bins = W.shape[1]
    for k in range(0, W.shape[0], 4):
        a0, a1, a2, a3 = z[0, k], z[0, k + 1], z[0, k + 2], z[0, k + 3]
        b0, b1, b2, b3 = z[1, k], z[1, k + 1], z[1, k + 2], z[1, k + 3]
        c0, c1, c2, c3 = z[2, k], z[2, k + 1], z[2, k + 2], z[2, k + 3]
        d0, d1, d2, d3 = z[3, k], z[3, k + 1], z[3, k + 2], z[3, k + 3]
        if k == 0:
            for f in range(bins):
                w0, w1, w2, w3 = W[0, f], W[1, f], W[2, f], W[3, f]
                v[0, f] = eps + a0 * w0 + a1 * w1 + a2 * w2 + a3 * w3
                v[1, f] = eps + b0 * w0 + b1 * w1 + b2 * w2 + b3 * w3
                v[2, f] = eps + c0 * w0 + c1 * w1 + c2 * w2 + c3 * w3
                v[3, f] = eps + d0 * w0 + d1 * w1 + d2 * w2 + d3 * w3
        else:
            for f in range(bins):
                w0, w1, w2, w3 = W[k, f], W[k + 1, f], W[k + 2, f], W[k + 3, f]
                v[0, f] += a0 * w0 + a1 * w1 + a2 * w2 + a3 * w3
                v[1, f] += b0 * w0 + b1 * w1 + b2 * w2 + b3 * w3
                v[2, f] += c0 * w0 + c1 * w1 + c2 * w2 + c3 * w3
                v[3, f] += d0 * w0 + d1 * w1 + d2 * w2 + d3 * w3


@inline
def _project(r, W, g):  # type: ignore[no-untyped-def]
    """Set g (4, components) to r (4, bins) @ W transposed."""
    bins = W.shape[1]
    for i in range(0, 4, 2):
        for k in range(0, W.shape[0], 4):
            s0 = s1 = s2 = s3 = t0 = t1 = t2 = t3 = ZERO
            for f in range(bins):
                x, y = r[i, f], r[i + 1, f]
                w0, w1, w2, w3 = W[k, f], W[k + 1, f], W[k + 2, f], W[k + 3, f]
                s0 += x * w0
                s1 += x * w1
                s2 += x * w2
                s3 += x * w3
                t0 += y * w0
                t1 += y * w1
                t2 += y * w2
                t3 += y * w3
            g[i, k], g[i, k + 1], g[i, k + 2], g[i, k + 3] = s0, s1, s2, s3
            g[i + 1, k], g[i + 1, k + 1], g[i + 1, k + 2], g[i + 1, k + 3] = t0, t1, t2, t3


@inline
def _accumulate(z, r, N):  # type: ignore[no-untyped-def]
    """Add z (4, components) transposed @ r (4, bins) to N."""
    bins = N.shape[1]
    for k in range(0, N.shape[0], 2):
        a0, a1, a2, a3 = z[0, k], z[1, k], z[2, k], z[3, k]
        b0, b1, b2, b3 = z[0, k + 1], z[1, k + 1], z[2, k + 1], z[3, k + 1]
        for f in range(bins):
            x0, x1, x2, x3 = r[0, f], r[1, f], r[2, f], r[3, f]
            N[k, f] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
            N[k + 1, f] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3


@inline
def _quotient(x, v):  # type: ignore[no-untyped-def]
    """Set v to x / v, both (4, bins)."""
    for i in range(4):
        for f in range(v.shape[1]):
            v[i, f] = x[i, f] / v[i, f]


@inline
def _reciprocals(x, v, u):  # type: ignore[no-untyped-def]
    """Set v to 1 / v and u to x / v², all (4, bins)."""
    for i in range(4):
        for f in range(v.shape[1]):
            q = ONE / v[i, f]
            v[i, f] = q
            u[i, f] = x[i, f] * q * q


@outer
def kl_frames(X, W, ahead, Z, start, stop, eps, exponent, update, accumulate, N, D):  # type: ignore[no-untyped-def]
    """Do mm_activations and mm_statistics for beta 1 on frames start to stop; the statistics are added to N and D.

    All arrays are float32 and C-contiguous: X (frames, bins), W and ahead (components, bins), Z (frames, components),
    with components, start and stop multiples of 4.
    """
    K, bins = W.shape
    v = np.empty((4, bins), X.dtype)
    g = np.empty((4, K), X.dtype)
    sums = np.empty(K, X.dtype)
    for k in range(K):
        total = eps
        for f in range(bins):
            total += W[k, f]
        sums[k] = total
    for t in range(start, stop, 4):
        x = X[t : t + 4]
        z = Z[t : t + 4]
        if update:
            _model(z, W, v, eps)
            _quotient(x, v)
            _project(v, W, g)
            for i in range(4):
                for k in range(K):
                    q = g[i, k] / sums[k]
                    z[i, k] *= q if exponent == ONE else q**exponent
        if accumulate:
            _model(z, ahead, v, eps)
            _quotient(x, v)
            _accumulate(z, v, N)
            for i in range(4):
                for k in range(K):
                    D[k, 0] += z[i, k]


@outer
def is_frames(X, W, ahead, Z, start, stop, eps, exponent, update, accumulate, N, D):  # type: ignore[no-untyped-def]
    """Do the same for beta 0."""
    K, bins = W.shape
    v = np.empty((4, bins), X.dtype)
    u = np.empty((4, bins), X.dtype)
    g = np.empty((4, K), X.dtype)
    h = np.empty((4, K), X.dtype)
    for t in range(start, stop, 4):
        x = X[t : t + 4]
        z = Z[t : t + 4]
        if update:
            _model(z, W, v, eps)
            _reciprocals(x, v, u)
            _project(u, W, g)
            _project(v, W, h)
            for i in range(4):
                for k in range(K):
                    q = g[i, k] / (h[i, k] + eps)
                    z[i, k] *= q if exponent == ONE else q**exponent
        if accumulate:
            _model(z, ahead, v, eps)
            _reciprocals(x, v, u)
            _accumulate(z, u, N)
            _accumulate(z, v, D)


@outer
def sweep_rows(P, G, H, sweeps):  # type: ignore[no-untyped-def]
    """Do sweep, for all columns of a block before those of the next; P and H (components, columns) are C-contiguous."""
    K, columns = H.shape
    rest = np.empty(BLOCK, H.dtype)
    for a in range(0, columns, BLOCK):
        b = min(a + BLOCK, columns)
        r = rest[: b - a]
        for _ in range(sweeps):
            for k in range(K):
                if G[k, k] > ZERO:
                    p, h = P[k, a:b], H[k, a:b]
                    for f in range(b - a):
                        r[f] = p[f]
                    for j in range(0, K // 4 * 4, 4):
                        g0, g1, g2, g3 = G[k, j], G[k, j + 1], G[k, j + 2], G[k, j + 3]
                        h0, h1, h2, h3 = H[j, a:b], H[j + 1, a:b], H[j + 2, a:b], H[j + 3, a:b]
                        for f in range(b - a):
                            r[f] -= g0 * h0[f] + g1 * h1[f] + g2 * h2[f] + g3 * h3[f]
                    for j in range(K // 4 * 4, K):
                        g0, h0 = G[k, j], H[j, a:b]
                        for f in range(b - a):
                            r[f] -= g0 * h0[f]
                    scale = ONE / G[k, k]
                    for f in range(b - a):
                        h[f] = max(h[f] + r[f] * scale, ZERO)


@inline
def _add_logs(r, bits, weight, total):  # type: ignore[no-untyped-def]
    """Return total + sum of weight * log(r), all (4, bins); `bits` is r seen as integers and is overwritten.

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
    bins = W.shape[1]
    v = np.empty((4, bins), X.dtype)
    as_bits = v.view(np.int32)
    total = 0.0
    for t in range(start, stop, 4):
        x = X[t : t + 4]
        _model(Z[t : t + 4], W, v, eps)
        linear = ZERO
        for i in range(4):
            for f in range(bins):
                linear += v[i, f] - x[i, f]
                v[i, f] = max(x[i, f], tiny) / v[i, f]
        total = _add_logs(v, as_bits, x, total + linear)
    return total


@outer
def is_loss(X, W, Z, start, stop, eps, tiny):  # type: ignore[no-untyped-def]
    """Return the sum of x / v - log(x / v) - 1 over frames start to stop."""
    bins = W.shape[1]
    v = np.empty((4, bins), X.dtype)
    as_bits = v.view(np.int32)
    minus = np.full((4, bins), -ONE)
    total = 0.0
    for t in range(start, stop, 4):
        x = X[t : t + 4]
        _model(Z[t : t + 4], W, v, eps)
        linear = ZERO
        for i in range(4):
            for f in range(bins):
                q = x[i, f] / v[i, f]
                linear += q - ONE
                v[i, f] = q
        total = _add_logs(v, as_bits, minus, total + linear)
    return total
