"""Kernels for a loss in which each entry of X has its own weight; a weight of 0 stands for a missing entry.

The parts N and P of dD/dV are multiplied by the weights. Nothing else changes, nor does the proof that the loss falls
(Ho, "Nonnegative matrix factorization algorithms and applications", thesis, Louvain 2008, section 4.3, for the squared
error; the majoriser is a sum over entries for every beta).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .blocked import Blocked
from .divergence import Divergence
from .factors import Matrix


class Weighted(Blocked):
    """The blocked kernels with the divergence weighted entry by entry; hals_pass takes no notice of the weights.

    Parameters
    ----------
    weights : ndarray, shape (frames, bins)
        Non-negative.
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
