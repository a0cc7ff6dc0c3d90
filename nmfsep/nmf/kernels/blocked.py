"""The kernels over tiles of frames that stay in cache: X is read once a pass and W Z never exists as a whole."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..divergences import Divergence
from ..factors import Matrix
from .reference import EPS, keep_positive, sweep
from .workers import Workers, spans

TILE = 1 << 17  # entries of X in a tile: half a megabyte of float32, the second-level cache of one core


def _tile(Xt: Matrix) -> int:
    return max(8, TILE // int(Xt.shape[1]))


def _model(Wt: Matrix, z: Matrix, workers: Workers) -> Matrix:
    V = workers.buffer("model", (len(z), Wt.shape[1]), Wt.dtype)
    np.matmul(z, Wt, out=V)
    V += np.asarray(EPS, Wt.dtype)
    return V  # type: ignore[no-any-return]


def divergence(Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, workers: Workers) -> float:
    """Return D(X | W Z)."""

    def part(span: range) -> float:
        total = 0.0
        for a in span:
            b = min(a + span.step, span.stop)
            total += measure.value(Xt[a:b], _model(Wt, Zt[a:b], workers))
        return total

    return sum(workers.map(part, spans(len(Xt), _tile(Xt))))


def mm_activations(Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, exponent: float, workers: Workers) -> None:
    """Update Zt in place by Z * (Wᵀ N / Wᵀ P)^exponent, N and P the parts of dD/dV."""
    update = _activation_update(Xt, Wt, Zt, measure, exponent, workers)

    def part(span: range) -> None:
        for a in span:
            update(a, min(a + span.step, span.stop))

    workers.map(part, spans(len(Xt), _tile(Xt)))


def mm_statistics(Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, workers: Workers) -> tuple[Matrix, Matrix]:
    """Return N Zᵀ and P Zᵀ, both transposed: (components, bins); the second is (components, 1) where P is all ones."""
    return _statistics(Xt, Wt, Zt, measure, None, workers)


def mm_pass(
    Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, exponent: float, workers: Workers
) -> tuple[Matrix, Matrix]:
    """Update Zt as mm_activations, then return mm_statistics: one pass over X does both."""
    update = _activation_update(Xt, Wt, Zt, measure, exponent, workers)
    return _statistics(Xt, Wt, Zt, measure, update, workers)


def _activation_update(
    Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, exponent: float, workers: Workers
) -> Callable[[int, int], None]:
    """Return what updates the frames a to b of Zt."""
    W = np.ascontiguousarray(Wt.T)
    template_sums = Wt.sum(axis=1)
    eps = np.asarray(EPS, Wt.dtype)

    def update(a: int, b: int) -> None:
        x, z = Xt[a:b], Zt[a:b]
        negative, positive = measure.ratios(x, _model(Wt, z, workers), workers.buffer("positive", x.shape, Xt.dtype))
        ratio = negative @ W
        ratio /= (template_sums if positive is None else positive @ W) + eps
        if exponent != 1:
            np.power(ratio, np.asarray(exponent, Wt.dtype), out=ratio)
        z *= ratio
        keep_positive(z)

    return update


def _statistics(
    Xt: Matrix,
    Wt: Matrix,
    Zt: Matrix,
    measure: Divergence,
    before: Callable[[int, int], None] | None,
    workers: Workers,
) -> tuple[Matrix, Matrix]:
    """Sum mm_statistics over tiles, calling `before` on each tile while it is in cache."""

    def part(span: range) -> tuple[Matrix, Matrix]:
        N = np.zeros_like(Wt)
        D: Matrix | None = None
        for a in span:
            b = min(a + span.step, span.stop)
            if before is not None:
                before(a, b)
            x, z = Xt[a:b], Zt[a:b]
            spare = workers.buffer("positive", x.shape, Xt.dtype)
            negative, positive = measure.ratios(x, _model(Wt, z, workers), spare)
            N += z.T @ negative
            d = z.sum(axis=0)[:, None] if positive is None else z.T @ positive
            D = d if D is None else D + d
        assert D is not None
        return N, D

    return _total(workers.map(part, spans(len(Xt), _tile(Xt))))


def hals_pass(Xt: Matrix, Wt: Matrix, Zt: Matrix, sweeps: int, workers: Workers) -> tuple[Matrix, Matrix]:
    """Sweep Zt in place with W fixed, then return Z Xᵀ, (components, bins), and Z Zᵀ. No sweeps leave Zt."""
    W, G = np.ascontiguousarray(Wt.T), Wt @ Wt.T

    def part(span: range) -> tuple[Matrix, Matrix]:
        A, B = np.zeros_like(Wt), np.zeros_like(G)
        for a in span:
            b = min(a + span.step, span.stop)
            x, z = Xt[a:b], Zt[a:b]
            if sweeps:
                rows = np.ascontiguousarray(z.T)
                sweep(np.ascontiguousarray((x @ W).T), G, rows, sweeps)
                z[:] = rows.T
            A += z.T @ x
            B += z.T @ z
        return A, B

    return _total(workers.map(part, spans(len(Xt), _tile(Xt))))


def _total(parts: list[tuple[Matrix, Matrix]]) -> tuple[Matrix, Matrix]:
    first, second = parts[0]
    for a, b in parts[1:]:
        first += a
        second += b
    return first, second
