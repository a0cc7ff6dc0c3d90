"""Semi-NMF: the factorization of a signed matrix of which only one factor is non-negative."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from ..errors import UsageError
from ..kernels.divergence import frobenius
from ..kernels.product import EPS, Factors, Matrix, keep_positive, sweep
from ..kernels.threads import Workers
from ..nmf.fit import SILENT, Callback, Fit, Stop, callback_in_units, fit
from ..nmf.prepare import as_matrix, check_count, prepare
from ..nmf.problem import Problem
from ..nmf.solvers import Solver, State
from ..nmf.solvers.pinv import solve
from ..registry import SIGNED_SOLVERS, SIGNED_STARTS, suggestion
from ..settings.fields import MAX_ITER, TOL


def svd(Xt: Matrix, components: int, rng: np.random.Generator) -> Factors:
    """Return a start whose error is at most that of the best approximation of rank `components` - 1; deterministic.

    Gillis & Kumar, "Exact and heuristic algorithms for semi-nonnegative matrix factorization", SIAM J. Matrix Anal.
    Appl. 36(4), 2015. Of A B, that best approximation, the rows of B lose their least entry in each frame,
    and one more template takes it back: X ≈ [A, -A 1] [B - 1 m; -m], m_t = min(0, min_k B_kt).

    Components beyond the rank of X plus one start silent.
    """
    frames, bins = Xt.shape
    V, s, Ut = np.linalg.svd(Xt, full_matrices=False)
    W, Z = np.zeros((bins, components), Xt.dtype), np.zeros((components, frames), Xt.dtype)
    if components == 1:  # the best approximation of rank 0 is nothing, which half of the leading pair betters
        v = V[:, 0] if np.linalg.norm(np.maximum(V[:, 0], 0)) >= np.sqrt(0.5) else -V[:, 0]
        Z[0] = np.maximum(v, 0)
        W[:, 0] = Xt.T @ Z[0] / max(float(Z[0] @ Z[0]), np.finfo(Xt.dtype).tiny)
        return Factors(W, Z)
    rank = min(components - 1, frames, bins)
    A, B = (Ut[:rank] * s[:rank, None]).T, V[:, :rank].T
    # the fewer large negative entries, the better
    flip = np.where(B.min(axis=1) < -B.max(axis=1), -1, 1).astype(Xt.dtype)
    A, B = A * flip, B * flip[:, None]
    least = np.minimum(B.min(axis=0), 0)
    W[:, :rank], W[:, rank] = A, -A.sum(axis=1)
    Z[:rank], Z[rank] = B - least, -least
    return Factors(W, Z)


def random(Xt: Matrix, components: int, rng: np.random.Generator) -> Factors:
    """Return |N(0, 1)| activations and the templates that suit them best."""
    Zt = np.abs(rng.standard_normal((len(Xt), components))).astype(Xt.dtype)
    W = np.linalg.lstsq(Zt.astype(np.float64), Xt.astype(np.float64), rcond=None)[0].T
    return Factors(W.astype(Xt.dtype), np.ascontiguousarray(Zt.T))


SWEEPS = 4


class Semi(Solver):
    """Least squares for the factor that is free, `descend` for the other, each with the latest of the other."""

    betas = frozenset({2.0})
    fills = True

    @abstractmethod
    def descend(self, P: Matrix, G: Matrix, H: Matrix) -> None:
        """Lower ‖X - B H‖² over H >= 0 in place, P = Bᵀ X and G = Bᵀ B."""

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Update Z, then W."""
        if "Z" not in problem.fixed:
            Z = np.ascontiguousarray(state.Zt.T)
            update = solve if "Z" in problem.free else self.descend
            update(state.Wt @ Xt.T, state.Wt @ state.Wt.T, Z)
            state.Zt[:] = Z.T
        if "W" not in problem.fixed:
            P, G = state.kernels.hals_pass(Xt, state.Wt, state.Zt, 0, state.workers)
            update = solve if "W" in problem.free else self.descend
            update(P, G, state.Wt)


class SemiHALS(Semi):
    """Coordinate descent on the rows of the non-negative factor."""

    def descend(self, P: Matrix, G: Matrix, H: Matrix) -> None:
        """Sweep over the rows."""
        sweep(P, G, H, SWEEPS)


