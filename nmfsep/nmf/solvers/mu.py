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
from ..problem import Problem, activation_rule, update_templates
from .base import State


def exponent(beta: float) -> float:
    """Return gamma(beta), with which the update is a majorisation-minimisation step."""
    if beta < 1:
        return 1 / (2 - beta)
    return 1.0 if beta <= 2 else 1 / (beta - 1)


class MU:
    """Z, then W, each multiplied by the ratio of the parts of its gradient, to the power gamma(beta)."""

    betas = None
    monotone = True
    fills = False
    penalties = True

    def start(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Nothing to prepare."""

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Do one iteration."""
        measure, kernels = problem.divergence, state.kernels
        gamma = exponent(measure.beta)
        if "W" in problem.fixed:
            if "Z" not in problem.fixed:
                rule = activation_rule(state.Wt, state.Zt, problem, gamma)
                kernels.mm_activations(Xt, state.Wt, state.Zt, measure, gamma, state.workers, rule)
            return
        if "Z" in problem.fixed:
            N, D = kernels.mm_statistics(Xt, state.Wt, state.Zt, measure, state.workers)
        else:
            rule = activation_rule(state.Wt, state.Zt, problem, gamma)
            N, D = kernels.mm_pass(Xt, state.Wt, state.Zt, measure, gamma, state.workers, rule=rule)
        update_templates(state.Wt, N, D, state.Zt, problem, gamma, state.Wt)

    def observe(self, state: State, problem: Problem, loss: float) -> float:
        """Take the loss as it is."""
        return loss


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


class MUE:
    """Z, then W, each by a multiplicative update at its extrapolation W + a max(W - W_previous, 0)."""

    betas = None
    monotone = True
    fills = False
    penalties = True

    def start(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Begin without momentum."""
        beta = problem.divergence.beta
        gamma = 1.0 if beta < 1 else exponent(beta)
        state.memory = Memory(state.Wt.copy(), state.Zt.copy(), gamma, (state.Wt.copy(), state.Zt.copy()))

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Do one iteration."""
        memory: Memory = state.memory
        measure, kernels, gamma = problem.divergence, state.kernels, memory.gamma
        following = (1 + math.sqrt(1 + 4 * memory.t**2)) / 2
        weight = (memory.t - 1) / following
        memory.t = following
        if "Z" not in problem.fixed:
            _extrapolate(state.Zt, memory.Zt, weight)
        if "W" in problem.fixed:
            if "Z" not in problem.fixed:
                rule = activation_rule(state.Wt, state.Zt, problem, gamma)
                kernels.mm_activations(Xt, state.Wt, state.Zt, measure, gamma, state.workers, rule)
            return
        ahead = state.Wt.copy()
        _extrapolate(ahead, memory.Wt, weight)
        if "Z" in problem.fixed:
            N, D = kernels.mm_statistics(Xt, ahead, state.Zt, measure, state.workers)
        else:
            rule = activation_rule(state.Wt, state.Zt, problem, gamma)
            N, D = kernels.mm_pass(Xt, state.Wt, state.Zt, measure, gamma, state.workers, ahead, rule)
        update_templates(ahead, N, D, state.Zt, problem, gamma, state.Wt)

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
