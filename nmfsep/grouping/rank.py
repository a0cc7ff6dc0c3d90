"""Number of components of a matrix: as many as come out again when it is disturbed a little.

Alexandrov & Stanev, "Blind source separation for groundwater pressure analysis based on nonnegative matrix
factorization", Water Resources Research 50(9), 2014: for each K, several factorizations of X with noise; their
templates are matched to K clusters, one of each run in every cluster, and K is sound where even the loosest cluster is
tight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.product import Matrix
from ..kernels.select import ONCE
from ..nmf.factorize import factorize
from ..nmf.fit import Execution

RUNS, NOISE, ROUNDS = 8, 0.03, 60
MATCHES = 10  # turns of matching templates to centres
STABLE, SURE = 0.5, 0.9  # silhouettes of the loosest cluster, from which a K is sound, and surely so
FRAMES = 600  # looked at, evenly spaced
BANDS = 96


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a number of components.

    `loosest` and `mean` are silhouettes of the clusters of templates, from -1 to 1, where all runs agree; `unexplained`
    is the least divergence of all runs, as a share of that of one component.
    """

    components: int
    loosest: float
    mean: float
    unexplained: float

    @property
    def stable(self) -> bool:
        """Whether all of the components come out again."""
        return self.loosest >= STABLE

    def document(self) -> dict[str, Any]:
        """Return it as plain values."""
        figures = {name: round(getattr(self, name), 4) for name in ("loosest", "mean", "unexplained")}
        return {"components": self.components, **figures, "stable": self.stable}


def rank(X: Matrix, counts: Sequence[int], seed: int = 0, threads: int | None = None) -> list[Evidence]:
    """Return the evidence for each number of components.

    Parameters
    ----------
    X : ndarray, shape (bins, frames)
        Non-negative.
    counts : sequence of int
        Numbers of components to try, of at least 2.
    seed : int, default 0
    threads : int, optional
    """
    X = np.ascontiguousarray(X.T, np.float32).T
    single = max(_fit(X, 1, seed, threads)[1], 1e-30)
    found = []
    for count in counts:
        runs = []
        for run in range(RUNS):
            noise = np.random.default_rng([seed, count, run]).uniform(1 - NOISE, 1 + NOISE, X.shape)
            runs.append(_fit(X * noise.astype(np.float32), count, seed + run, threads))
        best = min(range(RUNS), key=lambda run: runs[run][1])
        widths = silhouettes([W for W, _ in runs], best)
        found.append(Evidence(count, float(widths.min()), float(widths.mean()), min(loss for _, loss in runs) / single))
    return found


def recommended(found: Sequence[Evidence]) -> int:
    """Return the largest number whose components surely come out again, or else do so at all; 1 if there is none."""
    sure = [row.components for row in found if row.loosest >= SURE]
    return max(sure or (row.components for row in found if row.stable), default=1)


def silhouettes(runs: Sequence[NDArray[np.float64]], first: int = 0) -> NDArray[np.float64]:
    """Return the mean silhouette of each cluster of templates that run after run came out alike, (components,).

    Each run has templates (bins, components) of unit length; those of run `first` are the first centres.
    """
    from scipy.optimize import linear_sum_assignment

    centres = runs[first]
    for _ in range(MATCHES):
        orders = [linear_sum_assignment(-(centres.T @ W))[1] for W in runs]
        sums = np.sum([W[:, order] for W, order in zip(runs, orders, strict=True)], axis=0)
        centres = sums / np.maximum(np.linalg.norm(sums, axis=0), 1e-30)
    templates = np.stack([W[:, order] for W, order in zip(runs, orders, strict=True)])  # runs, bins, components
    distances = 1 - np.einsum("afk,bfl->klab", templates, templates)  # components twice, runs twice
    within = np.einsum("kkab->ka", distances) / (len(runs) - 1)
    between = distances.mean(axis=3)
    between[np.diag_indices(len(between))] = np.inf
    nearest = between.min(axis=1)
    widths: NDArray[np.float64] = ((nearest - within) / np.maximum(np.maximum(nearest, within), 1e-9)).mean(axis=1)
    return widths


def _fit(X: Matrix, count: int, seed: int, threads: int | None) -> tuple[NDArray[np.float64], float]:
    fit = factorize(X, count, start="random", max_iter=ROUNDS, tol=0, seed=seed, execution=Execution(threads, ONCE))
    W = fit.factors.W.astype(np.float64)
    return W / np.maximum(np.linalg.norm(W, axis=0), 1e-30), fit.losses[-1]
