"""Multiplicative updates by majorisation-minimisation, monotone for every beta.

Févotte & Idier, "Algorithms for nonnegative matrix factorization with the beta-divergence", Neural Computation 23(9),
2011, eq. 4.1 and table 2 (the exponent gamma).
"""

from __future__ import annotations

from ..factors import Matrix
from ..penalties import activation_rule, update_templates
from ..problem import Problem
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
