"""The public entry for any non-negative matrix."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..errors import UsageError
from ..kernels.divergence import Divergence, as_divergence
from ..kernels.product import Factors, Matrix
from ..kernels.streamed import Rows
from ..kernels.threads import Workers
from ..registry import SOLVERS, STARTS
from ..settings.fields import MAX_ITER, TOL
from .fit import SILENT, Callback, Execution, Fit, Stop, callback_in_units, choose_solver, fit
from .prepare import as_given, check_count, check_entries, prepare, raise_floor
from .problem import Anchor, Problem, check_given
from .solvers import Solver

APART = ("auto", "nndsvda", "nndsvdar", "nndsvd", "random")  # starts that need only products with X
RACE = 25  # iterations after which the best of several starts is chosen


def factorize(
    X: ArrayLike,
    k: int,
    *,
    divergence: str | float | Divergence = "kl",
    solver: str = "auto",
    start: str = "auto",
    W: ArrayLike | None = None,
    Z: ArrayLike | None = None,
    fixed: Collection[str] | Mapping[str, ArrayLike] = (),
    weights: ArrayLike | None = None,
    anchor: Anchor | None = None,
    costs: Mapping[str, ArrayLike] | None = None,
    l1: float | Mapping[str, float] = 0.0,
    l2: float | Mapping[str, float] = 0.0,
    max_iter: int = MAX_ITER,
    tol: float = TOL,
    time_limit: float | None = None,
    seed: int = 0,
    sparsity: float = 0.0,
    smoothness: float = 0.0,
    restarts: int = 1,
    callback: Callback | None = None,
    threads: int | None = None,
    execution: Execution | None = None,
) -> Fit:
    """Factorize a non-negative matrix, X ≈ W Z.

    Parameters
    ----------
    X : array_like, sparse array, or what `open_matrix` returns, shape (bins, frames)
        What is sparse, for beta 1 and 2, is never made dense; what is on disk is read a block at a time.
        Finite and non-negative; never written to. It is scaled by a power of two to about unit mean inside, so that X
        and 2**n X give the same factors bit for bit (to rounding where W and Z are both given, since levels within a
        million of 1 are then left as they are). float64 is computed in float64, all else in float32.
    k : int
        Components.
    divergence : str, float or Divergence, default "kl"
        "kl", "frobenius", "is", or a beta. For beta <= 0, entries are raised to -100 dB of the largest.
    solver, start : str, default "auto"
        Names in the registry. auto is ehals for beta 2 without penalties, else mue; and nndsvda, or nndsvd where the
        solver can leave zeros.
    W : array_like, shape (bins, k), optional
    Z : array_like, shape (k, frames), optional
        The exact start, in the units of X; where one is given, the other starts constant at the level of X.
    fixed : collection of {"W", "Z"}, or mapping of these to array_like of bool, default ()
        Factors, given, that are held; or a mask for each, true at the entries that are held.
    weights : array_like, shape (bins, frames), optional
        How much each entry of X counts in the loss: 0 where it is missing, and may be NaN. Needs a solver of
        multiplicative updates.
    anchor : Anchor, optional
        What holds some columns of a given W, or pulls them back, with weights in the units of X.
    costs : mapping of "W" or "Z" to array_like, shapes (bins, k) and (k, frames), optional
        What each entry of a factor costs, finite and not negative: sparsity that differs from entry to entry.
    l1, l2 : float, or mapping of "W" or "Z" to float, default 0
        Weights of the sum of the entries of a factor, and of half the sum of their squares, in the units of X. Unlike
        `sparsity`, they depend on how the scale is split between W and Z, which the fit decides. A number counts bins
        times in Z and frames times in W: alpha l1_ratio and alpha (1 - l1_ratio) of scikit-learn.
    max_iter : int, default 200
    tol : float, default 1e-4
        Stop when ten iterations lower the loss by less than this share of the first loss; 0 never stops early.
    time_limit : float, optional
        Seconds.
    seed : int, default 0
    sparsity : float, default 0
        Weight of sum_k ‖w_k‖ ‖z_k‖₁ for X of unit mean: few activations are preferred.
    smoothness : float, default 0
        Weight of the squared steps of Z relative to its mean: slow activations are preferred; for beta 1.
    restarts : int, default 1
        Starts, all but the first random, that run a short race; the one of the lowest loss goes on.
    callback : callable, optional
        Called as callback(iteration, loss); a true result stops the fit.
    threads : int, optional
        All cores if not given; never changes the result.
    execution : Execution, optional
        What else tunes the machine and not the mathematics; `threads`, where given, replaces those in it.

    Returns
    -------
    Fit
        Columns of W sum to 1, unless W or Z is fixed or anchored, or l1 or l2 is given.

    Raises
    ------
    UsageError
        X is not a finite non-negative matrix, a name is unknown, shapes do not fit, or the solver cannot do this.

    Examples
    --------
    >>> import numpy as np
    >>> from nmfsep import factorize
    >>> X = np.outer([1, 2, 3], [4.0, 0, 5]) + np.outer([3, 0, 1], [0, 1.0, 2])
    >>> V = factorize(X, 2, divergence="frobenius", max_iter=1000, tol=0).factors.reconstruct()
    >>> bool(abs(X - V).max() < 1e-3)
    True
    """
    check_count("k", k)
    check_count("restarts", restarts)
    execution = execution or Execution()
    measure = as_divergence(divergence)
    masks = dict(fixed) if isinstance(fixed, Mapping) else {}
    if not set(fixed) <= {"W", "Z"}:
        raise UsageError(f"only 'W' and 'Z' can be held fixed, not {sorted(set(fixed) - {'W', 'Z'})}")
    held = bool(fixed or anchor)
    if restarts > 1 and held:
        raise UsageError("restarts would not keep the factor that is held fixed", "leave out one")
    check_given(fixed, anchor, W, Z)
    others = bool(smoothness or anchor or masks or costs) or weights is not None
    penalized = bool(sparsity) or others
    norms = bool(l1 or l2)  # of a mapping, whether it has entries
    given_start = W is not None and Z is not None and not penalized and not norms
    leaves = start if W is None and Z is None else "auto"
    name, method = choose_solver(solver, measure, leaves, penalized, norms)
    with Workers(threads or execution.threads) as workers:
        given = as_given(X)
        if not isinstance(given, np.ndarray):
            _require_whole(given, measure.beta, solver, start, sparsity, others)
        if weights is not None:
            weights = check_entries("weights", weights, given.shape)
            given = np.where(weights > 0, given, given.dtype.type(0))
        # With a start at hand, a matrix that lies in memory bin by bin is solved as its transpose, which saves a copy.
        if isinstance(given, np.ndarray):
            turned = given_start and restarts == 1 and given.flags.c_contiguous
        else:  # as one that lies in a file row by row is, which saves reading it across
            turned = isinstance(given, Rows) and not given.flipped
        Xt, unit, silent = prepare(given if turned else given.T, workers, keep_level=given_start)
        Xt = raise_floor(Xt, measure.beta)
        shapes = {"W": (given.shape[0], k), "Z": (k, given.shape[1])}
        problem = Problem(
            measure,
            frozenset(fixed) - set(masks),
            sparsity,
            smoothness,
            level=float(Xt.sum(dtype=np.float64)) / (len(Xt) * k) if smoothness else 1.0,
            anchor=None if anchor is None else anchor.in_units(unit, measure.beta, Xt, k),
            weights=None if weights is None else np.ascontiguousarray(weights.T, Xt.dtype),
            held=_by_factor("fixed entries", masks, shapes, bool),
            costs=_by_factor("costs", costs or {}, shapes, Xt.dtype),
            l1=norm_in_units(l1, given.shape, unit, measure.beta, 1),
            l2=norm_in_units(l2, given.shape, unit, measure.beta, 2),
        )
        if start == "auto":
            start = "nndsvd" if method.fills else "nndsvda"
        begin = _start(Xt.T if turned else Xt, k, unit, start, W, Z, np.random.default_rng(seed))
        if restarts > 1:
            begin = _race(Xt, k, begin, restarts, seed, problem, method, workers, execution.compiled_from)
        warnings = _warnings(begin, silent, held)
        templates = begin.W
        if smoothness:  # which is reckoned with templates of unit sum
            begin = begin.normalize()
        if turned:
            begin, problem = begin.transpose(), problem.transpose()
        every = execution.loss_every or (10 if tol > 0 or callback is not None else max(1, max_iter))
        stop, in_units = Stop(max_iter, tol, time_limit, every), callback_in_units(callback, unit, measure.beta)
        result = fit(Xt, begin, problem, method, stop, workers, in_units, execution.compiled_from)
    factors = result.factors.transpose() if turned else result.factors
    if smoothness and "W" in fixed:  # back to the templates as they were given
        sums = templates.sum(axis=0)
        factors = Factors(templates, factors.Z / np.where(sums > 0, sums, 1)[:, None])
    result = replace(result, factors=factors, solver=name, warnings=warnings).in_units(unit, measure.beta)
    return result if held or norms else replace(result, factors=result.factors.normalize())


def norm_in_units(
    norm: float | Mapping[str, float], shape: tuple[int, ...], unit: Any, beta: float, power: int
) -> dict[str, float]:
    """Return the weights of l1 (power 1) or l2 (power 2) for X of that shape, and so Z, divided by a unit."""
    if not isinstance(norm, Mapping):
        norm = {"W": shape[1] * norm, "Z": shape[0] * norm}
    if not norm.keys() <= {"W", "Z"}:
        raise UsageError(f"only 'W' and 'Z' can have l{power}, not {min(norm.keys() - {'W', 'Z'})!r}")
    return {name: weight * float(unit) ** (power * (name == "Z") - beta) for name, weight in norm.items() if weight}


def _require_whole(given: Any, beta: float, solver: str, start: str, sparsity: float, others: bool) -> None:
    """Raise UsageError where a matrix that is sparse, or read in blocks, cannot be factorized so."""
    what = "read in blocks" if isinstance(given, Rows) else "sparse"
    if what == "sparse" and beta not in (1, 2):
        raise UsageError(f"a sparse X is for divergences kl and frobenius, not beta {beta:g}", "give it as an array")
    if solver != "auto" and SOLVERS.resolve(solver) == "pinv":
        raise UsageError(f"solver {solver!r} takes no X that is {what}", "use solver mue, or ehals for beta 2")
    if start not in APART:
        raise UsageError(f"start {start!r} takes no X that is {what}", f"use {', '.join(APART[1:])}")
    if others:
        raise UsageError(f"an X that is {what} knows no smoothness, anchors, weights, costs or held entries")
    if sparsity and what != "sparse" and not given.flipped:
        message = "sparsity needs an X whose columns lie together in the file"
        raise UsageError(message, "save it with numpy.asfortranarray, or use l1")


def _by_factor(
    what: str, given: Mapping[str, ArrayLike], shapes: Mapping[str, tuple[int, int]], dtype: Any
) -> dict[str, Any]:
    """Return arrays over the entries of W or of Z, checked and transposed, as the kernels take them."""
    if not given.keys() <= shapes.keys():
        raise UsageError(f"only 'W' and 'Z' can have {what}, not {min(given.keys() - shapes.keys())!r}")
    checked = {
        name: check_entries(f"{what} of {name}", each, shapes[name], dtype is bool) for name, each in given.items()
    }
    return {name: np.ascontiguousarray(each.T, dtype) for name, each in checked.items()}


def _start(
    Xt: Matrix, k: int, unit: Any, start: str, W: ArrayLike | None, Z: ArrayLike | None, rng: np.random.Generator
) -> Factors:
    frames, bins = Xt.shape
    if W is None and Z is None:
        factors: Factors = STARTS.load(start)(Xt, k, rng)
        return factors
    w = None if W is None else np.asarray(W, dtype=Xt.dtype)
    z = None if Z is None else np.asarray(Z, dtype=Xt.dtype) / unit
    # without the other factor, a start of equal entries, at which W Z has the mean of X
    if w is None:
        assert z is not None
        mean, level = Xt.mean(dtype=np.float64), z.mean(dtype=np.float64) * k
        w = np.full((bins, k), mean / level if 0 < level < np.inf else 1 / bins)
        w *= 0.5 + rng.random(w.shape)  # columns that start equal stay equal, so they must differ
    if z is None:
        z = np.full((k, frames), Xt.mean(dtype=np.float64) / max(w.mean(dtype=np.float64) * k, 1e-30))
    for name, factor, shape in (("W", w, (bins, k)), ("Z", z, (k, frames))):
        if factor.shape != shape:
            raise UsageError(f"{name} has shape {factor.shape}, not {shape}")
        if not np.isfinite(factor).all() or factor.min() < 0:
            raise UsageError(f"{name} holds negative, NaN or infinite entries")
    return Factors(w.astype(Xt.dtype, copy=False), z.astype(Xt.dtype, copy=False))


def _race(
    Xt: Matrix,
    k: int,
    first: Factors,
    entrants: int,
    seed: int,
    problem: Problem,
    solver: Solver,
    workers: Workers,
    compiled_from: int,
) -> Factors:
    """Let several starts run RACE iterations each; return the winner where it stands."""

    def run(index: int) -> Fit:
        begin = first if index == 0 else STARTS.load("random")(Xt, k, np.random.default_rng([seed, index]))
        begin = begin.normalize() if problem.smoothness else begin
        return fit(Xt, begin, problem, solver, Stop(RACE, 0, None, RACE), workers, None, compiled_from)

    return min(map(run, range(entrants)), key=lambda each: each.losses[-1]).factors


def _warnings(begin: Factors, silent: bool, held: bool) -> tuple[str, ...]:
    k, rank = begin.components, min(len(begin.W), begin.Z.shape[1])
    if silent:
        return (SILENT,)
    if held or k <= rank:  # components that are given need not be learned, so there may be any number
        return ()
    rest = "" if begin.Z.any(axis=1).all() else "; the others are silent"
    return (f"{k} components are more than the {rank} that can differ here{rest}",)
