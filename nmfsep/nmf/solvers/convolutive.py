"""Convolutive NMF by majorisation-minimisation: templates of several frames that share one activation.

Unrolled, it is an ordinary factorization whose activations are tied: component k has a template for every delay, and
its activation at delay d is that of delay 0, d frames earlier. Templates are updated as ever. An activation gathers the
parts of the gradient of all its delays, numerators and denominators each summed before they are divided, which is what
the majorisation of Févotte & Idier (2011) gives where one unknown occurs in several places; averaging the ratios of the
delays, as Smaragdis (2004) proposed, is no descent.
"""

from __future__ import annotations

import numpy as np

from ..factors import Matrix
from ..kernels.reference import EPS, keep_positive
from ..penalties import update_templates
from ..problem import Problem
from .base import State
from .mu import exponent


def unroll(Zt: Matrix, delays: int) -> Matrix:
    """Return activations (frames, components) beside their delayed selves: (frames, components * delays).

    Column k * delays + d holds component k, d frames late; what would come before the first frame is 0.
    """
    frames, components = Zt.shape
    out = np.zeros((frames, components, delays), Zt.dtype)
    for delay in range(min(delays, frames)):
        out[delay:, :, delay] = Zt[: frames - delay]
    return out.reshape(frames, -1)


def gather(A: Matrix, delays: int) -> Matrix:
    """Return for every activation the sum over the places where `unroll` puts it: its transpose."""
    frames = len(A)
    parts = A.reshape(frames, -1, delays)
    out: Matrix = np.zeros(parts.shape[:2], A.dtype)
    for delay in range(min(delays, frames)):
        out[: frames - delay] += parts[delay:, :, delay]
    return out


class Convolutive:
    """Z, then W, by multiplicative updates; the state holds both unrolled.

    Parameters
    ----------
    delays : int
        Frames of a template.
    """

    betas: frozenset[float] | None = None
    monotone = True
    fills = False
    penalties = False

    def __init__(self, delays: int) -> None:
        self.delays = delays

    def start(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Take the activations at delay 0 for what the others follow."""
        self._tie(state, np.ascontiguousarray(state.Zt[:, :: self.delays]))

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Do one iteration."""
        measure, kernels = problem.divergence, state.kernels
        gamma = exponent(measure.beta)
        if "Z" not in problem.fixed:
            parts = np.empty_like(state.Zt), np.empty_like(state.Zt)

            def collect(first: int, z: Matrix, numerator: Matrix, denominator: Matrix) -> None:
                parts[0][first : first + len(z)] = numerator
                parts[1][first : first + len(z)] = denominator

            kernels.mm_activations(Xt, state.Wt, state.Zt, measure, gamma, state.workers, collect)
            numerator, denominator = (gather(part, self.delays) for part in parts)
            numerator /= denominator + denominator.dtype.type(EPS)
            if gamma != 1:
                numerator **= numerator.dtype.type(gamma)
            numerator *= state.memory
            keep_positive(numerator)
            self._tie(state, numerator)
        if "W" not in problem.fixed:
            N, D = kernels.mm_statistics(Xt, state.Wt, state.Zt, measure, state.workers)
            update_templates(state.Wt, N, D, state.Zt, problem, gamma, state.Wt)

    def observe(self, state: State, problem: Problem, loss: float) -> float:
        """Take the loss as it is."""
        return loss

    def _tie(self, state: State, Zt: Matrix) -> None:
        state.memory = Zt
        state.Zt[:] = unroll(Zt, self.delays)
