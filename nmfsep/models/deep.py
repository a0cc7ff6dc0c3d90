"""Deep NMF and Deep Semi-NMF: parts made of parts, X ≈ W_1 W_2 … W_L Z, level by level first and then jointly."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UsageError
from ..kernels.divergence import Divergence, as_divergence, frobenius
from ..kernels.product import EPS, Factors, Matrix, keep_positive, sweep
from ..kernels.threads import Workers
from ..nmf.factorize import factorize
from ..nmf.fit import Callback, Fit, Stop, brief, callback_in_units, fit
from ..nmf.prepare import as_matrix, check_count, prepare, raise_floor
from ..nmf.problem import Problem
from ..nmf.solvers import Solver, State
from ..nmf.solvers.hals import W_SWEEPS, Z_SWEEPS
from ..nmf.solvers.mu import exponent, nesterov
from ..nmf.solvers.pinv import pseudo_inverse, solve
from ..settings.fields import MAX_ITER, TOL
from .semi import semi_nmf

ROUNDS = 10  # gradient steps on a small matrix, each cheap next to a product with X


@dataclass(frozen=True, slots=True)
class DeepFit:
    """The result of a deep factorization. Levels count from 1, the finest, to L, the coarsest.

    Attributes
    ----------
    layers : tuple of ndarray
        W_1, shape (bins, levels[0]), W_2, shape (levels[0], levels[1]), and so on to W_L; the absolute entries of each
        column sum to 1.
    Z : ndarray, shape (levels[-1], frames)
        Activations of the coarsest parts, in the units of X.
    losses, evaluated, n_iter, converged, solver, warnings
        Of the joint refinement, as in `Fit`; the first loss is where the pretraining ends.
    pretraining : tuple of Fit
        The factorizations of one level each that it started from.
    """

    layers: tuple[Matrix, ...]
    Z: Matrix
    losses: tuple[float, ...]
    evaluated: tuple[int, ...]
    n_iter: int
    converged: bool
    solver: str
    warnings: tuple[str, ...]
    pretraining: tuple[Fit, ...]

    def __repr__(self) -> str:
        """Return it in a line."""
        return brief(self)

    @property
    def levels(self) -> tuple[int, ...]:
        """Number of parts at each level, the finest first."""
        return tuple(layer.shape[1] for layer in self.layers)

    @property
    def factors(self) -> Factors:
        """Factors of the coarsest level."""
        return self.level(len(self.layers))

    def level(self, level: int) -> Factors:
        """Return W = W_1 … W_l, (bins, levels[l - 1]), and Z = W_{l+1} … W_L Z, whose product every level shares.

        Raises
        ------
        UsageError
            There is no such level.
        """
        self._check(level, len(self.layers))
        W = functools.reduce(np.matmul, self.layers[:level])
        return Factors(W, _times(self.layers[level:], self.Z))

    def shares(self, level: int) -> Matrix:
        """Return how much each part of a level is used by each of the next, (levels[l - 1], levels[l]); rows sum to 1.

        The share of part i that goes to j is W_ij ‖z_j‖₁ / sum_j W_ij ‖z_j‖₁, of absolute entries: what there is of the
        activation of i on behalf of j, however W and Z are scaled. A part that is silent is shared evenly.
        """
        self._check(level, len(self.layers) - 1)
        use = np.abs(self.layers[level]) * np.abs(self.level(level + 1).Z).sum(axis=1)
        total = use.sum(axis=1, keepdims=True)
        return np.asarray(np.where(total > 0, use / np.where(total > 0, total, 1), 1 / use.shape[1]))

    def parents(self, level: int) -> NDArray[np.intp]:
        """Return for each part of a level the part of the next that has most of it, (levels[l - 1],): the tree."""
        return np.asarray(self.shares(level).argmax(axis=1))

    @property
    def tree(self) -> list[list[int]]:
        """For each level but the last, `parents`."""
        return [self.parents(level).tolist() for level in range(1, len(self.layers))]

    def parts(self, level: int | None = None) -> tuple[Factors, list[list[int]]]:
        """Return the factors of the finest level, and which of its parts belong to each part of another, or the last.

        By the tree, unlike the components of `level`, parts of a coarse level are sums of those of the finer ones; one
        that is nobody's parent has none. Where W_2 … W_L have negative entries parts cancel rather than add up: then
        these are the components of `level`.
        """
        level = len(self.layers) if level is None else level
        self._check(level, len(self.layers))
        if min((float(layer.min()) for layer in self.layers[1:]), default=0.0) < 0:
            return self.level(level), [[part] for part in range(self.levels[level - 1])]
        owners = np.arange(self.levels[0])
        for parents in self.tree[: level - 1]:
            owners = np.asarray(parents)[owners]
        return self.level(1), [np.flatnonzero(owners == part).tolist() for part in range(self.levels[level - 1])]

    def ordered(self) -> DeepFit:
        """Return the same fit with the parts of every level in order of energy, loudest first."""
        orders = [np.argsort(-self.level(n + 1).energies(), kind="stable") for n in range(len(self.layers))]
        layers = [layer[:, order] for layer, order in zip(self.layers, orders, strict=True)]
        below = [layer[order] for layer, order in zip(layers[1:], orders, strict=False)]
        return replace(self, layers=(layers[0], *below), Z=self.Z[orders[-1]])

    def _check(self, level: int, last: int) -> None:
        if not isinstance(level, (int, np.integer)) or not 1 <= level <= last:
            raise UsageError(f"there is no level {level!r} here", f"levels go from 1 to {last}" if last else None)


def deep_nmf(
    X: ArrayLike,
    levels: Sequence[int],
    *,
    divergence: str | float | Divergence = "kl",
    start: str = "auto",
    max_iter: int = MAX_ITER,
    tol: float = TOL,
    time_limit: float | None = None,
    seed: int = 0,
    callback: Callback | None = None,
    threads: int | None = None,
) -> DeepFit:
    """Factorize a non-negative matrix in levels, X ≈ W_1 W_2 … W_L Z with all factors non-negative.

    Level by level first, Z of one being the matrix of the next; then all factors jointly, by turns, so that the loss
    never rises (Trigeorgis, Bousmalis, Zafeiriou & Schuller, "A deep matrix factorization method for learning attribute
    representations", IEEE TPAMI 39(3), 2017, with every factor non-negative; the layers are those of Cichocki & Zdunek,
    "Multilayer nonnegative matrix factorisation", Electronics Letters 42(16), 2006).

    No deep model fits better than `factorize` could with levels[-1] components; it adds what each of them is made of.

    Parameters
    ----------
    X : array_like, shape (bins, frames)
    divergence, seed, threads
        As in `factorize`.
    levels : sequence of int
        Parts at each level, fewer from one to the next, such as (40, 12, 4).
    start, max_iter, tol
        Of each level, the latter two also of the refinement, as in `factorize`.
    time_limit : float, optional
        Seconds, for all together.
    callback : callable, optional
        Called as callback(iteration, loss), counted on from stage to stage, with the loss of the stage; a true result
        ends the stage.

    Returns
    -------
    DeepFit

    Raises
    ------
    UsageError
        X is not a finite non-negative matrix, levels grow, or a name is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from nmfsep import deep_nmf
    >>> rng = np.random.default_rng(0)
    >>> X = rng.random((20, 6)) @ rng.random((6, 2)) @ rng.random((2, 30))
    >>> fit = deep_nmf(X, (6, 2), tol=0)
    >>> fit.level(1).W.shape, fit.level(2).W.shape, fit.parents(1).shape
    ((20, 6), (20, 2), (6,))
    """
    measure = as_divergence(divergence)
    one_level = functools.partial(factorize, divergence=measure, start=start)
    name = "hals" if measure.beta == 2 else "mu"
    return _deep(X, levels, one_level, Problem(measure), name, Stop(max_iter, tol, time_limit), seed, callback, threads)


def deep_semi_nmf(
    X: ArrayLike,
    levels: Sequence[int],
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
) -> DeepFit:
    """Factorize a matrix of any sign in levels, X ≈ W_1 W_2 … W_L Z, minimising half the squared error.

    With `free` "W", all W_l may be negative and Z is not: Deep Semi-NMF with samples in columns (Trigeorgis et al.
    2017). Z of the levels before the last, W_{l+1} … W_L Z, is non-negative in the pretraining only. With "Z", all W_l
    are non-negative and Z is free: parts of parts, with signed features of the coarsest.

    Parameters
    ----------
    X : array_like, shape (bins, frames)
        Finite; never written to. Computed in float64, since parts that may be negative can grow and cancel.
    free : {"W", "Z"}, default "W"
        What may be negative.
    solver, start : str
        Of every level, as in `semi_nmf`; the refinement has its own.
    levels, max_iter, tol, time_limit, seed, callback, threads
        As in `deep_nmf`.

    Returns
    -------
    DeepFit

    Raises
    ------
    UsageError
        X is not a finite matrix, levels grow, or a name is unknown.
    """
    if free not in ("W", "Z"):
        raise UsageError(f"free must be 'W' or 'Z', not {free!r}")
    one_level = functools.partial(semi_nmf, free=free, solver=solver, start=start)
    given, problem = as_matrix(X).astype(np.float64), Problem(frobenius, free=frozenset({free}))
    return _deep(given, levels, one_level, problem, "hals", Stop(max_iter, tol, time_limit), seed, callback, threads)


def _deep(
    X: ArrayLike,
    levels: Sequence[int],
    one_level: Callable[..., Fit],
    problem: Problem,
    name: str,
    stop: Stop,
    seed: int,
    callback: Callback | None,
    threads: int | None,
) -> DeepFit:
    """Fit each level to Z of the one before, then all factors jointly."""
    _check_levels(levels)
    given = as_matrix(X)
    ends = None if stop.time_limit is None else time.monotonic() + stop.time_limit
    beta, done = problem.divergence.beta, 0

    def rest() -> float | None:
        return None if ends is None else max(0.0, ends - time.monotonic())

    def counted_on() -> Callback | None:
        before = done
        return None if callback is None else lambda iteration, loss: callback(before + iteration, loss)

    stages: list[Fit] = []
    for k in levels:
        matrix = stages[-1].factors.Z if stages else given
        limits: dict[str, Any] = {"max_iter": stop.max_iter, "tol": stop.tol, "time_limit": rest()}
        stages.append(one_level(matrix, int(k), seed=seed, threads=threads, callback=counted_on(), **limits))
        done += stages[-1].n_iter
    with Workers(threads) as workers:
        Xt, unit, _ = prepare(given.T, workers, signed=bool(problem.free))
        Xt = raise_floor(Xt, beta)
        W, *between = (stage.factors.W for stage in stages)
        chain = Chain(between, stages[-1].factors.Z / unit)
        start, stop = Factors(W, _times(between, chain.Zt.T)), replace(stop, time_limit=rest())
        result = fit(Xt, start, problem, chain, stop, workers, callback_in_units(counted_on(), unit, beta))
    layers, Z = _normalized([result.factors.W, *chain.between], chain.Zt.T)
    result = result.in_units(unit, beta)
    history = {field: getattr(result, field) for field in ("losses", "evaluated", "n_iter", "converged")}
    return DeepFit(layers, Z * unit, **history, solver=name, warnings=stages[0].warnings, pretraining=tuple(stages))


def _check_levels(levels: Sequence[int]) -> None:
    if isinstance(levels, (str, bytes)) or not np.iterable(levels) or not len(levels):
        raise UsageError(f"levels must be a list of numbers of parts, such as 40, 12, 4, not {levels!r}")
    for k in levels:
        check_count("each level", k)
    if any(coarser >= finer for finer, coarser in itertools.pairwise(levels)):
        shown = ", ".join(map(str, levels))
        raise UsageError(f"levels must have fewer parts from one to the next, not {shown}", "start with the finest")


def _times(layers: Sequence[Matrix], Z: Matrix) -> Matrix:
    """Return the product of layers and Z, from the right."""
    return functools.reduce(lambda product, layer: layer @ product, reversed(layers), Z)


def _normalized(layers: Sequence[Matrix], Z: Matrix) -> tuple[tuple[Matrix, ...], Matrix]:
    """Make the absolute entries of every column sum to 1; the scale goes on into what stands after it, in the end Z."""
    done, *rest = layers[0], *layers[1:], Z
    out = []
    for following in rest:
        pair = Factors(done, following).normalize()
        out.append(pair.W)
        done = pair.Z
    return tuple(out), done


class Chain(Solver):
    """Each factor in its turn, with the products before and after it held; Z of the state is itself W_2 … W_L Z_L.

    `between`, W_2 to W_L, and `Zt`, Z_L transposed, are its parts, copied from the start.

    For beta 2, W_1 and Z are updated as in `hals`, and a factor between them by projected gradient steps with
    Nesterov's momentum (Guan, Tao, Luo & Yuan, "NeNMF", IEEE TSP 60(6), 2012), taken back where the loss would rise; a
    factor that is free is solved for (Trigeorgis et al. 2017). For other betas, each is updated as in `mu`: a factor
    between two others is one more non-negative factor to the majorisation, of the matrix of all products of their
    entries.
    """

    def __init__(self, between: Sequence[Matrix], Z: Matrix) -> None:
        self.between = [factor.copy() for factor in between]
        self.Zt = np.array(Z.T, order="C", copy=True)

    def start(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Solve for Z if it is free: the levels before did so each in a metric of its own."""
        if "Z" in problem.free:
            self._solve_activations(Xt, self._product().T @ state.Wt, solve)
            state.Zt[:] = self.Zt @ self._product().T

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Update W_1, W_2 and so on to Z."""
        if problem.divergence.beta == 2:
            self._squares(Xt, state, problem)
        else:
            self._multiply(Xt, state, problem)
        state.Zt[:] = self.Zt @ self._product().T

    def _product(self, first: int = 0) -> Matrix:
        """Return what stands between the components of level `first` + 1 and those of the last."""
        return _times(self.between[first:], np.eye(self.Zt.shape[1], dtype=self.Zt.dtype))

    def _solve_activations(self, Xt: Matrix, At: Matrix, update: Callable[[Matrix, Matrix, Matrix], None]) -> None:
        Z = np.ascontiguousarray(self.Zt.T)
        update(At @ Xt.T, At @ At.T, Z)
        self.Zt[:] = Z.T

    def _squares(self, Xt: Matrix, state: State, problem: Problem) -> None:
        free = "W" in problem.free
        At, C = state.Wt, self._product()
        # products with X are those of Z alone: what stands before Z is small, and multiplies them
        last = C.T @ At
        P, G = state.kernels.hals_pass(Xt, last, self.Zt, 0, state.workers)
        if free:
            solve(C @ P, C @ G @ C.T, At)
        else:
            sweep(C @ P, C @ G @ C.T, At, W_SWEEPS)
        for index, factor in enumerate(self.between):
            C = self._product(index + 1)
            gram, after, cross = At @ At.T, C @ G @ C.T, At @ (C @ P).T
            if free:
                rest = cross - gram.astype(np.float64) @ factor @ after
                factor += (pseudo_inverse(gram) @ rest @ pseudo_inverse(after)).astype(factor.dtype)
            else:
                descend_between(cross, gram, after, factor)
            At = factor.T @ At
        self._solve_activations(Xt, At, solve if "Z" in problem.free else functools.partial(sweep, sweeps=Z_SWEEPS))

    def _multiply(self, Xt: Matrix, state: State, problem: Problem) -> None:
        measure, kernels, workers = problem.divergence, state.kernels, state.workers
        gamma, eps = exponent(measure.beta), Xt.dtype.type(EPS)
        N, D = kernels.mm_statistics(Xt, state.Wt, state.Zt, measure, workers)
        state.Wt *= (N / (D + eps)) ** gamma
        keep_positive(state.Wt)
        At = state.Wt
        for index, factor in enumerate(self.between):
            after = self.Zt @ self._product(index + 1).T
            N, D = kernels.mm_statistics(Xt, factor.T @ At, after, measure, workers)
            D = np.broadcast_to(D, N.shape)
            factor *= ((At @ N.T) / (At @ D.T + eps)) ** gamma
            keep_positive(factor)
            At = factor.T @ At
        kernels.mm_activations(Xt, At, self.Zt, measure, gamma, workers)


def descend_between(P: Matrix, before: Matrix, after: Matrix, M: Matrix) -> None:
    """Lower ‖X - A M B‖² over M >= 0 in place, P = Aᵀ X Bᵀ, `before` = Aᵀ A and `after` = B Bᵀ; it never rises.

    Columns of A and rows of B are brought to unit length first, without which one step would not suit them all.
    """
    lengths = [np.sqrt(np.maximum(np.diag(G).astype(np.float64), 0)) for G in (before, after)]
    rows, columns = (np.where(length > 0, length, 1) for length in lengths)
    scale = np.outer(rows, columns)
    cross, left, right = P / scale, before / np.outer(rows, rows), after / np.outer(columns, columns)
    steepest = float(np.linalg.norm(left, 2) * np.linalg.norm(right, 2))
    if steepest == 0:
        return

    def value(A: Matrix) -> float:
        return float(np.vdot(A, 0.5 * (left @ A @ right) - cross))

    current = M * scale
    ahead, lowest, t = current, value(current), 1.0
    for _ in range(ROUNDS):
        moved = np.maximum(ahead - (left @ ahead @ right - cross) / steepest, 0)
        found = value(moved)
        if found > lowest:  # momentum went too far: on from the best point without it
            ahead, t = current, 1.0
            continue
        t, weight = nesterov(t)
        ahead = moved + weight * (moved - current)
        current, lowest = moved, found
    M[:] = current / scale
