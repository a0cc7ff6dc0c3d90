"""The kernels over tiles of frames that stay in cache: X is read once a pass and W Z never exists as a whole."""
# ruff: noqa: D102 (methods are documented in Kernels)

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .divergence import Divergence
from .product import EPS, Matrix, keep_positive, move_ahead
from .reference import Ahead, Kernels, Momentum, Update
from .threads import Workers, spans, tiles

TILE = 1 << 18  # entries of X in a tile: a megabyte of float32, which a core's caches hold
HALS_TILES = 2  # tiles at a time in sweeps, whose many small steps cost more than a cache miss


class Blocked(Kernels):
    """Tile by tile; each thread takes spans of several tiles."""

    def divergence(self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, workers: Workers) -> float:
        def part(span: range) -> float:
            total = 0.0
            for tile in tiles(span):
                total += self._at(measure, tile).value(Xt[tile], _model(Wt, Zt[tile], workers))
            return total

        return sum(workers.map(part, _spans(Xt)))

    def mm_pass(
        self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, update: Update, workers: Workers, ahead: Ahead
    ) -> tuple[Matrix, Matrix]:
        W = np.ascontiguousarray(Wt.T)
        template_sums, eps = Wt.sum(axis=1), Wt.dtype.type(EPS)
        padded_sums = template_sums + eps

        def ratios(templates: Matrix, tile: slice) -> tuple[Matrix, Matrix | None]:
            x = Xt[tile]
            spare = workers.buffer("positive", x.shape, Xt.dtype)
            return self._at(measure, tile).ratios(x, _model(templates, Zt[tile], workers), spare)

        def update_tile(tile: slice, how: Update) -> None:
            z = Zt[tile]
            negative, positive = ratios(Wt, tile)
            ratio = negative @ W
            if callable(how):
                denominator = template_sums if positive is None else positive @ W
                how(tile.start, z, ratio, np.broadcast_to(denominator, z.shape))
                return
            ratio /= padded_sums if positive is None else positive @ W + eps
            if how != 1:
                np.power(ratio, Wt.dtype.type(how), out=ratio)
            z *= ratio
            keep_positive(z)

        def part(span: range) -> tuple[Matrix, Matrix]:
            N = np.zeros_like(Wt)
            D: Matrix | None = None
            for tile in tiles(span):
                if update is not None:
                    update_tile(tile, update)
                if ahead is None:
                    continue
                z = Zt[tile]
                negative, positive = ratios(ahead, tile)
                N += z.T @ negative
                if positive is not None:
                    D = z.T @ positive if D is None else D + z.T @ positive
            return N, Zt[span.start : span.stop].sum(axis=0)[:, None] if D is None else D

        return _total(workers.map(part, _spans(Xt)))

    def hals_pass(
        self, Xt: Matrix, Wt: Matrix, Zt: Matrix, sweeps: int, workers: Workers, momentum: Momentum | None = None
    ) -> tuple[Matrix, Matrix]:
        G = Wt @ Wt.T

        def part(span: range) -> tuple[Matrix, Matrix]:
            A, B = np.zeros_like(Wt), np.zeros_like(G)
            for tile in tiles(span):
                x, z = Xt[tile], Zt[tile]
                if sweeps:
                    rows = np.ascontiguousarray(z.T)
                    self.sweep(Wt @ x.T, G, rows, sweeps)
                    z[:] = rows.T
                if momentum is not None:
                    move_ahead(z, momentum[0][tile], momentum[1])
                A += z.T @ x
                B += z.T @ z
            return A, B

        return _total(workers.map(part, _spans(Xt, HALS_TILES)))

    def _at(self, measure: Divergence, tile: slice) -> Divergence:
        """Return the divergence as it is on the frames of a tile."""
        return measure


class Weighted(Blocked):
    """A loss in which each entry of X, (frames, bins), has its own weight; 0 stands for a missing entry.

    The parts N and P of dD/dV are multiplied by the weights. Nothing else changes, nor does the proof that the loss
    falls (Ho, "Nonnegative matrix factorization algorithms and applications", thesis, Louvain 2008, section 4.3, for
    the squared error; the majoriser is a sum over entries for every beta). hals_pass takes no notice of the weights.
    """

    def __init__(self, weights: Matrix) -> None:
        self.weights = weights

    def _at(self, measure: Divergence, tile: slice) -> Divergence:
        return _WeightedDivergence(measure, self.weights[tile])


@dataclass(frozen=True, slots=True)
class _WeightedDivergence:
    """A divergence with the weights of some frames."""

    measure: Divergence
    weights: Matrix

    @property
    def beta(self) -> float:
        return self.measure.beta

    def value(self, X: Matrix, V: Matrix) -> float:
        return float(np.einsum("tf,tf->", self.weights, entries(X, V, self.beta), dtype=np.float64))

    def ratios(self, X: Matrix, V: Matrix, positive: Matrix) -> tuple[Matrix, Matrix | None]:
        N, P = self.measure.ratios(X, V, positive)
        # N may be X itself, which is only read
        return N * self.weights, self.weights if P is None else P * self.weights


def entries(X: Matrix, V: Matrix, beta: float) -> Matrix:
    """Return d(x | v) of each entry, in float64; V is positive."""
    x, v = X.astype(np.float64), V.astype(np.float64)
    if beta == 1:
        logarithm = np.log(x / v, out=np.zeros_like(x), where=x > 0)  # x log x is 0 at 0
        return np.asarray(x * logarithm - x + v)
    if beta == 0:
        return np.asarray(x / v - np.log(x / v) - 1)
    if beta == 2:
        return np.asarray(0.5 * (x - v) ** 2)
    return np.asarray((x**beta + (beta - 1) * v**beta - beta * x * v ** (beta - 1)) / (beta * (beta - 1)))


def _spans(Xt: Matrix, times: int = 1) -> list[range]:
    frames, bins = Xt.shape
    return spans(frames, times * max(8, TILE // bins))


def _model(Wt: Matrix, z: Matrix, workers: Workers) -> Matrix:
    V = workers.buffer("model", (len(z), Wt.shape[1]), Wt.dtype)
    np.matmul(z, Wt, out=V)
    V += Wt.dtype.type(EPS)
    return V  # type: ignore[no-any-return]


def _total(parts: list[tuple[Matrix, Matrix]]) -> tuple[Matrix, Matrix]:
    """Return the sums of the first and of the second matrices, added in order."""
    first, second = parts[0]
    for a, b in parts[1:]:
        first += a
        second += b
    return first, second
