"""Deep factorizations X ≈ W_1 W_2 … W_L Z: each factor in its turn, with the products before and after it held.

For beta 2, W_1 and Z are updated as in `hals`, and a factor between them by projected gradient steps with Nesterov's
momentum (Guan, Tao, Luo & Yuan, "NeNMF", IEEE TSP 60(6), 2012), taken back where the loss would rise; a factor that is
free is solved for, as by Trigeorgis, Bousmalis, Zafeiriou & Schuller, "A deep matrix factorization method for learning
attribute representations", IEEE TPAMI 39(3), 2017. For other betas, each is updated as in `mu`: a factor between two
others is one more non-negative factor to the majorisation, of the matrix of all products of their entries.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..kernels.factors import EPS, Matrix, keep_positive, sweep
from ..nmf.problem import Problem
from ..nmf.solvers import Solver, State
from ..nmf.solvers.hals import W_SWEEPS, Z_SWEEPS
from ..nmf.solvers.mu import exponent
from ..nmf.solvers.pinv import pseudo_inverse, solve

ROUNDS = 10  # gradient steps on a small matrix, each cheap beside a product with X


class Chain(Solver):
    """A solver for which Z of the state is itself a product, (W_2 … W_L) Z_L; `between` and `Zt` hold its parts.

    Parameters
    ----------
    between : sequence of ndarray, shapes (components of one level, components of the next)
        W_2 to W_L where the fit starts, copied.
    Z : ndarray, shape (components of the last level, frames)
        Copied.
    """

    def __init__(self, between: Sequence[Matrix], Z: Matrix) -> None:
        self.between = [factor.copy() for factor in between]
        self.Zt = np.array(Z.T, order="C", copy=True)

    def start(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Solve for Z if it is free: the levels before did so each in a metric of its own."""
        if "Z" in problem.free:
            At = self._product().T @ state.Wt
            self._update_activations(Xt, At, solve)
            state.Zt[:] = self.Zt @ self._product().T

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Update W_1, W_2 and so on to Z."""
        if problem.divergence.beta == 2:
            self._squares(Xt, state, problem)
        else:
            self._multiply(Xt, state, problem)
        state.Zt[:] = self.Zt @ self._product().T

    def _product(self, first: int = 0) -> Matrix:
        """Return what stands between the components of level `first` + 1 and those of the last."""
        product: Matrix = np.eye(self.Zt.shape[1], dtype=self.Zt.dtype)
        for factor in reversed(self.between[first:]):
            product = factor @ product
        return product

    def _update_activations(self, Xt: Matrix, At: Matrix, update: Callable[[Matrix, Matrix, Matrix], None]) -> None:
        Z = np.ascontiguousarray(self.Zt.T)
        update(At @ Xt.T, At @ At.T, Z)
        self.Zt[:] = Z.T

    def _squares(self, Xt: Matrix, state: State, problem: Problem) -> None:
        free_W, free_Z = "W" in problem.free, "Z" in problem.free
        At, C = state.Wt, self._product()
        # products with X are those of Z alone: what stands before Z is small, and multiplies them
        last = C.T @ At
        P, G = state.kernels.hals_pass(Xt, last, self.Zt, 0, state.workers)
        if free_W:
            solve(C @ P, C @ G @ C.T, At)
        else:
            sweep(C @ P, C @ G @ C.T, At, W_SWEEPS)
        for index, factor in enumerate(self.between):
            C = self._product(index + 1)
            gram, after, cross = At @ At.T, C @ G @ C.T, At @ (C @ P).T
            if free_W:
                rest = cross - gram.astype(np.float64) @ factor @ after
                factor += (pseudo_inverse(gram) @ rest @ pseudo_inverse(after)).astype(factor.dtype)
            else:
                descend_between(cross, gram, after, factor)
            At = factor.T @ At
        self._update_activations(Xt, At, solve if free_Z else _sweep)

    def _multiply(self, Xt: Matrix, state: State, problem: Problem) -> None:
        measure, kernels, workers = problem.divergence, state.kernels, state.workers
        gamma, eps = exponent(measure.beta), Xt.dtype.type(EPS)
        N, D = kernels.mm_statistics(Xt, state.Wt, state.Zt, measure, workers)
        state.Wt *= (N / (D + eps)) ** gamma
        keep_positive(state.Wt)
        At = state.Wt
        for index, factor in enumerate(self.between):
            after = self.Zt @ self._product(index + 1).T
            N, D = kernels.mm_statistics(Xt, factor.T @ At, after, measure, workers)
            D = np.broadcast_to(D, N.shape)
            factor *= ((At @ N.T) / (At @ D.T + eps)) ** gamma
            keep_positive(factor)
            At = factor.T @ At
        kernels.mm_activations(Xt, At, self.Zt, measure, gamma, workers)


def _sweep(P: Matrix, G: Matrix, H: Matrix) -> None:
    sweep(P, G, H, Z_SWEEPS)


def descend_between(P: Matrix, before: Matrix, after: Matrix, M: Matrix) -> None:
    """Lower ‖X - A M B‖² over M >= 0 in place, P = Aᵀ X Bᵀ, `before` = Aᵀ A and `after` = B Bᵀ; it never rises.

    Columns of A and rows of B are brought to unit length first, without which one step would not suit them all.
    """
    lengths = [np.sqrt(np.maximum(np.diag(G).astype(np.float64), 0)) for G in (before, after)]
    rows, columns = (np.where(length > 0, length, 1) for length in lengths)
    scale = np.outer(rows, columns)
    cross, left, right = P / scale, before / np.outer(rows, rows), after / np.outer(columns, columns)
    steepest = float(np.linalg.norm(left, 2) * np.linalg.norm(right, 2))
    if steepest == 0:
        return

    def value(A: Matrix) -> float:
        return float(np.vdot(A, 0.5 * (left @ A @ right) - cross))

    current = M * scale
    ahead, lowest, t = current, value(current), 1.0
    for _ in range(ROUNDS):
        moved = np.maximum(ahead - (left @ ahead @ right - cross) / steepest, 0)
        found = value(moved)
        if found > lowest:  # momentum went too far: on from the best point without it
            ahead, t = current, 1.0
            continue
        following = (1 + math.sqrt(1 + 4 * t * t)) / 2
        ahead = moved + (t - 1) / following * (moved - current)
        current, lowest, t = moved, found, following
    M[:] = current / scale
