"""The compiled loops of the losses."""

from __future__ import annotations

import numpy as np

from .lanes import ONE, ZERO, inline, load, model, outer

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
