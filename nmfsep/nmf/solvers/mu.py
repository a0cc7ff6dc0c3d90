"""Multiplicative updates, plain and extrapolated: block majorisation-minimisation, at a point ahead of the iterate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels.product import Matrix
from ..problem import Problem, activation_update, update_templates
from . import Solver, State


def exponent(beta: float) -> float:
    """Return gamma(beta), with which the update is a majorisation-minimisation step."""
    if beta < 1:
        return 1 / (2 - beta)
    return 1.0 if beta <= 2 else 1 / (beta - 1)


def _update(Xt: Matrix, state: State, problem: Problem, gamma: float, ahead: Matrix) -> None:
    """Update Z with the templates of the state, then these from where they are `ahead`."""
    Wt, Zt = state.Wt, state.Zt
    how = None if "Z" in problem.fixed else activation_update(Wt, Zt, problem, gamma)
    learned = None if "W" in problem.fixed else ahead
    if how is None and learned is None:
        return
    N, D = state.kernels.mm_pass(Xt, Wt, Zt, problem.divergence, how, state.workers, learned)
    if learned is not None:
        update_templates(learned, N, D, Zt, problem, gamma, Wt)


class MU(Solver):
    """Z, then W, each multiplied by the ratio of the parts of its gradient, to the power gamma(beta)."""

    penalties = norms = True

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Update Z, then W."""
        _update(Xt, state, problem, exponent(problem.divergence.beta), state.Wt)


# Nesterov's sequence begins at 1; from here on it weighs the first steps, too, by almost all, which matters where a fit
# is continued in short stretches
WARM = 12.0


def nesterov(t: float) -> tuple[float, float]:
    """Return the number of Nesterov's sequence after t, and the weight of the step between them."""
    following = (1 + math.sqrt(1 + 4 * t**2)) / 2
    return following, (t - 1) / following


@dataclass(slots=True)
class Memory:
    """What MUE remembers between steps: of the transposed factors, those before and the best; where it stands."""

    previous: tuple[Matrix, Matrix]  # the iterates before the current ones
    best: tuple[Matrix, Matrix]  # those at the last evaluation of the loss, which it had lowered
    gamma: float  # the exponent in use
    t: float = WARM  # of Nesterov's sequence
    loss: float = math.inf  # that of the best


class MUE(Solver):
    """Z, then W, each by a multiplicative update at its extrapolation W + a max(W - W_previous, 0).

    Hien, Leplat & Gillis, "Block majorization minimization with extrapolation and application to beta-NMF",
    arXiv 2401.06646, algorithm 1 with Nesterov's weights; convergence is proven there for 1 <= beta <= 2. For other
    betas the exponent is 1, faster than the one that is proven monotone (Févotte & Idier 2011, section 4.2), and a
    guard on the loss falls back to what is safe.
    """

    penalties = norms = True

    def start(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Begin without momentum."""
        beta = problem.divergence.beta
        previous, best = ((state.Wt.copy(), state.Zt.copy()) for _ in range(2))
        state.memory = Memory(previous, best, 1.0 if beta < 1 else exponent(beta))

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Update Z where it is ahead, then W where it is ahead."""
        memory: Memory = state.memory
        memory.t, weight = nesterov(memory.t)
        if "Z" not in problem.fixed:
            extrapolate(state.Zt, memory.previous[1], weight)
        ahead = state.Wt
        if "W" not in problem.fixed:
            ahead = state.Wt.copy()
            extrapolate(ahead, memory.previous[0], weight)
        _update(Xt, state, problem, memory.gamma, ahead)

    def observe(self, state: State, problem: Problem, loss: float) -> float:
        """Go back, and on more carefully, if the loss has risen; return the loss that holds."""
        memory: Memory = state.memory
        current = state.Wt, state.Zt
        if loss <= memory.loss:
            memory.loss = loss
            for kept, factor in zip(memory.best, current, strict=True):
                kept[:] = factor
            return loss
        memory.gamma, memory.t = exponent(problem.divergence.beta), WARM
        for factor, previous, kept in zip(current, memory.previous, memory.best, strict=True):
            factor[:] = previous[:] = kept
        return memory.loss


def extrapolate(current: NDArray[np.floating[Any]], previous: NDArray[np.floating[Any]], weight: float) -> None:
    """Move current ahead in place along its last increase, and keep where it was in previous."""
    ahead = np.subtract(current, previous)
    np.maximum(ahead, 0, out=ahead)
    ahead *= current.dtype.type(weight)
    previous[:] = current
    current += ahead
