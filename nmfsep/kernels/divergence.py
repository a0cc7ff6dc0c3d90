"""The beta-divergence (Basu et al. 1998; Cichocki & Amari 2010), in the form of Févotte & Idier 2011, eq. 1.

d(x|y) = [x^b + (b-1) y^b - b x y^(b-1)] / (b (b-1)), with the limits Kullback-Leibler at b = 1 and Itakura-Saito at 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..errors import UsageError
from ..registry import DIVERGENCES
from .product import Matrix


@dataclass(frozen=True, slots=True)
class Beta:
    """The beta-divergence of one beta: 2 is half the squared error, 1 Kullback-Leibler, 0 Itakura-Saito."""

    beta: float

    def __post_init__(self) -> None:
        if not -2 <= self.beta <= 4:  # beyond, powers overflow in single precision
            raise UsageError(f"a divergence of beta {self.beta} is not between -2 and 4")

    def value(self, X: Matrix, V: Matrix) -> float:
        """Return the sum of d(x|v); V is overwritten."""
        beta = self.beta
        if beta == 2:
            np.subtract(X, V, out=V)
            return 0.5 * sum_of_squares(V)
        if beta == 1:
            linear = float(V.sum()) - float(X.sum())
            # x log(x/v), with its limit 0 at x = 0: the floor keeps the logarithm finite there
            np.divide(X, V, out=V)
            np.maximum(V, np.finfo(V.dtype).tiny, out=V)
            np.log(V, out=V)
            np.multiply(V, X, out=V)
            return linear + float(V.sum())
        if beta == 0:
            np.divide(X, V, out=V)
            linear = float(V.sum()) - V.size
            np.log(V, out=V)
            return linear - float(V.sum())
        X, V = X.astype(np.float64, copy=False), V.astype(np.float64, copy=False)  # the sums nearly cancel
        power = V ** (beta - 1)
        cross, own = (float(np.einsum("ij,ij->", A, power, dtype=np.float64)) for A in (X, V))
        total = float((X**beta).sum()) - beta * cross + (beta - 1) * own
        return max(total / (beta * (beta - 1)), 0.0)

    def ratios(self, X: Matrix, V: Matrix, positive: Matrix) -> tuple[Matrix, Matrix | None]:
        """Return X V^(b-2) and V^(b-1); V is overwritten, the second part lies in `positive` or is None for ones."""
        beta = self.beta
        if beta == 2:
            return X, V
        if beta == 1:
            return np.divide(X, V, out=V), None
        # V^(b-2) first: a reciprocal or a root where that is what it is, since a general power costs many times more.
        if beta == 0:
            np.reciprocal(V, out=positive)
            np.multiply(positive, X, out=V)
            return np.multiply(V, positive, out=V), positive
        if beta == 1.5:
            root = np.sqrt(V, out=positive)
            return np.divide(X, root, out=V), root
        if beta == 0.5:
            root = np.sqrt(V, out=positive)
            np.multiply(V, root, out=V)
            np.divide(X, V, out=V)
            return V, np.reciprocal(root, out=positive)
        np.power(V, np.asarray(beta - 2, V.dtype), out=positive)
        np.multiply(V, positive, out=V)
        return np.multiply(X, positive, out=positive), V


def sum_of_squares(A: Matrix) -> float:
    """Return the sum of the squared entries: row by row in their own precision, the rows in double."""
    return float(np.einsum("ij,ij->i", A, A).sum(dtype=np.float64))


kullback_leibler = Beta(1.0)
frobenius = Beta(2.0)
itakura_saito = Beta(0.0)


class Divergence(Protocol):
    """A measure of how far the model V, which is positive, is from X, summed over entries."""

    @property
    def beta(self) -> float:
        """The beta of the family, which fixes the exponent of a monotone multiplicative update."""

    def value(self, X: Matrix, V: Matrix) -> float:
        """Return D(X | V); V may be overwritten."""

    def ratios(self, X: Matrix, V: Matrix, positive: Matrix) -> tuple[Matrix, Matrix | None]:
        """Return the negative and the positive part of dD/dV, None for ones; V and `positive` are overwritten."""


def as_divergence(spec: str | float | Divergence) -> Divergence:
    """Return the divergence of a name, a beta, or itself."""
    if isinstance(spec, str):
        divergence: Divergence = DIVERGENCES.load(spec)
        return divergence
    if isinstance(spec, (int, float, np.integer, np.floating)):
        return Beta(float(spec))
    return spec
