"""Semi-NMF, one factor free and the other non-negative: least squares for the one, a descent for the other.

Ding, Li & Jordan, "Convex and semi-nonnegative matrix factorizations", IEEE TPAMI 32(1), 2010 (the multiplicative
rule); Gillis & Kumar, "Exact and heuristic algorithms for semi-nonnegative matrix factorization", SIAM J. Matrix Anal.
Appl. 36(4), 2015 (coordinate descent).
"""

from __future__ import annotations

import numpy as np

from ..factors import Matrix
from ..kernels.reference import EPS, keep_positive, sweep
from ..least_squares import solve
from ..problem import Problem
from .base import State

SWEEPS = 4


class Semi:
    """Least squares for the factor that is free, `descend` for the other, each with the latest of the other."""

    betas: frozenset[float] | None = frozenset({2.0})
    monotone = True
    fills = True
    penalties = False

    def descend(self, P: Matrix, G: Matrix, H: Matrix) -> None:
        """Lower ‖X - B H‖² over H >= 0 in place, P = Bᵀ X and G = Bᵀ B."""
        raise NotImplementedError

    def start(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Nothing to prepare."""

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Do one iteration."""
        if "Z" not in problem.fixed:
            Z = np.ascontiguousarray(state.Zt.T)
            update = solve if "Z" in problem.free else self.descend
            update(state.Wt @ Xt.T, state.Wt @ state.Wt.T, Z)
            state.Zt[:] = Z.T
        if "W" not in problem.fixed:
            P, G = state.kernels.hals_pass(Xt, state.Wt, state.Wt @ state.Wt.T, state.Zt, 0, state.workers)
            update = solve if "W" in problem.free else self.descend
            update(P, G, state.Wt)

    def observe(self, state: State, problem: Problem, loss: float) -> float:
        """Take the loss as it is."""
        return loss


class SemiHALS(Semi):
    """Coordinate descent on the rows of the non-negative factor."""

    def descend(self, P: Matrix, G: Matrix, H: Matrix) -> None:
        """Sweep over the rows."""
        sweep(P, G, H, SWEEPS)


class SemiMU(Semi):
    """Multiplicative updates of the non-negative factor by the positive and negative parts of both products."""

    fills = False

    def descend(self, P: Matrix, G: Matrix, H: Matrix) -> None:
        """Multiply by sqrt((P⁺ + G⁻ H) / (P⁻ + G⁺ H)), Ding et al. 2010."""
        gain = np.maximum(P, 0) + np.maximum(-G, 0) @ H
        cost = np.maximum(-P, 0) + np.maximum(G, 0) @ H
        H *= np.sqrt(gain / (cost + H.dtype.type(EPS)))
        keep_positive(H)
