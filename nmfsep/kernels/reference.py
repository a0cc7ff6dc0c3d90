"""Kernels: the arithmetic of one iteration, which solvers are written in, as plain formulas over whole matrices.

Kernels see the transposes, which lie in memory frame by frame: Xt (frames, bins), Wt (components, bins) and
Zt (frames, components), all C-contiguous. `Kernels` is the definition; the faster ones are tested against it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .divergence import Divergence, sum_of_squares
from .product import EPS, Matrix, keep_positive, move_ahead, sweep
from .threads import Workers

# How activations are updated: a number is the exponent of the multiplicative update, Z * (Wᵀ N / Wᵀ P)^exponent; a
# function replaces it, called as update(first frame, z in place, Wᵀ N, Wᵀ P) for each tile of frames; None: not at all.
Update = float | Callable[[int, Matrix, Matrix, Matrix], None] | None
Ahead = Matrix | None  # templates, where an extrapolating solver has moved them, to take statistics with, if any
Momentum = tuple[Matrix, float]  # activations where they were before they last moved ahead, and by how much they do


class Kernels:
    """What a solver needs of X. N and P are the negative and the positive part of dD/dV, V = W Z.

    Every method takes entered `workers`; their number of threads changes no bit. X is only read. A subclass overrides
    `divergence`, `mm_pass`, `hals_pass` and `sweep`, and `energy` where X is no array.
    """

    def energy(self, Xt: Matrix) -> float:
        """Return the sum of the squares of X."""
        return sum_of_squares(Xt)

    def divergence(self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, workers: Workers) -> float:
        """Return D(X | W Z)."""
        return measure.value(Xt, _model(Wt, Zt))

    def mm_activations(
        self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, update: Update, workers: Workers
    ) -> None:
        """Update Zt in place."""
        self.mm_pass(Xt, Wt, Zt, measure, update, workers, None)

    def mm_statistics(
        self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, workers: Workers
    ) -> tuple[Matrix, Matrix]:
        """Return N Zᵀ and P Zᵀ, transposed: (components, bins). The second is (components, 1) where P is all ones."""
        return self.mm_pass(Xt, Wt, Zt, measure, None, workers, Wt)

    def mm_pass(
        self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, update: Update, workers: Workers, ahead: Ahead
    ) -> tuple[Matrix, Matrix]:
        """Do mm_activations with Wt, then mm_statistics with the templates `ahead`.

        What is returned without templates ahead means nothing.
        """
        if update is not None:
            N, P = _ratios(Xt, Wt, Zt, measure)
            ratio, denominator = N @ Wt.T, Wt.sum(axis=1) if P is None else P @ Wt.T
            if callable(update):
                update(0, Zt, ratio, np.broadcast_to(denominator, Zt.shape))
            else:
                Zt *= (ratio / (denominator + np.asarray(EPS, Wt.dtype))) ** update
                keep_positive(Zt)
        if ahead is None:
            return Wt, Wt
        N, P = _ratios(Xt, ahead, Zt, measure)
        return Zt.T @ N, Zt.sum(axis=0)[:, None] if P is None else Zt.T @ P

    def hals_pass(
        self, Xt: Matrix, Wt: Matrix, Zt: Matrix, sweeps: int, workers: Workers, momentum: Momentum | None = None
    ) -> tuple[Matrix, Matrix]:
        """Sweep Zt in place with W fixed, then return Z Xᵀ, (components, bins), and Z Zᵀ. With no sweeps Zt stays.

        With a momentum (plain, a), Zt is moved ahead in between, to max(0, Z + a (Z - plain)), and `plain` gets the Z
        from before the move: the products are those of the Z ahead.
        """
        if sweeps:
            Z = np.ascontiguousarray(Zt.T)
            self.sweep(np.ascontiguousarray(Wt @ Xt.T), Wt @ Wt.T, Z, sweeps)
            Zt[:] = Z.T
        if momentum is not None:
            move_ahead(Zt, *momentum)
        return Zt.T @ Xt, Zt.T @ Zt

    def sweep(self, P: Matrix, G: Matrix, H: Matrix, sweeps: int) -> None:
        """Lower ‖X - A H‖² in place by coordinate descent on the rows of H >= 0; P = Aᵀ X and G = Aᵀ A."""
        sweep(P, G, H, sweeps)


def _ratios(Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence) -> tuple[Matrix, Matrix | None]:
    V = _model(Wt, Zt)
    return measure.ratios(Xt, V, np.empty_like(V))


def _model(Wt: Matrix, Zt: Matrix) -> Matrix:
    """Return the transposed model, (frames, bins), floored by EPS."""
    return Zt @ Wt + np.asarray(EPS, Wt.dtype)
