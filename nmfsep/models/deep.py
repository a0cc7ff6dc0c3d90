"""Deep NMF and Deep Semi-NMF: parts made of parts, X ≈ W_1 W_2 … W_L Z."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UsageError
from ..kernels.divergence import Divergence, as_divergence, frobenius
from ..kernels.factors import Factors, Matrix
from ..kernels.threads import Workers
from ..nmf.factorize import factorize
from ..nmf.fit import Callback, Fit, Stop, fit, told_in_units
from ..nmf.prepare import as_matrix, check_count, prepare, raise_floor
from ..nmf.problem import Problem
from ..settings.fields import MAX_ITER, TOL
from .chain import Chain
from .semi import semi_nmf


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

    @property
    def levels(self) -> tuple[int, ...]:
        """Number of parts at each level, the finest first."""
        return tuple(layer.shape[1] for layer in self.layers)

    @property
    def factors(self) -> Factors:
        """Factors of the coarsest level."""
        return self.level(len(self.layers))

    def level(self, level: int) -> Factors:
        """Return W = W_1 … W_l, (bins, levels[l - 1]), and Z = W_{l+1} … W_L Z; the product is the same at every level.

        Raises
        ------
        UsageError
            There is no such level.
        """
        self._check(level, len(self.layers))
        W, Z = self.layers[0], self.Z
        for layer in self.layers[1:level]:
            W = W @ layer
        for layer in reversed(self.layers[level:]):
            Z = layer @ Z
        return Factors(W, Z)

    def shares(self, level: int) -> Matrix:
        """Return how much each part of a level is used by each of the next, (levels[l - 1], levels[l]); rows sum to 1.

        The share of part i that goes to j is W_ij ‖z_j‖₁ / sum_j W_ij ‖z_j‖₁, of absolute entries: of all of the
        activation of i, that which is there on behalf of j. It does not depend on how W and Z are scaled. A part that
        is silent is shared evenly.
        """
        self._check(level, len(self.layers) - 1)
        use = np.abs(self.layers[level]) * np.abs(self.level(level + 1).Z).sum(axis=1)
        total = use.sum(axis=1, keepdims=True)
        shares: Matrix = np.where(total > 0, use / np.where(total > 0, total, 1), 1 / use.shape[1])
        return shares

    def parents(self, level: int) -> NDArray[np.intp]:
        """Return for each part of a level the part of the next that has most of it, (levels[l - 1],): the tree."""
        parents: NDArray[np.intp] = self.shares(level).argmax(axis=1)
        return parents

    @property
    def tree(self) -> list[list[int]]:
        """For each level but the last, `parents`."""
        return [self.parents(level).tolist() for level in range(1, len(self.layers))]

    def parts(self, level: int | None = None) -> tuple[Factors, list[list[int]]]:
        """Return the factors of the finest level, and which of its parts belong to each part of another by the tree.

        Unlike the components of `level`, parts of a coarse level are then sums of those of the finer ones. One that is
        nobody's parent has none. Where W_2 … W_L have negative entries parts cancel rather than add up: then these are
        the components of `level`.

        Parameters
        ----------
        level : int, optional
            The coarsest if not given.
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

    W_1 … W_L is one more matrix of levels[-1] columns, so that no deep model fits better than `factorize` could with as
    many components. What it adds is what each of them is made of.

    Parameters
    ----------
    X : array_like, shape (bins, frames)
        Finite and non-negative; never written to. float64 is computed in float64, all else in float32.
    levels : sequence of int
        Parts at each level, fewer from one to the next, such as (40, 12, 4).
    divergence : str, float or Divergence, default "kl"
        As in `factorize`.
    start : str, default "auto"
        Of every level, as in `factorize`.
    max_iter : int, default 200
        Iterations of each level, and of the refinement, at the most.
    tol : float, default 1e-4
        Of each level and of the refinement, as in `factorize`.
    time_limit : float, optional
        Seconds, for all together.
    seed : int, default 0
    callback : callable, optional
        Called as callback(iteration, loss), counted on from stage to stage, with the loss of the stage; a true result
        ends the stage.
    threads : int, optional
        All cores if not given; never changes the result.

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

    def one_level(Y: ArrayLike, k: int, **options: Any) -> Fit:
        return factorize(Y, k, divergence=measure, start=start, **options)

    problem, name = Problem(measure), "hals" if measure.beta == 2 else "mu"
    return _deep(X, levels, one_level, problem, name, max_iter, tol, time_limit, seed, callback, threads)


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
        Finite; never written to. Computed in float64, whatever its type, since parts that may be negative can grow and
        cancel.
    levels : sequence of int
        Parts at each level, fewer from one to the next.
    free : {"W", "Z"}, default "W"
        What may be negative.
    solver, start : str
        Of every level, as in `semi_nmf`; the refinement has its own.
    max_iter, tol, time_limit, seed, callback, threads
        As in `deep_nmf`.

    Returns
    -------
    DeepFit

    Raises
    ------
    UsageError
        X is not a finite matrix, levels grow, or a name is unknown.
    """

    def one_level(Y: ArrayLike, k: int, **options: Any) -> Fit:
        return semi_nmf(Y, k, free=free, solver=solver, start=start, **options)

    if free not in ("W", "Z"):
        raise UsageError(f"free must be 'W' or 'Z', not {free!r}")
    problem = Problem(frobenius, free=frozenset({free}))
    return _deep(
        as_matrix(X).astype(np.float64),
        levels,
        one_level,
        problem,
        "hals",
        max_iter,
        tol,
        time_limit,
        seed,
        callback,
        threads,
    )


def _deep(
    X: ArrayLike,
    levels: Sequence[int],
    one_level: Callable[..., Fit],
    problem: Problem,
    name: str,
    max_iter: int,
    tol: float,
    time_limit: float | None,
    seed: int,
    callback: Callback | None,
    threads: int | None,
) -> DeepFit:
    levels = _checked(levels)
    given = as_matrix(X)
    ends = None if time_limit is None else time.monotonic() + time_limit
    beta, done = problem.divergence.beta, 0

    def rest() -> float | None:
        return None if ends is None else max(0.0, ends - time.monotonic())

    def told() -> Callback | None:
        before = done
        return None if callback is None else lambda iteration, loss: callback(before + iteration, loss)

    pretraining: list[Fit] = []
    for k in levels:
        matrix = pretraining[-1].factors.Z if pretraining else given
        options = {"max_iter": max_iter, "tol": tol, "time_limit": rest(), "seed": seed, "threads": threads}
        pretraining.append(one_level(matrix, k, callback=told(), **options))
        done += pretraining[-1].n_iter
    with Workers(threads) as workers:
        Xt, unit, _ = prepare(given.T, workers, signed=bool(problem.free))
        Xt = raise_floor(Xt, beta)
        W, *between = (stage.factors.W for stage in pretraining)
        chain = Chain(between, pretraining[-1].factors.Z / unit)
        Z = chain.Zt.T
        for factor in reversed(between):
            Z = factor @ Z
        stop = Stop(max_iter, tol, rest())
        result = fit(Xt, Factors(W, Z), problem, chain, stop, workers, told_in_units(told(), unit, beta))
    layers, Z = _normalized([result.factors.W, *chain.between], chain.Zt.T)
    result = replace(result.in_units(unit, beta), solver=name, warnings=pretraining[0].warnings)
    return DeepFit(
        layers,
        Z * unit,
        result.losses,
        result.evaluated,
        result.n_iter,
        result.converged,
        result.solver,
        result.warnings,
        tuple(pretraining),
    )


def _checked(levels: Sequence[int]) -> tuple[int, ...]:
    if isinstance(levels, (str, bytes)) or not np.iterable(levels) or not len(levels):
        raise UsageError(f"levels must be a list of numbers of parts, such as 40, 12, 4, not {levels!r}")
    for k in levels:
        check_count("each level", k)
    for finer, coarser in itertools.pairwise(levels):
        if coarser >= finer:
            shown = ", ".join(str(k) for k in levels)
            raise UsageError(f"levels must have fewer parts from one to the next, not {shown}", "start with the finest")
    return tuple(int(k) for k in levels)


def _normalized(layers: Sequence[Matrix], Z: Matrix) -> tuple[tuple[Matrix, ...], Matrix]:
    """Make the absolute entries of every column sum to 1; the scale goes on into what stands after it, in the end Z."""
    done: list[Matrix] = []
    for layer, following in zip(layers, [*layers[1:], Z], strict=True):
        pair = Factors(done.pop() if done else layer, following).normalize()
        done += [pair.W, pair.Z]
    return tuple(done[:-1]), done[-1]
