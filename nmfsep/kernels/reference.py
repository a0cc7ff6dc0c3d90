"""The kernels as plain formulas over whole matrices: the definition that the fast ones are tested against."""
# ruff: noqa: D102 (methods are documented in Kernels)

from __future__ import annotations

import numpy as np

from .divergence import Divergence
from .factors import EPS, Matrix, keep_positive, move_ahead
from .interface import Kernels, Update
from .threads import Workers


class Reference(Kernels):
    """All frames at once, in one thread."""

    def divergence(self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, workers: Workers) -> float:
        return measure.value(Xt, _model(Wt, Zt))

    def mm_activations(
        self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, update: Update, workers: Workers
    ) -> None:
        V = _model(Wt, Zt)
        negative, positive = measure.ratios(Xt, V, np.empty_like(V))
        denominator = Wt.sum(axis=1) if positive is None else positive @ Wt.T
        if callable(update):
            update(0, Zt, negative @ Wt.T, np.broadcast_to(denominator, Zt.shape))
            return
        Zt *= ((negative @ Wt.T) / (denominator + np.asarray(EPS, Wt.dtype))) ** update
        keep_positive(Zt)

    def mm_statistics(
        self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, workers: Workers
    ) -> tuple[Matrix, Matrix]:
        V = _model(Wt, Zt)
        negative, positive = measure.ratios(Xt, V, np.empty_like(V))
        return Zt.T @ negative, Zt.sum(axis=0)[:, None] if positive is None else Zt.T @ positive

    def hals_pass(
        self,
        Xt: Matrix,
        Wt: Matrix,
        Zt: Matrix,
        sweeps: int,
        workers: Workers,
        plain: Matrix | None = None,
        momentum: float = 0.0,
    ) -> tuple[Matrix, Matrix]:
        if sweeps:
            Z = np.ascontiguousarray(Zt.T)
            self.sweep(np.ascontiguousarray(Wt @ Xt.T), Wt @ Wt.T, Z, sweeps)
            Zt[:] = Z.T
        if plain is not None:
            move_ahead(Zt, plain, momentum)
        return Zt.T @ Xt, Zt.T @ Zt


def _model(Wt: Matrix, Zt: Matrix) -> Matrix:
    """Return the transposed model, (frames, bins), floored by EPS."""
    return Zt @ Wt + np.asarray(EPS, Wt.dtype)
