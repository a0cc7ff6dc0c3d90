"""The kernels of a loss in which each entry of X has its own weight: those of `reference`, tile by tile.

The parts N and P of dD/dV are multiplied by the weights, and all else stays as it is, the proof that the loss falls
included (Ho, "Nonnegative matrix factorization algorithms and applications", thesis, Louvain 2008, section 4.3, for
the squared error; the majoriser is a sum over entries for every beta).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import reference
from .blocked import TILE, total
from .divergence import Divergence
from .factors import Matrix
from .reference import Rule
from .threads import Workers, spans


@dataclass(frozen=True, slots=True)
class _Tile:
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


class Weighted:
    """Kernels with weights, in the place of a module of kernels.

    Parameters
    ----------
    weights : ndarray, shape (frames, bins)
        Non-negative.
    """

    def __init__(self, weights: Matrix) -> None:
        self.weights = weights

    def divergence(self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, workers: Workers) -> float:
        """Return the weighted sum of the entries of D(X | W Z)."""

        def part(span: range) -> float:
            return sum(
                reference.divergence(Xt[a:b], Wt, Zt[a:b], _Tile(measure, self.weights[a:b]), workers)
                for a, b in _tiles(span)
            )

        return sum(workers.map(part, self._spans()))

    def mm_activations(
        self,
        Xt: Matrix,
        Wt: Matrix,
        Zt: Matrix,
        measure: Divergence,
        exponent: float,
        workers: Workers,
        rule: Rule | None = None,
    ) -> None:
        """Update Zt in place; see `reference`."""

        def part(span: range) -> None:
            for a, b in _tiles(span):
                tile = _Tile(measure, self.weights[a:b])
                reference.mm_activations(Xt[a:b], Wt, Zt[a:b], tile, exponent, workers, _from(rule, a))

        workers.map(part, self._spans())

    def mm_statistics(
        self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, workers: Workers
    ) -> tuple[Matrix, Matrix]:
        """Return N Zᵀ and P Zᵀ, both transposed."""

        def part(span: range) -> tuple[Matrix, Matrix]:
            return total(
                [
                    reference.mm_statistics(Xt[a:b], Wt, Zt[a:b], _Tile(measure, self.weights[a:b]), workers)
                    for a, b in _tiles(span)
                ]
            )

        return total(workers.map(part, self._spans()))

    def mm_pass(
        self,
        Xt: Matrix,
        Wt: Matrix,
        Zt: Matrix,
        measure: Divergence,
        exponent: float,
        workers: Workers,
        templates: Matrix | None = None,
        rule: Rule | None = None,
    ) -> tuple[Matrix, Matrix]:
        """Update Zt as mm_activations, then return mm_statistics at `templates`, Wt if not given."""
        self.mm_activations(Xt, Wt, Zt, measure, exponent, workers, rule)
        return self.mm_statistics(Xt, Wt if templates is None else templates, Zt, measure, workers)

    def _spans(self) -> list[range]:
        frames, bins = self.weights.shape
        return spans(frames, max(8, TILE // bins))


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


def _tiles(span: range) -> list[tuple[int, int]]:
    return [(a, min(a + span.step, span.stop)) for a in span]


def _from(rule: Rule | None, begin: int) -> Rule | None:
    """Return a rule for a tile that begins at a frame."""
    if rule is None:
        return None
    return lambda first, z, numerator, denominator: rule(begin + first, z, numerator, denominator)
