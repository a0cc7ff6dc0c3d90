"""Hierarchical alternating least squares, extrapolated: coordinate descent on the rows of Z and the columns of W.

The sweeps are those of `hals`. Extrapolation with restarts: Ang & Gillis, "Accelerating nonnegative matrix
factorization algorithms using extrapolation", Neural Computation 31(2), 2019, algorithm 2 with hp = 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...kernels.divergence import sum_of_squares
from ...kernels.factors import Matrix, move_ahead
from ..problem import Problem
from .base import Solver, State

Z_SWEEPS = 2
W_SWEEPS = 4  # cheaper than those of Z, since the products they use do not grow with the number of frames


class HALS(Solver):
    """Sweeps over Z, tile by tile, then over W, on products that are computed once."""

    betas = frozenset({2.0})
    fills = True

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Sweep over Z, then over W."""
        sweeps = 0 if "Z" in problem.fixed else Z_SWEEPS
        P, G = state.kernels.hals_pass(Xt, state.Wt, state.Zt, sweeps, state.workers)
        if "W" not in problem.fixed:
            state.kernels.sweep(P, G, state.Wt, W_SWEEPS)


MOMENTUM, GROWTH, LIMIT_GROWTH, DECAY = 0.5, 1.05, 1.01, 1.5


@dataclass(slots=True)
class Memory:
    """What the solver remembers between steps.

    Attributes
    ----------
    ahead : ndarray, shape (components, bins)
        The templates, extrapolated.
    plain_templates, plain_activations : ndarray
        The last factors before extrapolation, transposed.
    energy : float
        Sum of the squares of X.
    error : float
        ‖X - W Z‖² at the factors of the state.
    momentum, limit : float
    dead : int
        Components that are zero there; taken for none at the start, which is at rest.
    at_rest : bool
        Whether the next step starts without momentum, after one that was taken back.
    """

    ahead: Matrix
    plain_templates: Matrix
    plain_activations: Matrix
    energy: float
    error: float = math.inf
    momentum: float = MOMENTUM
    limit: float = 1.0
    dead: int = 0
    at_rest: bool = True


class EHALS(Solver):
    """Sweeps over Z, tile by tile, then over W; both are then moved ahead, and back if the error rose."""

    betas = frozenset({2.0})
    fills = True

    def start(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Begin at rest."""
        energy = sum_of_squares(Xt)
        state.memory = Memory(state.Wt.copy(), state.Wt.copy(), state.Zt.copy(), energy)

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Sweep from the factors ahead, then accept what came out or go back."""
        memory: Memory = state.memory
        free_W, free_Z = "W" not in problem.fixed, "Z" not in problem.fixed
        Z, plain_activations = state.Zt.copy(), memory.plain_activations.copy()
        sweeps, momentum = (Z_SWEEPS, (plain_activations, memory.momentum)) if free_Z else (0, None)
        P, G = state.kernels.hals_pass(Xt, memory.ahead, Z, sweeps, state.workers, momentum)
        W = memory.ahead.copy()
        if free_W:
            state.kernels.sweep(P, G, W, W_SWEEPS)
        own = W @ W.T
        error = _error(memory.energy, P, G, W, own)
        dead = _dead(G, own)
        died = dead > memory.dead and not memory.at_rest
        memory.at_rest = error > memory.error or died
        if memory.at_rest:  # go back, and on without momentum
            memory.limit, memory.momentum = memory.momentum, memory.momentum / DECAY
            memory.ahead, memory.plain_templates, memory.plain_activations = (
                state.Wt.copy(),
                state.Wt.copy(),
                state.Zt.copy(),
            )
            return
        memory.error, memory.dead = error, dead
        memory.momentum = min(memory.limit, GROWTH * memory.momentum)
        memory.limit = min(1.0, LIMIT_GROWTH * memory.limit)
        state.Wt[:], state.Zt[:] = W, Z
        memory.plain_activations = plain_activations
        if free_W:
            memory.ahead = W
            move_ahead(memory.ahead, memory.plain_templates, memory.momentum)


def _dead(G: Matrix, own: Matrix) -> int:
    """Count the components that are zero, which no sweep brings back, from Z Zᵀ and W Wᵀ."""
    return int(((G.diagonal() <= 0) | (own.diagonal() <= 0)).sum())


def _error(energy: float, P: Matrix, G: Matrix, W: Matrix, own: Matrix) -> float:
    """Return ‖X - W Z‖² from products that are at hand: ‖X‖² - 2 <Z Xᵀ, W> + <Z Zᵀ, W Wᵀ>."""
    cross = float(np.einsum("kf,kf->", P, W, dtype=np.float64))
    return energy - 2 * cross + float(np.einsum("kl,kl->", G, own, dtype=np.float64))
