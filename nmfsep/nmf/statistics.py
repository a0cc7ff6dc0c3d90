"""Templates from any number of matrices, of which only sums are kept.

What an update of W needs of X and Z adds up over frames, so that each matrix can be looked at on its own, in any order
and on any machine, and the sums give the step that all of them together would:

- `statistics`, the map: one matrix and W to a `Statistics` whose size does not depend on the number of frames,
- `total`, the reduction: the sum, in float64 and in one order, so that the same W comes out bit for bit however the
  work was divided,
- `update`, the step: W and the sum to the next W.

With exact activations this is majorisation-minimisation, and the loss over all matrices never rises (Lefèvre, Bach &
Févotte, "Online algorithms for nonnegative matrix factorization with the Itakura-Saito divergence", WASPAA 2011, keep
the same sums). Activations are solved anew in each pass, from a level start, so that nothing has to be kept for them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..kernels.factors import Matrix
from ..kernels.select import LARGE, choose
from ..kernels.threads import Workers
from . import problem as penalties
from .activations import level_start
from .problem import Problem
from .solvers.mu import exponent

Sums = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the templates' update needs to know of some frames.

    Attributes
    ----------
    negative, positive : ndarray, shape (components, bins)
        N Zᵀ and P Zᵀ, N and P the parts of dD/dV; the second is (components, 1) for beta 1.
    mass : ndarray, shape (components,)
        Row sums of Z.
    loss : float
        Divergence and penalties at the activations; NaN where it was not asked for.
    frames : int
    """

    negative: Sums
    positive: Sums
    mass: Sums
    loss: float
    frames: int

    @classmethod
    def nothing(cls, Wt: Matrix, problem: Problem) -> Statistics:
        """Return the statistics of no frames."""
        columns = 1 if problem.divergence.beta == 1 else Wt.shape[1]
        return cls(np.zeros(Wt.shape), np.zeros((len(Wt), columns)), np.zeros(len(Wt)), 0.0, 0)

    def __add__(self, other: Statistics) -> Statistics:
        """Return the statistics of both."""
        return Statistics(
            self.negative + other.negative,
            self.positive + other.positive,
            self.mass + other.mass,
            self.loss + other.loss,
            self.frames + other.frames,
        )


def statistics(
    Xt: Matrix, Wt: Matrix, problem: Problem, steps: int, workers: Workers, with_loss: bool = True
) -> Statistics:
    """Return the statistics of some frames at their own activations.

    Parameters
    ----------
    Xt : ndarray, shape (frames, bins)
        Of about unit mean; only read.
    Wt : ndarray, shape (components, bins)
        Only read.
    problem : Problem
    steps : int
        Updates of the activations.
    workers : Workers
        An entered context.
    with_loss : bool, default True
        Evaluate the loss, too, which takes as long as one to four updates and is not needed for the step.
    """
    measure, gamma = problem.divergence, exponent(problem.divergence.beta)
    kernels = choose(Xt.shape[1], len(Xt), len(Wt), measure, LARGE)
    Zt = level_start(Xt, Wt)
    for _ in range(steps):
        how = penalties.activation_update(Wt, Zt, problem, gamma)
        kernels.mm_activations(Xt, Wt, Zt, measure, how, workers)
    N, D = kernels.mm_statistics(Xt, Wt, Zt, measure, workers)
    loss = math.nan
    if with_loss:
        loss = float(kernels.divergence(Xt, Wt, Zt, measure, workers)) + penalties.loss(Wt, Zt, problem)
    return Statistics(
        N.astype(np.float64), D.astype(np.float64), Zt.sum(axis=0, dtype=np.float64), loss, len(Xt)
    )  # fmt: skip


def total(parts: Iterable[Statistics]) -> Statistics:
    """Return the sum of statistics, of which few are held at a time.

    A sum of floating-point numbers depends on the order they are added in, so there is only one: neighbours first, then
    the sums of neighbours, as in a tree. Whoever adds up any part of that tree gets the same bits.

    Parameters
    ----------
    parts : iterable of Statistics
        At least one.

    Raises
    ------
    ValueError
        There are none.
    """
    sums: list[tuple[int, Statistics]] = []  # of 2**height parts each, the tallest first
    for part in parts:
        height = 0
        while sums and sums[-1][0] == height:
            part = sums.pop()[1] + part
            height += 1
        sums.append((height, part))
    if not sums:
        raise ValueError("there are no statistics to add up")
    result = sums.pop()[1]
    while sums:
        result = sums.pop()[1] + result
    return result


def update(Wt: Matrix, sums: Statistics, problem: Problem) -> Matrix:
    """Return the templates after one step."""
    out = np.empty_like(Wt)
    N, D = sums.negative.astype(Wt.dtype), sums.positive.astype(Wt.dtype)
    mass = sums.mass[None].astype(Wt.dtype)  # one frame of all the mass: the penalties need no more than that
    penalties.update_templates(Wt, N, D, mass, problem, exponent(problem.divergence.beta), out)
    return out
