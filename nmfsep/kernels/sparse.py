"""The kernels for a sparse X, of which only the entries that are not 0 are looked at: Kullback-Leibler, least squares.

X is a csr_array of scipy. V = W Z is computed at these entries alone; what the loss needs of it elsewhere are sums over
all entries, which the factors give: sum V = (sum Z)ᵀ (sum W) and ‖V‖² = <Wᵀ W, Z Zᵀ>. Without numba, V is computed
some entries at a time, and scipy does the products.
"""
# ruff: noqa: D102 (methods are documented in Kernels)

from __future__ import annotations

from typing import Any

import numpy as np

from .divergence import Divergence
from .product import EPS, Matrix, keep_positive, move_ahead
from .reference import Ahead, Kernels, Momentum, Update
from .threads import Workers, spans

PIECE = 1 << 20  # entries of the gathered factors at a time


class Sparse(Kernels):
    """Loops over the entries of X, row by row for Z and column by column for W, so that threads change no bit."""

    def __init__(self, Xt: Any, compiled: bool = False) -> None:
        self._columns = Xt.tocsc()
        self._compiled = compiled
        self._mass = float(Xt.data.sum(dtype=np.float64))

    def energy(self, Xt: Any) -> float:
        return float(np.square(Xt.data, dtype=np.float64).sum())

    def divergence(self, Xt: Any, Wt: Matrix, Zt: Matrix, measure: Divergence, workers: Workers) -> float:
        v = self._model(Xt, Zt, np.ascontiguousarray(Wt.T), workers)
        if measure.beta == 2:
            wide = [A.astype(np.float64, copy=False) for A in (Wt, Zt.T)]
            squares = float(np.einsum("kl,kl->", *(A @ A.T for A in wide)))
            crossed = float(np.einsum("i,i->", Xt.data, v, dtype=np.float64))
            return max(0.0, 0.5 * (self.energy(Xt) - 2 * crossed + squares))
        everywhere = float(Wt.sum(axis=1, dtype=np.float64) @ Zt.sum(axis=0, dtype=np.float64))
        np.divide(Xt.data, v, out=v)
        np.log(v, out=v)
        return everywhere - self._mass + float(np.einsum("i,i->", Xt.data, v, dtype=np.float64))

    def mm_pass(
        self, Xt: Any, Wt: Matrix, Zt: Matrix, measure: Divergence, update: Update, workers: Workers, ahead: Ahead
    ) -> tuple[Matrix, Matrix]:
        squares = measure.beta == 2
        if update is not None:
            W = np.ascontiguousarray(Wt.T)
            ratio = self._product(Xt, W, workers) if squares else self._ratio(Xt, Zt, W, workers)
            sums = Wt.sum(axis=1)
            denominator = Zt @ (Wt @ W) + Wt.dtype.type(EPS) * sums if squares else sums
            if callable(update):
                update(0, Zt, ratio, np.broadcast_to(denominator, Zt.shape))
            else:
                ratio /= denominator + Wt.dtype.type(EPS)
                Zt *= ratio if update == 1 else ratio**update
                keep_positive(Zt)
        if ahead is None:
            return Wt, Wt
        if squares:
            floor = Zt.dtype.type(EPS) * Zt.sum(axis=0)[:, None]
            return self._product(self._columns, Zt, workers).T.copy(), (Zt.T @ Zt) @ ahead + floor
        N = self._ratio(self._columns, np.ascontiguousarray(ahead.T), Zt, workers)
        return np.ascontiguousarray(N.T), Zt.sum(axis=0)[:, None]

    def hals_pass(
        self, Xt: Any, Wt: Matrix, Zt: Matrix, sweeps: int, workers: Workers, momentum: Momentum | None = None
    ) -> tuple[Matrix, Matrix]:
        if sweeps:
            P, G, Z = self._product(Xt, np.ascontiguousarray(Wt.T), workers).T, Wt @ Wt.T, np.ascontiguousarray(Zt.T)
            parts = spans(len(Zt), 1)
            workers.map(lambda s: self.sweep(P[:, s.start : s.stop], G, Z[:, s.start : s.stop], sweeps), parts)
            Zt[:] = Z.T
        if momentum is not None:
            move_ahead(Zt, *momentum)
        return np.ascontiguousarray(self._product(self._columns, Zt, workers).T), Zt.T @ Zt

    def sweep(self, P: Matrix, G: Matrix, H: Matrix, sweeps: int) -> None:
        if not self._compiled:
            return super().sweep(P, G, H, sweeps)
        from .numba_loops import sweep_rows

        sweep_rows(P, G, H, sweeps)
        return None

    def _model(self, X: Any, A: Matrix, B: Matrix, workers: Workers) -> Matrix:
        """Return A Bᵀ, floored by EPS, at the entries of X; a row of A is one of X, a row of B a column."""
        v, eps = np.empty(X.nnz, A.dtype), A.dtype.type(EPS)
        if self._compiled:
            from .entry_loops import model

            workers.map(lambda part: model(X.indptr, X.indices, A, B, part.start, part.stop, eps, v), spans(len(A), 1))
            return v
        rows, step = np.repeat(np.arange(len(A)), np.diff(X.indptr)), max(1, PIECE // A.shape[1])
        for start in range(0, X.nnz, step):
            here = slice(start, start + step)
            np.einsum("ik,ik->i", A[rows[here]], B[X.indices[here]], out=v[here])
        v += eps
        return v

    def _ratio(self, X: Any, A: Matrix, B: Matrix, workers: Workers) -> Matrix:
        """Return (X / (A Bᵀ)) B, of the shape of A."""
        if not self._compiled:
            v = self._model(X, A, B, workers)
            np.divide(X.data, v, out=v)
            return self._product(X, B, workers, v)
        from .entry_loops import ratio

        out, eps = np.empty_like(A), A.dtype.type(EPS)
        arrays = X.indptr, X.indices, X.data, A, B
        workers.map(lambda part: ratio(*arrays, part.start, part.stop, eps, out), spans(len(A), 1))
        return out

    def _product(self, X: Any, B: Matrix, workers: Workers, entries: Matrix | None = None) -> Matrix:
        """Return X B, where a row of B is a column of X, or that of other entries at the same places."""
        from scipy.sparse import csr_array

        rows = len(X.indptr) - 1
        whole = (X.data if entries is None else entries, X.indices, X.indptr)
        if not self._compiled:
            product: Matrix = csr_array(whole, shape=(rows, len(B))) @ B
            return product
        from .entry_loops import product as loop

        out = np.empty((rows, B.shape[1]), B.dtype)
        workers.map(lambda part: loop(*whole, B, part.start, part.stop, out), spans(rows, 1))
        return out
