"""Consensus of several runs: their atoms are grouped together, and their models added up.

Every run errs elsewhere. The masks of the sum are about the mean of the masks, which errs less than most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..kernels.factors import Factors
from ..nmf.fit import Fit
from .scene import Atoms, Scene
from .semantic import semantic

STARTS = ("semantic", "random")  # by turns, since they err in different ways
LOUD = 0.5  # power of an atom's level by which it counts

Group = Callable[[Sequence[Factors], Scene, int], Sequence[NDArray[np.intp]]]


def consensus(scene: Scene, stems: int, atoms: int, group: Group) -> Atoms:
    """Learn atoms several times, group those of all runs, and put together what the runs make of each stem.

    Parameters
    ----------
    scene : Scene
    stems : int
    atoms : int
        For each stem, of each run.
    group : callable
        Called as group(learned, scene, stems) with the factors of each run; returns the stem of each atom of each.
    """
    scene = scene.within(2 * scene.runs)
    fits, learned, Z = [], [], []
    for run in range(scene.runs):
        fits.append(_learn(scene, STARTS[run % len(STARTS)], run, stems * atoms))
        learned.append(fits[-1].factors)
        scene.report((run + 0.7) / scene.runs)
        Z.append(scene.follow(scene.Y, learned[-1].W) / scene.runs)
        scene.report((run + 1) / scene.runs)
    owners = group(learned, scene, stems)
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