class SemiMU(Semi):
    """Multiplicative updates of the non-negative factor by the positive and negative parts of both products."""

    fills = False

    def descend(self, P: Matrix, G: Matrix, H: Matrix) -> None:
        """Multiply by sqrt((P⁺ + G⁻ H) / (P⁻ + G⁺ H)), Ding et al. 2010."""
        gain = np.maximum(P, 0) + np.maximum(-G, 0) @ H
        cost = np.maximum(-P, 0) + np.maximum(G, 0) @ H
        H *= np.sqrt(gain / (cost + H.dtype.type(EPS)))
        keep_positive(H)


FILL = 1e-3  # of the mean, for solvers that cannot leave a zero


def semi_nmf(
    Y: ArrayLike,
    k: int,
    *,
    free: str = "W",
    solver: str = "hals",
    start: str = "svd",
    max_iter: int = MAX_ITER,
    tol: float = TOL,
    time_limit: float | None = None,
    seed: int = 0,
    callback: Callback | None = None,
    threads: int | None = None,
) -> Fit:
    """Factorize a matrix of any sign, Y ≈ W Z, with one factor non-negative and the other free.

    Minimises ½ ‖Y - W Z‖² (Ding, Li & Jordan, "Convex and semi-nonnegative matrix factorizations", IEEE TPAMI 32(1),
    2010). The infimum need not be attained: then the loss falls on and the free factor grows (Gillis & Kumar 2015).

    Parameters
    ----------
    Y : array_like, shape (bins, frames)
        Finite; never written to. float64 is computed in float64, all else in float32.
    k : int
        Components.
    free : {"W", "Z"}, default "W"
        The factor that may be negative: templates, as with features of frames in columns of Y, or activations.
    solver : {"hals", "mu"}, default "hals"
        A name in SIGNED_SOLVERS: coordinate descent or multiplicative updates. Neither lets the loss rise.
    start : {"svd", "random"}, default "svd"
        A name in SIGNED_STARTS. svd starts at no more than the error of the best approximation of rank k - 1.
    max_iter, tol, time_limit, seed, callback, threads
        As in `factorize`.

    Returns
    -------
    Fit
        The absolute entries of each column of W sum to 1.

    Raises
    ------
    UsageError
        Y is not a finite matrix, or a name is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from nmfsep import semi_nmf
    >>> Y = np.outer([1, -2, 3], [4.0, 0, 5]) + np.outer([-3, 0, 1], [0, 1.0, 2])
    >>> fit = semi_nmf(Y, 2, max_iter=1000, tol=0)
    >>> bool(fit.factors.Z.min() >= 0), bool(abs(Y - fit.factors.reconstruct()).max() < 1e-3)
    (True, True)
    """
    check_count("k", k)
    if free not in ("W", "Z"):
        raise UsageError(f"free must be 'W' or 'Z', not {free!r}", suggestion(str(free), ["W", "Z"]))
    solver = SIGNED_SOLVERS.resolve(solver)
    method: Solver = SIGNED_SOLVERS.load(solver)()
    begin_at = SIGNED_STARTS.load(start)
    with Workers(threads) as workers:
        Xt, unit, silent = prepare(as_matrix(Y).T, workers, signed=True)
        rng = np.random.default_rng(seed)
        begin: Factors = begin_at(Xt if free == "W" else Xt.T, k, rng)
        if not method.fills:
            # templates from svd sum to zero, so that what is the same in all activations leaves their product as it is
            begin = Factors(begin.W, begin.Z + begin.Z.dtype.type(FILL * float(begin.Z.mean(dtype=np.float64))))
        begin = begin if free == "W" else begin.transpose()
        problem = Problem(frobenius, free=frozenset({free}))
        stop, in_units = Stop(max_iter, tol, time_limit), callback_in_units(callback, unit, 2)
        result = fit(Xt, begin, problem, method, stop, workers, in_units).in_units(unit, 2)
    warnings, rank = (SILENT,) if silent else (), min(Xt.shape)
    if k > rank + 1 and not silent:
        warnings = (f"{k} components are more than the {rank + 1} that semi-NMF can use here",)
    return replace(result, factors=result.factors.normalize(), solver=solver, warnings=warnings)
