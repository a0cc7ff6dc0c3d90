"""Consensus of several runs: their stems are matched, and their models added up.

Every run errs elsewhere. The masks of the sum are about the mean of the masks, which errs less than most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..kernels.product import Factors
from ..nmf.fit import Fit
from .scene import Atoms, Scene
from .semantic import semantic

STARTS = ("semantic", "random")  # by turns, since they err in different ways
LOUD = 0.5  # power of an atom's level by which it counts

Group = Callable[[Factors, Scene, int, int], NDArray[np.intp]]


def consensus(scene: Scene, stems: int, atoms: int, group: Group) -> Atoms:
    """Learn atoms several times, group those of each run, and put together what the runs make of each stem.

    Parameters
    ----------
    scene : Scene
    stems : int
    atoms : int
        For each stem, of each run.
    group : callable
        Called as group(factors, scene, stems, run); returns the stem of each atom.
    """
    scene = scene.within(2 * scene.runs)
    fits, learned, Z = [], [], []
    for run in range(scene.runs):
        fits.append(_learn(scene, STARTS[run % len(STARTS)], run, stems * atoms))
        learned.append(fits[-1].factors)
        scene.report((run + 0.7) / scene.runs)
        Z.append(scene.follow(scene.Y, learned[-1].W) / scene.runs)
        scene.report((run + 1) / scene.runs)
    owners = match_runs(learned, [group(factors, scene, stems, run) for run, factors in enumerate(learned)], stems)
    W = np.concatenate([factors.W for factors in learned], axis=1)
    n_iter, converged = max(fit.n_iter for fit in fits), all(fit.converged for fit in fits)
    return Atoms(W, np.concatenate(Z), np.concatenate(owners), scene.runs, n_iter, converged)


def _learn(scene: Scene, start: str, run: int, atoms: int) -> Fit:
    Yt = scene.Y[scene.sample]
    if start != "semantic":
        return scene.learn(Yt, atoms, start, run)
    rng = np.random.default_rng([scene.seed, run])
    begin = semantic(Yt, atoms, rng, scene.frequencies, scene.merge)
    return scene.learn(Yt, atoms, W=begin.W, Z=begin.Z)


def weights_of(factors: Factors) -> NDArray[np.float64]:
    """Return by how much each atom counts: a power of its level, so that quiet instruments count, too."""
    levels = factors.W.sum(axis=0, dtype=np.float64) * factors.Z.sum(axis=1, dtype=np.float64)
    weights: NDArray[np.float64] = np.maximum(levels, 1e-9 * levels.max(initial=1e-30)) ** LOUD
    return weights


def match_runs(learned: Sequence[Factors], owners: Sequence[NDArray[np.intp]], stems: int) -> list[NDArray[np.intp]]:
    """Return the owners of each run's atoms with the stems numbered as in the first: by how alike their models are."""

    def products(a: int, b: int) -> NDArray[np.float64]:
        each = (learned[a].W.T @ learned[b].W) * (learned[a].Z @ learned[b].Z.T)
        left, right = (owners[run][:, None] == np.arange(stems) for run in (a, b))
        return np.asarray(left.T @ each @ right, np.float64)

    lengths = [np.sqrt(np.maximum(np.diag(products(run, run)), 1e-30)) for run in range(len(learned))]
    matched = [owners[0]]
    for run in range(1, len(learned)):
        alike = products(0, run) / np.outer(lengths[0], lengths[run])
        number = np.empty(stems, np.intp)
        for _ in range(stems):  # the most alike first
            first, mine = np.unravel_index(int(alike.argmax()), alike.shape)
            number[mine] = first
            alike[first], alike[:, mine] = -1, -1
        matched.append(number[owners[run]])
    return matched
