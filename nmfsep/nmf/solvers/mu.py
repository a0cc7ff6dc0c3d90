"""Multiplicative updates with extrapolation: block majorisation-minimisation at a point ahead of the iterate.

Hien, Leplat & Gillis, "Block majorization minimization with extrapolation and application to beta-NMF",
arXiv 2401.06646, algorithm 1 with Nesterov's weights; convergence is proven there for 1 <= beta <= 2. For other betas
the exponent is 1, faster than the one that is proven monotone (Févotte & Idier 2011, section 4.2), and a guard on the
loss falls back to what is safe.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...kernels.factors import Matrix
from ..problem import Problem, activation_update, update_templates
from .base import Solver, State


def exponent(beta: float) -> float:
    """Return gamma(beta), with which the update is a majorisation-minimisation step."""
    if beta < 1:
        return 1 / (2 - beta)
    return 1.0 if beta <= 2 else 1 / (beta - 1)


def _update(Xt: Matrix, state: State, problem: Problem, gamma: float, ahead: Matrix) -> None:
    """Update Z with the templates of the state, then these from where they are `ahead`."""
    measure, kernels, workers = problem.divergence, state.kernels, state.workers
    Wt, Zt = state.Wt, state.Zt
    if "Z" in problem.fixed:
        if "W" in problem.fixed:
            return
        N, D = kernels.mm_statistics(Xt, ahead, Zt, measure, workers)
    else:
        how = activation_update(Wt, Zt, problem, gamma)
        if "W" in problem.fixed:
            kernels.mm_activations(Xt, Wt, Zt, measure, how, workers)
            return
        N, D = kernels.mm_pass(Xt, Wt, Zt, measure, how, workers, ahead)
    update_templates(ahead, N, D, Zt, problem, gamma, Wt)


class MU(Solver):
    """Z, then W, each multiplied by the ratio of the parts of its gradient, to the power gamma(beta)."""

    penalties = True

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Update Z, then W."""
        _update(Xt, state, problem, exponent(problem.divergence.beta), state.Wt)


# Nesterov's sequence begins at 1; from here on it weighs the first steps, too, by almost all, which matters where a fit
# is continued in short stretches
WARM = 12.0


@dataclass(slots=True)
class Memory:
    """What the solver remembers between steps.

    Attributes
    ----------
    Wt, Zt : ndarray
        The iterates before the current ones.
    t : float
        Nesterov's sequence.
    gamma : float
        The exponent in use.
    best : tuple of ndarray
        Copies of Wt and Zt at the last evaluation of the loss, which it had lowered.
    loss : float
        The loss there.
    """

    Wt: Matrix
    Zt: Matrix
    gamma: float
    best: tuple[Matrix, Matrix]
    t: float = WARM
    loss: float = math.inf


class MUE(Solver):
    """Z, then W, each by a multiplicative update at its extrapolation W + a max(W - W_previous, 0)."""

    penalties = True

    def start(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Begin without momentum."""
        beta = problem.divergence.beta
        gamma = 1.0 if beta < 1 else exponent(beta)
        state.memory = Memory(state.Wt.copy(), state.Zt.copy(), gamma, (state.Wt.copy(), state.Zt.copy()))

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Update Z where it is ahead, then W where it is ahead."""
        memory: Memory = state.memory
        following = (1 + math.sqrt(1 + 4 * memory.t**2)) / 2
        weight = (memory.t - 1) / following
        memory.t = following
        if "Z" not in problem.fixed:
            _extrapolate(state.Zt, memory.Zt, weight)
        ahead = state.Wt
        if "W" not in problem.fixed:
            ahead = state.Wt.copy()
            _extrapolate(ahead, memory.Wt, weight)
        _update(Xt, state, problem, memory.gamma, ahead)

    def observe(self, state: State, problem: Problem, loss: float) -> float:
        """Go back, and on more carefully, if the loss has risen; return the loss that holds."""
        memory: Memory = state.memory
        if loss <= memory.loss:
            memory.loss = loss
            for kept, current in zip(memory.best, (state.Wt, state.Zt), strict=True):
                kept[:] = current
            return loss
        memory.gamma = exponent(problem.divergence.beta)
        for current, previous, kept in zip((state.Wt, state.Zt), (memory.Wt, memory.Zt), memory.best, strict=True):
            current[:] = previous[:] = kept
        memory.t = WARM
        return memory.loss


def _extrapolate(current: Matrix, previous: Matrix, weight: float) -> None:
    """Move current ahead in place along its last increase, and keep where it was in previous."""
    ahead = np.subtract(current, previous)
    np.maximum(ahead, 0, out=ahead)
    ahead *= current.dtype.type(weight)
    previous[:] = current
    current += ahead
