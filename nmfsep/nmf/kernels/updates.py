"""The compiled loops of the multiplicative updates for beta 1 and 0."""

from __future__ import annotations

import numpy as np

from .lanes import ONE, ZERO, add_products, inline, model, outer, project, quotient, reciprocals
from .reference import TINY as LEAST

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
