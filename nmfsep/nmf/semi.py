"""Semi-NMF: the factorization of a signed matrix of which only one factor is non-negative."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from ..errors import UsageError
from ..registry import SIGNED_SOLVERS, SIGNED_STARTS, suggestion
from .divergences.beta import frobenius
from .factors import Factors
from .fit import Callback, Fit, Stop, fit, told_in_units
from .kernels.workers import Workers
from .prepare import as_matrix, check_count, prepare
from .problem import Problem
from .solvers.base import Solver

FILL = 1e-3  # of the mean, for solvers that cannot leave a zero


def semi_nmf(
    Y: ArrayLike,
    k: int,
    *,
    free: str = "W",
    solver: str = "hals",
    start: str = "svd",
    max_iter: int = 200,
    tol: float = 1e-4,
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
    max_iter : int, default 200
    tol : float, default 1e-4
        Stop when ten iterations lower the loss by less than this share of the first loss; 0 never stops early.
    time_limit : float, optional
        Seconds.
    seed : int, default 0
        Of the random start.
    callback : callable, optional
        Called as callback(iteration, loss); a true result stops the fit.
    threads : int, optional
        All cores if not given; never changes the result.

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
        begin: Factors = begin_at(Xt, k, rng) if free == "W" else begin_at(Xt.T, k, rng).transpose()
        if not method.fills:
            begin = _filled(begin, free)
        problem = Problem(frobenius, free=frozenset({free}))
        told = told_in_units(callback, unit, 2)
        result = fit(Xt, begin, problem, method, Stop(max_iter, tol, time_limit), workers, told)
    result = result.in_units(unit, 2)
    notes = _warnings(k, min(Xt.shape), silent)
    return replace(result, factors=result.factors.normalize(), solver=solver, warnings=notes)


def _filled(begin: Factors, free: str) -> Factors:
    """Add a little to all of the non-negative factor; where its rows came from svd, this leaves their product as it is.

    There, the templates sum to zero, so that what is the same in all activations changes nothing.
    """
    if free == "Z":
        return _filled(begin.transpose(), "W").transpose()
    return Factors(begin.W, begin.Z + begin.Z.dtype.type(FILL * float(begin.Z.mean(dtype=np.float64))))


def _warnings(k: int, rank: int, silent: bool) -> tuple[str, ...]:
    if silent:
        return ("everything is zero, so there is nothing to tell apart",)
    if k > rank + 1:
        return (f"{k} components are more than the {rank + 1} that semi-NMF can use here",)
    return ()
