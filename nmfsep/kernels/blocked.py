"""The kernels over tiles of frames that stay in cache: X is read once a pass and W Z never exists as a whole."""
# ruff: noqa: D102 (methods are documented in Kernels)

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .divergence import Divergence
from .factors import EPS, Matrix, keep_positive, move_ahead
from .interface import Kernels, Update
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

    def mm_activations(
        self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, update: Update, workers: Workers
    ) -> None:
        update_tile = self._updater(Xt, Wt, Zt, measure, update, workers)

        def part(span: range) -> None:
            for tile in tiles(span):
                update_tile(tile)

        workers.map(part, _spans(Xt))

    def mm_statistics(
        self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, workers: Workers
    ) -> tuple[Matrix, Matrix]:
        return self._statistics(Xt, Wt, Zt, measure, None, workers)

    def mm_pass(
        self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, update: Update, workers: Workers, ahead: Matrix
    ) -> tuple[Matrix, Matrix]:
        update_tile = self._updater(Xt, Wt, Zt, measure, update, workers)
        return self._statistics(Xt, ahead, Zt, measure, update_tile, workers)

    def hals_pass(
        self,
        Xt: Matrix,
        Wt: Matrix,
        Zt: Matrix,
        sweeps: int,
        workers: Workers,
        plain: Matrix | None = None,
        momentum: float = 0.0,
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
                if plain is not None:
                    move_ahead(z, plain[tile], momentum)
                A += z.T @ x
                B += z.T @ z
            return A, B

        return _total(workers.map(part, _spans(Xt, HALS_TILES)))

    def _at(self, measure: Divergence, tile: slice) -> Divergence:
        """Return the divergence as it is on the frames of a tile."""
        return measure

    def _updater(
        self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, update: Update, workers: Workers
    ) -> Callable[[slice], None]:
        """Return the function that updates a tile of Zt."""
        W = np.ascontiguousarray(Wt.T)
        template_sums, eps = Wt.sum(axis=1), Wt.dtype.type(EPS)
        padded_sums = template_sums + eps

        def update_tile(tile: slice) -> None:
            x, z = Xt[tile], Zt[tile]
            spare = workers.buffer("positive", x.shape, Xt.dtype)
            negative, positive = self._at(measure, tile).ratios(x, _model(Wt, z, workers), spare)
            ratio = negative @ W
            if callable(update):
                denominator = template_sums if positive is None else positive @ W
                update(tile.start, z, ratio, np.broadcast_to(denominator, z.shape))
                return
            ratio /= padded_sums if positive is None else positive @ W + eps
            if update != 1:
                np.power(ratio, Wt.dtype.type(update), out=ratio)
            z *= ratio
            keep_positive(z)

        return update_tile

    def _statistics(
        self,
        Xt: Matrix,
        Wt: Matrix,
        Zt: Matrix,
        measure: Divergence,
        before: Callable[[slice], None] | None,
        workers: Workers,
    ) -> tuple[Matrix, Matrix]:
        """Sum mm_statistics over tiles, calling `before` on each tile while it is in cache."""

        def part(span: range) -> tuple[Matrix, Matrix]:
            N = np.zeros_like(Wt)
            D: Matrix | None = None
            for tile in tiles(span):
                if before is not None:
                    before(tile)
                x, z = Xt[tile], Zt[tile]
                spare = workers.buffer("positive", x.shape, Xt.dtype)
                negative, positive = self._at(measure, tile).ratios(x, _model(Wt, z, workers), spare)
                N += z.T @ negative
                if positive is not None:
                    D = z.T @ positive if D is None else D + z.T @ positive
            return N, Zt[span.start : span.stop].sum(axis=0)[:, None] if D is None else D

        return _total(workers.map(part, _spans(Xt)))


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
