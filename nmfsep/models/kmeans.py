"""Clustering as factorization: k-means, whose Z is one-hot, and its relaxation, orthogonal NMF."""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from ..kernels.divergence import frobenius
from ..kernels.product import Factors, Matrix
from ..kernels.threads import Workers, spans, tiles
from ..nmf.fit import SILENT, Callback, Fit, Stop, callback_in_units, fit
from ..nmf.prepare import as_matrix, check_count, prepare
from ..nmf.problem import Problem
from ..nmf.solvers import Solver, State
from ..nmf.starts import plus_plus
from ..settings.fields import MAX_ITER

TILE = 256  # frames at a time


class Clusters(Solver):
    """Each frame to its best template, then each template to the best of its frames; neither can raise the loss.

    A template without frames takes the frame that is explained worst.
    """

    betas = frozenset({2.0})
    fills = True

    @abstractmethod
    def scores(self, products: Matrix, energies: Matrix) -> tuple[Matrix, Matrix]:
        """Return by how much each template lowers a frame's squared error, and the activation that does so.

        `products` are those of frames and templates, (frames, components), `energies` the templates' sums of squares.
        """

    def start(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Give each frame its template, so that the first loss is that of the templates."""
        state.memory = np.einsum("tf,tf->t", Xt, Xt)
        self._assign(Xt, state)

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Assign every frame, then move every template to the mean of its frames, weighted by Z."""
        self._revive(Xt, state, self._assign(Xt, state))
        P, G = state.kernels.hals_pass(Xt, state.Wt, state.Zt, 0, state.workers)
        weights = np.diag(G)
        alive = weights > 0
        state.Wt[alive] = P[alive] / weights[alive, None]

    def _assign(self, Xt: Matrix, state: State) -> Matrix:
        """Set Zt, and return the squared error that is left of each frame."""
        energies = np.einsum("kf,kf->k", state.Wt, state.Wt)
        W = np.ascontiguousarray(state.Wt.T)
        left: Matrix = np.empty_like(state.memory)

        def part(span: range) -> None:
            for frames in tiles(span):
                gains, values = self.scores(Xt[frames] @ W, energies)
                best = np.argmax(gains, axis=1)[:, None]
                state.Zt[frames] = 0
                np.put_along_axis(state.Zt[frames], best, np.take_along_axis(values, best, axis=1), axis=1)
                left[frames] = state.memory[frames] - np.take_along_axis(gains, best, axis=1)[:, 0]

        state.workers.map(part, spans(len(Xt), TILE))
        return left

    def _revive(self, Xt: Matrix, state: State, left: Matrix) -> None:
        dead = np.flatnonzero(~state.Zt.any(axis=0))
        if not len(dead):
            return
        floor = 10 * float(np.finfo(Xt.dtype).eps) * float(state.memory.max(initial=0))  # below it, all is rounding
        worst = np.argsort(-left, kind="stable")[: len(dead)]
        for k, t in zip(dead, worst, strict=False):
            if left[t] > floor:
                state.Zt[t] = 0
                state.Zt[t, k] = 1


class KMeans(Clusters):
    """The nearest template, as it is: Lloyd's algorithm."""

    def scores(self, products: Matrix, energies: Matrix) -> tuple[Matrix, Matrix]:
        """‖x‖² - ‖x - w‖², and 1."""
        return 2 * products - energies, np.ones_like(products)


class Orthogonal(Clusters):
    """The template that points most nearly the same way, scaled."""

    def scores(self, products: Matrix, energies: Matrix) -> tuple[Matrix, Matrix]:
        """‖x‖² - min ‖x - z w‖² over z >= 0, and that z."""
        forward = np.maximum(products, 0)
        values = np.divide(forward, energies, out=np.zeros_like(products), where=energies > 0)
        return values * forward, values


def k_means(
    X: ArrayLike,
    k: int,
    *,
    restarts: int = 10,
    max_iter: int = MAX_ITER,
    tol: float = 1e-6,
    time_limit: float | None = None,
    seed: int = 0,
    callback: Callback | None = None,
    threads: int | None = None,
) -> Fit:
    """Cluster the columns of a matrix: minimise ½ ‖X - C Bᵀ‖² over centres C and one-hot B.

    The sum of squared distances to the nearest centre, written as a factorization: W = C, Z = Bᵀ (Bauckhage, "k-means
    clustering is matrix factorization", arXiv 1512.07548). Lloyd's algorithm from k-means++ starts (Arthur &
    Vassilvitskii, SODA 2007).

    Parameters
    ----------
    X : array_like, shape (bins, frames)
        Finite, of any sign; never written to. float64 is computed in float64, all else in float32.
    k : int
        Clusters.
    restarts : int, default 10
        Starts, of which each runs to its end; the best is returned.
    max_iter : int, default 200
        Iterations of each start at the most.
    tol (default 1e-6), seed, threads
        As in `factorize`.
    time_limit : float, optional
        Seconds, for all starts together.
    callback : callable, optional
        Called as callback(iteration, loss), counted on from start to start; a true result ends the search.

    Returns
    -------
    Fit
        W holds the centres, each the mean of its frames; Z is 0 but for a 1 in every column. Losses are half the
        inertia.

    Raises
    ------
    UsageError
        X is not a finite matrix.

    Examples
    --------
    >>> from nmfsep import k_means
    >>> k_means([[0.0, 1, 10, 11, 0.5]], 2).factors.Z.argmax(axis=0)[[0, 1, 4]].tolist() in ([0] * 3, [1] * 3)
    True
    """
    check_count("k", k)
    check_count("restarts", restarts)
    with Workers(threads) as workers:
        Xt, unit, silent = prepare(as_matrix(X).T, workers, signed=True)
        middle = Xt.mean(axis=0, dtype=np.float64).astype(Xt.dtype)
        low, high = Xt.min(axis=0), Xt.max(axis=0)
        Xt = Xt - middle  # distances do not depend on the origin, their rounding does
        stop, in_units = Stop(max_iter, tol, time_limit, 1), callback_in_units(callback, unit, 2)
        best = _search(Xt, k, KMeans(), restarts, stop, seed, workers, in_units)
    centres = np.clip(best.factors.W.T + middle, low, high).T  # where means lie, but for rounding
    factors = Factors(centres * unit, best.factors.Z)  # the unit belongs to W here, since Z is one-hot
    return replace(best.in_units(unit, 2), factors=factors, solver="kmeans", warnings=_warnings(k, len(Xt), silent))


def orthogonal_nmf(
    X: ArrayLike,
    k: int,
    *,
    restarts: int = 10,
    max_iter: int = MAX_ITER,
    tol: float = 1e-6,
    time_limit: float | None = None,
    seed: int = 0,
    callback: Callback | None = None,
    threads: int | None = None,
) -> Fit:
    """Factorize a non-negative matrix with orthogonal activations: ½ ‖X - W Z‖², W, Z >= 0, Z Zᵀ diagonal.

    Rows that are non-negative and orthogonal share no frame, so that each frame has one template, scaled to it: k-means
    with the 1 of each column of Z relaxed to any weight (Ding, Li, Peng & Park, "Orthogonal nonnegative matrix
    tri-factorizations for clustering", KDD 2006; the algorithm is of Pompili et al. 2014). At its best, its loss
    is at most that of k-means.

    Parameters
    ----------
    X : array_like, shape (bins, frames)
        Finite and non-negative; never written to. float64 is computed in float64, all else in float32.
    k, restarts, max_iter, tol, time_limit, seed, callback, threads
        As in `k_means`.

    Returns
    -------
    Fit
        Columns of W sum to 1, rows of Z are orthogonal.

    Raises
    ------
    UsageError
        X is not a finite non-negative matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from nmfsep import orthogonal_nmf
    >>> Z = orthogonal_nmf([[1.0, 2, 0, 0], [2.0, 4, 1, 3]], 2).factors.Z
    >>> (Z @ Z.T).round(6).tolist()[0][1]
    0.0
    """
    check_count("k", k)
    check_count("restarts", restarts)
    with Workers(threads) as workers:
        Xt, unit, silent = prepare(as_matrix(X).T, workers)
        stop, in_units = Stop(max_iter, tol, time_limit, 1), callback_in_units(callback, unit, 2)
        best = _search(Xt, k, Orthogonal(), restarts, stop, seed, workers, in_units)
    best = best.in_units(unit, 2)
    notes = _warnings(k, len(Xt), silent)
    return replace(best, factors=best.factors.normalize(), solver="orthogonal", warnings=notes)


def _search(
    Xt: Matrix,
    k: int,
    solver: Clusters,
    restarts: int,
    stop: Stop,
    seed: int,
    workers: Workers,
    callback: Callback | None,
) -> Fit:
    """Return the best of several fits, each from templates that are frames picked far from each other."""
    energies = np.einsum("tf,tf->t", Xt, Xt)

    def distances(index: int) -> Matrix:
        gains, _ = solver.scores((Xt @ Xt[index])[:, None], energies[index : index + 1])
        left: Matrix = np.maximum(energies - gains[:, 0], 0)
        return left

    ends = math.inf if stop.time_limit is None else time.monotonic() + stop.time_limit
    runs: list[Fit] = []
    done, ended = 0, False

    def counted_on(iteration: int, loss: float) -> bool:
        nonlocal ended
        ended = callback is not None and bool(callback(done + iteration, loss))
        return ended

    for index in range(restarts):
        rest = replace(stop, time_limit=max(0.0, ends - time.monotonic()))
        W = Xt[plus_plus(len(Xt), k, np.random.default_rng([seed, index]), distances)].T
        begin = Factors(W, np.zeros((k, len(Xt)), Xt.dtype))
        runs.append(fit(Xt, begin, Problem(frobenius), solver, rest, workers, counted_on))
        done += runs[-1].n_iter
        runs = [min(runs, key=lambda run: run.losses[-1])]
        if ended or time.monotonic() >= ends:
            break
    return runs[0]


def _warnings(k: int, frames: int, silent: bool) -> tuple[str, ...]:
    if silent:
        return (SILENT,)
    return (f"{k} clusters are more than the {frames} columns",) if k > frames else ()
