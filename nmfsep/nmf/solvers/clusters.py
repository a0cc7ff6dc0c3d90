"""Factorizations in which every frame has one template: k-means, and orthogonal NMF, in which it may also be scaled.

Lloyd, "Least squares quantization in PCM", IEEE Trans. Information Theory 28(2), 1982; Pompili, Gillis, Absil &
Glineur, "Two algorithms for orthogonal nonnegative matrix factorization with application to clustering", Neurocomputing
141, 2014, the one by alternation, with a power step in the place of a cluster's leading singular vector.
"""

from __future__ import annotations

import numpy as np

from ..factors import Matrix
from ..kernels.workers import spans
from ..problem import Problem
from .base import State

TILE = 256  # frames at a time


class Clusters:
    """Each frame to its best template, then each template to the best of its frames; neither can raise the loss.

    A template without frames takes the frame that is explained worst.
    """

    betas: frozenset[float] | None = frozenset({2.0})
    monotone = True
    fills = True
    penalties = False

    def scores(self, products: Matrix, energies: Matrix) -> tuple[Matrix, Matrix]:
        """Return by how much each template lowers a frame's squared error, and the activation that does so.

        Parameters
        ----------
        products : ndarray, shape (frames, components)
            Inner products of frames and templates.
        energies : ndarray, shape (components,)
            Sums of squares of the templates.
        """
        raise NotImplementedError

    def start(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Give each frame its template, so that the first loss is that of the templates."""
        state.memory = np.einsum("tf,tf->t", Xt, Xt)
        self._assign(Xt, state)

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Do one iteration."""
        self._revive(Xt, state, self._assign(Xt, state))
        P, G = state.kernels.hals_pass(Xt, state.Wt, state.Wt @ state.Wt.T, state.Zt, 0, state.workers)
        weights = np.diag(G)
        alive = weights > 0
        state.Wt[alive] = P[alive] / weights[alive, None]

    def observe(self, state: State, problem: Problem, loss: float) -> float:
        """Take the loss as it is."""
        return loss

    def _assign(self, Xt: Matrix, state: State) -> Matrix:
        """Set Zt, and return the squared error that is left of each frame."""
        energies = np.einsum("kf,kf->k", state.Wt, state.Wt)
        W = np.ascontiguousarray(state.Wt.T)
        left: Matrix = np.empty_like(state.memory)

        def part(span: range) -> None:
            for a in span:
                frames = slice(a, min(a + span.step, span.stop))
                gains, values = self.scores(Xt[frames] @ W, energies)
                best = np.argmax(gains, axis=1)[:, None]
                state.Zt[frames] = 0
                np.put_along_axis(state.Zt[frames], best, np.take_along_axis(values, best, axis=1), axis=1)
                left[frames] = state.memory[frames] - np.take_along_axis(gains, best, axis=1)[:, 0]

        state.workers.map(part, spans(len(Xt), TILE))
        return left

    def _revive(self, Xt: Matrix, state: State, left: Matrix) -> None:
        dead = np.flatnonzero(~state.Zt.any(axis=0))
        if not len(dead):
            return
        floor = 10 * float(np.finfo(Xt.dtype).eps) * float(state.memory.max(initial=0))  # below it, all is rounding
        worst = np.argsort(-left, kind="stable")[: len(dead)]
        for k, t in zip(dead, worst, strict=False):
            if left[t] > floor:
                state.Zt[t] = 0
                state.Zt[t, k] = 1


class KMeans(Clusters):
    """The nearest template, as it is: Lloyd's algorithm."""

    def scores(self, products: Matrix, energies: Matrix) -> tuple[Matrix, Matrix]:
        """‖x‖² - ‖x - w‖², and 1."""
        return 2 * products - energies, np.ones_like(products)


class Orthogonal(Clusters):
    """The template that points most nearly the same way, scaled."""

    def scores(self, products: Matrix, energies: Matrix) -> tuple[Matrix, Matrix]:
        """‖x‖² - min ‖x - z w‖² over z >= 0, and that z."""
        forward = np.maximum(products, 0)
        values = np.divide(forward, energies, out=np.zeros_like(products), where=energies > 0)
        return values * forward, values
