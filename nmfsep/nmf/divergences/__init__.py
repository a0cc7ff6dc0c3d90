"""What is minimised: one file for each family."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ...registry import DIVERGENCES
from ..factors import Matrix


class Divergence(Protocol):
    """A measure of how far the model V is from X, summed over entries."""

    @property
    def beta(self) -> float:
        """The beta of the family, which fixes the exponent of a monotone multiplicative update."""

    def value(self, X: Matrix, V: Matrix) -> float:
        """Return D(X | V); V is positive and may be overwritten."""

    def ratios(self, X: Matrix, V: Matrix, positive: Matrix) -> tuple[Matrix, Matrix | None]:
        """Return the negative and the positive part of dD/dV, each non-negative.

        V is overwritten; `positive` is a buffer of the same shape. None stands for a positive part of all ones.
        """


def as_divergence(spec: str | float | Divergence) -> Divergence:
    """Return the divergence of a name, a beta, or itself."""
    if isinstance(spec, str):
        divergence: Divergence = DIVERGENCES.load(spec)
        return divergence
    if isinstance(spec, (int, float, np.integer, np.floating)):
        from .beta import Beta

        return Beta(float(spec))
    return spec
