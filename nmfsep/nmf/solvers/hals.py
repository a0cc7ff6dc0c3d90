"""Hierarchical alternating least squares: exact coordinate descent on the rows of Z and the columns of W.

Cichocki & Phan 2009; the repeated sweeps at the cost of one product follow Gillis & Glineur, "Accelerated
multiplicative updates and hierarchical ALS algorithms for nonnegative matrix factorization", Neural Computation
24(4), 2012.
"""

from __future__ import annotations

from ..factors import Matrix
from ..problem import Problem
from .base import State

Z_SWEEPS = 2
W_SWEEPS = 4  # cheaper than those of Z, since the products they use do not grow with the number of frames


class HALS:
    """Sweeps over Z, tile by tile, then over W, on products that are computed once."""

    betas = frozenset({2.0})
    monotone = True
    fills = True
    penalties = False

    def start(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Nothing to prepare."""

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Do one iteration."""
        sweeps = 0 if "Z" in problem.fixed else Z_SWEEPS
        P, G = state.kernels.hals_pass(Xt, state.Wt, state.Wt @ state.Wt.T, state.Zt, sweeps, state.workers)
        if "W" not in problem.fixed:
            state.kernels.sweep(P, G, state.Wt, W_SWEEPS)

    def observe(self, state: State, problem: Problem, loss: float) -> float:
        """Take the loss as it is."""
        return loss
