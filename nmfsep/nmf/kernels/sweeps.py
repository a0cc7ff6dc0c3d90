"""The compiled loops of coordinate descent for least squares."""

from __future__ import annotations

import numpy as np

from .lanes import ONE, ZERO, add_products, inline, load, outer, project

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
