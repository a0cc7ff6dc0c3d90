"""Hierarchical alternating least squares, plain and extrapolated: coordinate descent on the rows of Z, columns of W."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...kernels.product import Matrix, move_ahead
from ..problem import Problem
from . import Solver, State

Z_SWEEPS = 2
W_SWEEPS = 4  # cheaper than those of Z, since the products they use do not grow with the number of frames


class HALS(Solver):
    """Sweeps over Z, tile by tile, then over W, on products that are computed once."""

    betas = frozenset({2.0})
    fills = norms = True

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Sweep over Z, then over W."""
        sweeps = 0 if "Z" in problem.fixed else Z_SWEEPS
        if sweeps and ("Z" in problem.l1 or "Z" in problem.l2):
            Z = np.ascontiguousarray(state.Zt.T)
            state.kernels.sweep(*_with_norms("Z", (Xt @ state.Wt.T).T, state.Wt @ state.Wt.T, problem), Z, sweeps)
            state.Zt[:], sweeps = Z.T, 0
        P, G = state.kernels.hals_pass(Xt, state.Wt, state.Zt, sweeps, state.workers)
        if "W" not in problem.fixed:
            state.kernels.sweep(*_with_norms("W", P, G, problem), state.Wt, W_SWEEPS)


def _with_norms(name: str, P: Matrix, G: Matrix, problem: Problem) -> tuple[Matrix, Matrix]:
    """Return the products of a sweep for a loss to which l1 and l2 of a factor are added."""
    if name in problem.l1:
        P = P - P.dtype.type(problem.l1[name])
    if name in problem.l2:
        G = G + G.dtype.type(problem.l2[name]) * np.eye(len(G), dtype=G.dtype)
    return P, G


MOMENTUM, GROWTH, LIMIT_GROWTH, DECAY = 0.5, 1.05, 1.01, 1.5


@dataclass(slots=True)
class Memory:
    """What EHALS remembers between steps; factors are transposed."""

    ahead: Matrix  # W, extrapolated
    plain: tuple[Matrix, Matrix]  # the last W and Z before extrapolation
    energy: float  # sum of the squares of X
    error: float = math.inf  # ‖X - W Z‖² at the factors of the state
    momentum: float = MOMENTUM
    limit: float = 1.0
    dead: int = 0  # components that are zero there; taken for none at the start, which is at rest
    at_rest: bool = True  # the next step starts without momentum, after one that was taken back


class EHALS(Solver):
    """The sweeps of HALS; then both factors are moved ahead, and back if the error rose.

    Ang & Gillis, "Accelerating nonnegative matrix factorization algorithms using extrapolation", Neural Computation
    31(2), 2019, algorithm 2 with hp = 3.
    """

    betas = frozenset({2.0})
    fills = True

    def start(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Begin at rest."""
        state.memory = Memory(state.Wt.copy(), (state.Wt.copy(), state.Zt.copy()), state.kernels.energy(Xt))

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Sweep from the factors ahead, then accept what came out or go back."""
        memory: Memory = state.memory
        W, Z, plain = memory.ahead.copy(), state.Zt.copy(), memory.plain[1].copy()
        sweeps, momentum = (0, None) if "Z" in problem.fixed else (Z_SWEEPS, (plain, memory.momentum))
        P, G = state.kernels.hals_pass(Xt, memory.ahead, Z, sweeps, state.workers, momentum)
        if "W" not in problem.fixed:
            state.kernels.sweep(P, G, W, W_SWEEPS)
        # ‖X - W Z‖² from products that are at hand: ‖X‖² - 2 <Z Xᵀ, W> + <Z Zᵀ, W Wᵀ>
        own = W @ W.T
        cross = float(np.einsum("kf,kf->", P, W, dtype=np.float64))
        error = memory.energy - 2 * cross + float(np.einsum("kl,kl->", G, own, dtype=np.float64))
        dead = int(((G.diagonal() <= 0) | (own.diagonal() <= 0)).sum())  # no sweep brings these components back
        memory.at_rest = error > memory.error or (dead > memory.dead and not memory.at_rest)
        if memory.at_rest:  # go back, and on without momentum
            memory.limit, memory.momentum = memory.momentum, memory.momentum / DECAY
            memory.ahead, memory.plain = state.Wt.copy(), (state.Wt.copy(), state.Zt.copy())
            return
        memory.error, memory.dead, memory.plain = error, dead, (memory.plain[0], plain)
        memory.momentum = min(memory.limit, GROWTH * memory.momentum)
        memory.limit = min(1.0, LIMIT_GROWTH * memory.limit)
        state.Wt[:], state.Zt[:] = W, Z
        if "W" not in problem.fixed:
            memory.ahead = W
            move_ahead(W, memory.plain[0], memory.momentum)
