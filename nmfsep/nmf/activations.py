"""Activations of templates that are held, frame by frame: what they are does not depend on the other frames.

All are multiplicative updates with the extrapolation of `mue`, which does not need its guard where templates are held.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.factors import EPS, TINY, Matrix, sweep
from ..kernels.reference import Kernels
from ..kernels.threads import Workers
from .problem import Problem, activation_update
from .solvers.mu import WARM, exponent

LEAST, MOST = 12, 40  # updates, beside one for each component


def steps_for(components: int) -> int:
    """Return the updates after which the loss is within a tenth of a percent of its least, for most sounds."""
    return min(MOST, LEAST + components)


def solve(Xt: Matrix, Wt: Matrix, problem: Problem, kernels: Kernels, workers: Workers) -> Matrix:
    """Return the activations of templates, from a level start by a fixed number of updates.

    Since nothing is decided by the loss, frames can be solved in blocks of any size with the same result but for
    rounding. beta 2 without penalties is solved by coordinate descent.

    Parameters
    ----------
    Xt : ndarray, shape (frames, bins)
        Of about unit mean; only read.
    Wt : ndarray, shape (components, bins)
        Only read.
    problem : Problem
        Without smoothness, which couples frames.
    kernels : Kernels
        From `choose`.
    workers : Workers

    Returns
    -------
    ndarray, shape (frames, components)
    """
    measure, steps = problem.divergence, steps_for(len(Wt))
    Zt = level_start(Xt, Wt)
    if measure.beta == 2 and not problem.sparsity:
        Z = np.ascontiguousarray(Zt.T)
        sweep(np.ascontiguousarray((Xt @ np.ascontiguousarray(Wt.T)).T), Wt @ Wt.T, Z, steps)
        return np.ascontiguousarray(Z.T)
    gamma = 1.0 if measure.beta < 1 else exponent(measure.beta)
    how = activation_update(Wt, Zt, problem, gamma)
    for _ in _ahead(Zt, steps):
        kernels.mm_activations(Xt, Wt, Zt, measure, how, workers)
    return Zt


def solve_each(Xt: Matrix, W: NDArray[np.float32], steps: int = LEAST) -> NDArray[np.float32]:
    """Return the activations with which each of several sets of templates, by itself, explains X.

    The divergence is that of Kullback and Leibler. All sets are updated together, for few of them together are more
    than the caches hold, and one call for all of them takes hardly longer than for one.

    Parameters
    ----------
    Xt : ndarray, shape (frames, bins)
        Of about unit mean; only read.
    W : ndarray, shape (sets, components, bins)
        Only read.
    steps : int
        Updates. Few are meant: masks made of several sets come out better the less each set is fitted to the frame.

    Returns
    -------
    ndarray, shape (sets, frames, components)
    """
    sums = np.maximum(W.sum(axis=-1), EPS)[..., None]
    back = np.ascontiguousarray((W / sums).swapaxes(-1, -2))
    Z = np.stack([level_start(Xt, own) for own in W])
    V, ratio = np.empty((len(W), *Xt.shape), Xt.dtype), np.empty_like(Z)
    for _ in _ahead(Z, steps):
        np.matmul(Z, W, out=V)
        V += Xt.dtype.type(EPS)
        np.divide(Xt, V, out=V)
        Z *= np.matmul(V, back, out=ratio)
        np.maximum(Z, np.asarray(TINY, Z.dtype), out=Z)
    return Z


def level_start(Xt: Matrix, Wt: Matrix) -> Matrix:
    """Return activations, (frames, components), by which all templates explain equal shares of each frame's sum."""
    level = (Xt.sum(axis=1, keepdims=True) / len(Wt) + EPS) / np.maximum(Wt.sum(axis=1), EPS)
    return np.ascontiguousarray(level, Xt.dtype)


def _ahead(Z: NDArray[np.floating[Any]], steps: int) -> Iterator[None]:
    """Move Z ahead in place along its last increase, by Nesterov's weights, before each of so many updates."""
    before, ahead, t = Z.copy(), np.empty_like(Z), WARM
    for _ in range(steps):
        following = (1 + math.sqrt(1 + 4 * t * t)) / 2
        np.subtract(Z, before, out=ahead)
        np.maximum(ahead, 0, out=ahead)
        ahead *= Z.dtype.type((t - 1) / following)
        before[:] = Z
        Z += ahead
        t = following
        yield
