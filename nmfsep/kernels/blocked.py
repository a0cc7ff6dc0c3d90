"""The kernels over tiles of frames that stay in cache: X is read once a pass and W Z never exists as a whole."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .divergence import Divergence
from .factors import Matrix
from .reference import EPS, Rule, keep_positive, move_ahead, sweep
from .threads import Workers, spans

TILE = 1 << 18  # entries of X in a tile: a megabyte of float32, which a core's caches hold
HALS_TILES = 2  # tiles at a time in sweeps, whose many small steps cost more than a cache miss


def _tile(Xt: Matrix) -> int:
    return max(8, TILE // int(Xt.shape[1]))


def _model(Wt: Matrix, z: Matrix, workers: Workers) -> Matrix:
    V = workers.buffer("model", (len(z), Wt.shape[1]), Wt.dtype)
    np.matmul(z, Wt, out=V)
    V += Wt.dtype.type(EPS)
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


def mm_activations(
    Xt: Matrix,
    Wt: Matrix,
    Zt: Matrix,
    measure: Divergence,
    exponent: float,
    workers: Workers,
    rule: Rule | None = None,
) -> None:
    """Update Zt in place by Z * (Wᵀ N / Wᵀ P)^exponent, N and P the parts of dD/dV, or as a rule says."""
    update = _activation_update(Xt, Wt, Zt, measure, exponent, workers, rule)

    def part(span: range) -> None:
        for a in span:
            update(a, min(a + span.step, span.stop))

    workers.map(part, spans(len(Xt), _tile(Xt)))


def mm_statistics(Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, workers: Workers) -> tuple[Matrix, Matrix]:
    """Return N Zᵀ and P Zᵀ, both transposed: (components, bins); the second is (components, 1) where P is all ones."""
    return _statistics(Xt, Wt, Zt, measure, None, workers)


def mm_pass(
    Xt: Matrix,
    Wt: Matrix,
    Zt: Matrix,
    measure: Divergence,
    exponent: float,
    workers: Workers,
    templates: Matrix | None = None,
    rule: Rule | None = None,
) -> tuple[Matrix, Matrix]:
    """Update Zt as mm_activations, then return mm_statistics at `templates`, Wt if not given: one pass does both."""
    update = _activation_update(Xt, Wt, Zt, measure, exponent, workers, rule)
    return _statistics(Xt, Wt if templates is None else templates, Zt, measure, update, workers)


def _activation_update(
    Xt: Matrix,
    Wt: Matrix,
    Zt: Matrix,
    measure: Divergence,
    exponent: float,
    workers: Workers,
    rule: Rule | None,
) -> Callable[[int, int], None]:
    """Return what updates the frames a to b of Zt."""
    W = np.ascontiguousarray(Wt.T)
    template_sums = Wt.sum(axis=1)
    padded_sums = template_sums + Wt.dtype.type(EPS)
    eps = Wt.dtype.type(EPS)

    def update(a: int, b: int) -> None:
        x, z = Xt[a:b], Zt[a:b]
        negative, positive = measure.ratios(x, _model(Wt, z, workers), workers.buffer("positive", x.shape, Xt.dtype))
        ratio = negative @ W
        if rule is not None:
            rule(a, z, ratio, np.broadcast_to(template_sums if positive is None else positive @ W, z.shape))
            return
        ratio /= padded_sums if positive is None else positive @ W + eps
        if exponent != 1:
            np.power(ratio, Wt.dtype.type(exponent), out=ratio)
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
            if positive is not None:
                D = z.T @ positive if D is None else D + z.T @ positive
        return N, Zt[span.start : span.stop].sum(axis=0)[:, None] if D is None else D

    return total(workers.map(part, spans(len(Xt), _tile(Xt))))


def hals_pass(
    Xt: Matrix,
    Wt: Matrix,
    G: Matrix,
    Zt: Matrix,
    sweeps: int,
    workers: Workers,
    plain: Matrix | None = None,
    momentum: float = 0.0,
    sweep: Callable[[Matrix, Matrix, Matrix, int], None] = sweep,
) -> tuple[Matrix, Matrix]:
    """Sweep Zt in place with W fixed, then return Z Xᵀ, (components, bins), and Z Zᵀ. No sweeps leave Zt.

    G is W Wᵀ. Where `plain` is given, Zt is then moved ahead, max(0, Z + momentum (Z - plain)), and `plain` takes the Z
    that was not: the products are those of the Z ahead. `sweep` is what sweeps.
    """

    def part(span: range) -> tuple[Matrix, Matrix]:
        A, B = np.zeros_like(Wt), np.zeros_like(G)
        for a in span:
            b = min(a + span.step, span.stop)
            x, z = Xt[a:b], Zt[a:b]
            if sweeps:
                rows = np.ascontiguousarray(z.T)
                sweep(Wt @ x.T, G, rows, sweeps)
                z[:] = rows.T
            if plain is not None:
                move_ahead(z, plain[a:b], momentum)
            A += z.T @ x
            B += z.T @ z
        return A, B

    return total(workers.map(part, spans(len(Xt), HALS_TILES * _tile(Xt))))


def total(parts: list[tuple[Matrix, Matrix]]) -> tuple[Matrix, Matrix]:
    """Return the sums of the first and of the second matrices, added in order."""
    first, second = parts[0]
    for a, b in parts[1:]:
        first += a
        second += b
    return first, second
