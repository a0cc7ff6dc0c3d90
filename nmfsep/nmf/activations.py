"""Activations of templates that are held, frame by frame: what they are does not depend on the other frames."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np

from . import penalties
from .factors import Matrix
from .kernels.reference import EPS, sweep
from .kernels.workers import Workers
from .problem import Problem
from .solvers.mu import exponent
from .solvers.mue import WARM

LEAST, MOST = 12, 40  # updates, beside one for each component


def steps_for(components: int) -> int:
    """Return the updates after which the loss is within a tenth of a percent of its least, for most sounds."""
    return min(MOST, LEAST + components)


def solve(Xt: Matrix, Wt: Matrix, problem: Problem, kernels: ModuleType, workers: Workers) -> Matrix:
    """Return the activations of templates, from a level start by a fixed number of updates.

    Since nothing is decided by the loss, frames can be solved in blocks of any size with the same result but for
    rounding. beta 2 without penalties is solved by coordinate descent; all else by multiplicative updates with the
    extrapolation of `mue`, which does not need its guard where the templates are held.

    Parameters
    ----------
    Xt : ndarray, shape (frames, bins)
        Of about unit mean; only read.
    Wt : ndarray, shape (components, bins)
        Only read.
    problem : Problem
        Without smoothness, which couples frames.
    kernels : module
        From `choose`.
    workers : Workers

    Returns
    -------
    ndarray, shape (frames, components)
    """
    measure, steps = problem.divergence, steps_for(len(Wt))
    level = (Xt.sum(axis=1, keepdims=True) / len(Wt) + EPS) / np.maximum(Wt.sum(axis=1), EPS)
    Zt = np.ascontiguousarray(level, Xt.dtype)
    if measure.beta == 2 and not problem.sparsity:
        Z = np.ascontiguousarray(Zt.T)
        sweep(np.ascontiguousarray((Xt @ np.ascontiguousarray(Wt.T)).T), Wt @ Wt.T, Z, steps)
        return np.ascontiguousarray(Z.T)
    gamma = 1.0 if measure.beta < 1 else exponent(measure.beta)
    rule = penalties.activation_rule(Wt, Zt, problem, gamma)
    before, t = Zt.copy(), WARM
    for _ in range(steps):
        following = (1 + math.sqrt(1 + 4 * t * t)) / 2
        ahead = np.subtract(Zt, before)
        np.maximum(ahead, 0, out=ahead)
        ahead *= Zt.dtype.type((t - 1) / following)
        before[:] = Zt
        Zt += ahead
        t = following
        kernels.mm_activations(Xt, Wt, Zt, measure, gamma, workers, rule)
    return Zt
