"""The public entry for any non-negative matrix."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..errors import UsageError
from ..registry import STARTS
from .divergences import Divergence, as_divergence
from .factors import Factors, Matrix
from .fit import Callback, Fit, Stop, choose_solver, fit
from .kernels.workers import Workers
from .problem import Problem

FLOOR = 1e-5  # of the largest entry, -100 dB: where beta <= 0, a zero in X would make the loss infinite


def factorize(
    X: ArrayLike,
    k: int,
    *,
    divergence: str | float | Divergence = "kl",
    solver: str = "auto",
    start: str = "auto",
    W: ArrayLike | None = None,
    Z: ArrayLike | None = None,
    fixed: Collection[str] = (),
    max_iter: int = 200,
    tol: float = 1e-4,
    time_limit: float | None = None,
    seed: int = 0,
    callback: Callback | None = None,
    threads: int | None = None,
    loss_every: int = 10,
) -> Fit:
    """Factorize a non-negative matrix, X ≈ W Z.

    Parameters
    ----------
    X : array_like, shape (bins, frames)
        Finite and non-negative; never written to. Its level does not matter: it is scaled by a power of two to about
        unit mean inside, so that X and 2**n X give the same factors bit for bit. float64 is computed in float64, all
        else in float32. A float32 array in Fortran order and of that level is used without a copy.
    k : int
        Components.
    divergence : str, float or Divergence, default "kl"
        "kl", "frobenius", "is", or a beta. For beta <= 0, entries are raised to -100 dB of the largest.
    solver, start : str, default "auto"
        Names in the registry. auto is hals for beta 2, mu for all others; and nndsvda.
    W : array_like, shape (bins, k), optional
    Z : array_like, shape (k, frames), optional
        The exact start, in the units of X; what is not given comes from `start`, or, where the other is given, starts
        constant at the level of X.
    fixed : collection of {"W", "Z"}, default ()
        Factors, given, that are held.
    max_iter : int, default 200
    tol : float, default 1e-4
        Stop when ten iterations lower the loss by less than this share of the first loss; with 0, exactly `max_iter`
        iterations run.
    time_limit : float, optional
        Seconds.
    seed : int, default 0
    callback : callable, optional
        Called as callback(iteration, loss); a true result stops the fit.
    threads : int, optional
        All cores if not given; never changes the result.
    loss_every : int, default 10
        Iterations between evaluations of the loss.

    Returns
    -------
    Fit
        Columns of W sum to 1, unless W or Z is fixed.

    Raises
    ------
    UsageError
        X is not a finite non-negative matrix, a name is unknown, shapes do not fit, or the solver cannot minimise
        this divergence.

    Examples
    --------
    >>> import numpy as np
    >>> from nmfsep import factorize
    >>> X = np.outer([1, 2, 3], [4.0, 0, 5]) + np.outer([3, 0, 1], [0, 1.0, 2])
    >>> V = factorize(X, 2, divergence="frobenius", max_iter=1000, tol=0).factors.reconstruct()
    >>> bool(abs(X - V).max() < 1e-3)
    True
    """
    if k < 1:
        raise UsageError(f"the number of components must be at least 1, not {k}")
    Xt, unit = _prepare(X)
    measure = as_divergence(divergence)
    if measure.beta <= 0:
        Xt = np.maximum(Xt, Xt.max() * Xt.dtype.type(FLOOR))
    name, method = choose_solver(solver, measure, start)
    problem = Problem(measure, frozenset(fixed))
    for which, given in (("W", W), ("Z", Z)):
        if which in problem.fixed and given is None:
            raise UsageError(f"{which} is to be held fixed but is not given")
    scale = float(unit) ** measure.beta
    told = None if callback is None else lambda iteration, loss: callback(iteration, loss * scale)
    with Workers(threads) as workers:
        begin = _start(Xt, k, unit, start, W, Z, np.random.default_rng(seed))
        stop = Stop(max_iter, tol, time_limit, loss_every)
        result = fit(Xt, begin, problem, method, stop, workers, told)
    factors = Factors(result.factors.W, result.factors.Z * unit)
    return replace(
        result,
        factors=factors if problem.fixed else factors.normalize(),
        losses=tuple(loss * scale for loss in result.losses),
        solver=name,
        warnings=_warnings(Xt, k),
    )


def _prepare(X: ArrayLike) -> tuple[Matrix, Any]:
    """Check X; return its transpose, C-contiguous and scaled to about unit mean, and the power of two divided out."""
    given = np.asarray(X)
    if given.ndim != 2 or 0 in given.shape or given.dtype.kind not in "fiub":
        raise UsageError(f"X must be a matrix of real numbers, not {given.dtype} of shape {given.shape}")
    dtype: Any = np.float64 if given.dtype == np.float64 else np.float32
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(given.mean(dtype=np.float64))
    if not np.isfinite(mean):
        raise UsageError("X holds NaN or infinite entries")
    if given.dtype.kind in "fi" and given.min() < 0:
        raise UsageError("X holds negative entries", "nonnegative factorization needs X >= 0")
    # a power of two, so that scaling is exact; half-way values go up, so that the scaled mean lies in [0.5, 1)
    unit = dtype(2.0 ** np.frexp(mean)[1]) if mean > 0 else dtype(1)
    Xt: Matrix = np.ascontiguousarray(given.T, dtype=dtype)
    return (Xt if unit == 1 else Xt / unit), unit


def _start(
    Xt: Matrix, k: int, unit: Any, start: str, W: ArrayLike | None, Z: ArrayLike | None, rng: np.random.Generator
) -> Factors:
    frames, bins = Xt.shape
    if W is None and Z is None:
        factors: Factors = STARTS.load("nndsvda" if start == "auto" else start)(Xt, k, rng)
        return factors
    mean = Xt.mean(dtype=np.float64)
    # without the other factor, a start of equal entries, at which W Z has the mean of X
    w = np.full((bins, k), 1 / bins) if W is None else np.array(W, dtype=Xt.dtype)
    z = np.array(Z, dtype=Xt.dtype) / unit if Z is not None else np.full((k, frames), mean / max(w.mean() * k, 1e-30))
    for name, factor, shape in (("W", w, (bins, k)), ("Z", z, (k, frames))):
        if factor.shape != shape:
            raise UsageError(f"{name} has shape {factor.shape}, not {shape}")
        if not np.isfinite(factor).all() or factor.min() < 0:
            raise UsageError(f"{name} holds negative, NaN or infinite entries")
    if W is None:  # columns that start equal stay equal, so they must differ
        w = w * (0.5 + rng.random(w.shape))
    return Factors(w.astype(Xt.dtype), z.astype(Xt.dtype))


def _warnings(Xt: Matrix, k: int) -> tuple[str, ...]:
    if not Xt.any():
        return ("everything is zero, so there is nothing to tell apart",)
    if k > min(Xt.shape):
        return (f"{k} components are more than the {min(Xt.shape)} that can differ here; the others are silent",)
    return ()
