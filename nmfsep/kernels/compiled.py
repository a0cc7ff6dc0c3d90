"""The kernels for Kullback-Leibler, Itakura-Saito and least squares, compiled: four frames by four components together.

With few components the products are too thin for BLAS, and a fused loop over X is several times faster; for least
squares, whose products are the only work on X, it is the sweeps over the rows of small factors that are. The compiled
code runs without the interpreter's lock on the threads of Workers, so that no second pool of threads competes with
BLAS. Every other case is left to `Blocked`.
"""
# ruff: noqa: D102 (methods are documented in Kernels)

from __future__ import annotations

import numpy as np

from .blocked import Blocked
from .divergence import Divergence
from .product import EPS, Matrix
from .reference import Ahead, Momentum, Update
from .threads import Workers, spans

FUSED = 12  # components from which BLAS does the products of least squares as well
LANES = 4  # frames and components handled together
REAL = np.float32
SMALLEST = 1e-20  # stands for 0 in x log x, whose limit is 0


class Compiled(Blocked):
    """Compiled loops over float32 matrices, for the divergences and sizes that they suit."""

    def divergence(self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, workers: Workers) -> float:
        if measure.beta not in (0, 1, 2) or Xt.dtype != REAL:
            return super().divergence(Xt, Wt, Zt, measure, workers)
        from .numba_loops import is_loss, kl_loss, squares_loss

        loop = {0: is_loss, 1: kl_loss, 2: squares_loss}[int(measure.beta)]
        W, Z = _rows(Wt), _fours(Zt)

        def part(span: range) -> float:
            return float(loop(Xt, W, Z, span.start, span.stop, REAL(EPS), REAL(SMALLEST)))

        return sum(workers.map(part, _spans(Z)))

    def mm_pass(
        self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, update: Update, workers: Workers, ahead: Ahead
    ) -> tuple[Matrix, Matrix]:
        if callable(update) or measure.beta not in (0, 1) or Xt.dtype != REAL:
            return super().mm_pass(Xt, Wt, Zt, measure, update, workers, ahead)
        from .numba_loops import is_frames, kl_frames

        loop = is_frames if measure.beta == 0 else kl_frames
        updates, adds, power = update is not None, ahead is not None, REAL(1 if update is None else update)
        k, bins = Wt.shape
        W, Z = _rows(Wt), _fours(Zt)
        templates = W if ahead is None or ahead is Wt else _rows(ahead)
        parts = _spans(Z)
        N = np.zeros((len(parts), *W.shape), REAL)
        D = np.zeros_like(N) if measure.beta == 0 else np.zeros((*N.shape[:2], 1), REAL)

        def part(index: int) -> None:
            span = parts[index]
            loop(Xt, W, templates, Z, span.start, span.stop, REAL(EPS), power, updates, adds, N[index], D[index])

        workers.map(part, range(len(parts)))
        if updates and Z is not Zt:
            Zt[:] = Z[: len(Zt), :k]
        return _sum(N[:, :k, :bins]), _sum(D[:, :k, :bins])

    def sweep(self, P: Matrix, G: Matrix, H: Matrix, sweeps: int) -> None:
        if H.dtype != REAL or not H.flags.c_contiguous:
            return super().sweep(P, G, H, sweeps)
        from .numba_loops import sweep_rows

        sweep_rows(np.ascontiguousarray(P), np.ascontiguousarray(G), H, sweeps)
        return None

    def hals_pass(
        self, Xt: Matrix, Wt: Matrix, Zt: Matrix, sweeps: int, workers: Workers, momentum: Momentum | None = None
    ) -> tuple[Matrix, Matrix]:
        k, bins = Wt.shape
        plain, step = momentum or (None, -1)  # the loop leaves alone what is to move by less than 0
        if k >= FUSED or not all(A is None or (A.dtype == REAL and A.flags.c_contiguous) for A in (Xt, Zt, plain)):
            return super().hals_pass(Xt, Wt, Zt, sweeps, workers, momentum)
        from .numba_loops import hals_frames

        W, square, Z = _rows(Wt), _fours(Wt @ Wt.T), _fours(Zt)
        before = Z if plain is None else _fours(plain)
        parts = _spans(Z)
        A, B = np.zeros((len(parts), *W.shape), REAL), np.zeros((len(parts), *square.shape), REAL)

        def part(index: int) -> None:
            span = parts[index]
            hals_frames(Xt, W, square, Z, before, span.start, span.stop, sweeps, REAL(step), A[index], B[index])

        workers.map(part, range(len(parts)))
        for padded, factor in ((Z, Zt), (before, plain)):
            if factor is not None and padded is not factor:
                factor[:] = padded[: len(factor), :k]
        return _sum(A[:, :k, :bins]), _sum(B[:, :k, :k])


def _fours(A: Matrix) -> Matrix:
    """Return A with zeros up to a multiple of LANES along both axes, or A itself if it needs none."""
    rows, columns = (size + -size % LANES for size in A.shape)
    return A if A.shape == (rows, columns) else _padded(A, rows, columns)


def _spans(Z: Matrix) -> list[range]:
    """Divide frames, which come in fours, into spans of fours."""
    return [range(LANES * four.start, LANES * four.stop) for four in spans(len(Z) // LANES, 1)]


def _sum(parts: Matrix) -> Matrix:
    """Return the sum over the first axis, added in order."""
    total: Matrix = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total


def _rows(A: Matrix) -> Matrix:
    """Return a copy of templates (components, bins) as the loops take them: components in fours, rows of `width`."""
    from .numba_loops import width

    k, bins = A.shape
    return _padded(A, k + -k % LANES, width(bins))


def _padded(A: Matrix, rows: int, columns: int) -> Matrix:
    padded = np.zeros((rows, columns), A.dtype)
    padded[: A.shape[0], : A.shape[1]] = A
    return padded
