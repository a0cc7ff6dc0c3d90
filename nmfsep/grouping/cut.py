"""Normalised cut: the atoms of all runs in one graph, cut into stems where they sound least alike.

An edge says how alike two atoms sound and how long they last, whether they lie in one place between two channels, and
a little of whether they sound at the same times; its scale is each atom's own distance to its neighbours, so that a
register with few atoms is not swallowed by one with many. The graph is cut by the leading eigenvectors of its affinity
(Shi & Malik, "Normalized cuts and image segmentation", IEEE TPAMI 22(8), 2000; Ng, Jordan & Weiss, "On spectral
clustering", NIPS 2001; scales after Zelnik-Manor & Perona, "Self-tuning spectral clustering", NIPS 2004). An atom of
one run finds its like in the other runs, which k-means run by run cannot see.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..kernels.product import Factors, Matrix
from .scene import Atoms, Scene
from .semantic import semantic
from .timbre import Features, features, weighted_kmeans

LAGS, LASTING = (0.02, 0.05, 0.1), 0.2  # seconds at which activations are compared with themselves, and its weight
NEAR = 0.08  # share of the atoms that are an atom's neighbours
TOGETHER = 0.1  # weight of sounding at the same times
FLOOR = 1e-9


def timbre(scene: Scene, stems: int, atoms: int) -> Atoms:
    """Learn atoms several times, group those of all runs together, and join what the runs make of each stem.

    Every run errs elsewhere: the masks of the sum of their models are about the mean of the masks, which errs less.

    Parameters
    ----------
    scene : Scene
    stems, atoms : int
        The stems, and atoms for each in each run.
    """
    scene = scene.within(2 * scene.runs)
    Yt = scene.Y[scene.sample]
    fits, learned, Z = [], [], []
    for run in range(scene.runs):
        if run % 2:  # by turns, since they err in different ways
            fits.append(scene.learn(Yt, stems * atoms, "random", run))
        else:
            rng = np.random.default_rng([scene.seed, run])
            start = semantic(Yt, stems * atoms, rng, scene.frequencies, scene.merge)
            fits.append(scene.learn(Yt, stems * atoms, W=start.W, Z=start.Z))
        learned.append(fits[-1].factors)
        scene.report((run + 0.7) / scene.runs)
        Z.append(scene.follow(scene.Y, learned[-1].W) / scene.runs)
        scene.report((run + 1) / scene.runs)
    owners = cut(learned, scene, stems)
    W = np.concatenate([factors.W for factors in learned], axis=1)
    n_iter, converged = max(fit.n_iter for fit in fits), all(fit.converged for fit in fits)
    return Atoms(W, np.concatenate(Z), np.concatenate(owners), scene.runs, n_iter, converged)


def cut(learned: Sequence[Factors], scene: Scene, stems: int) -> list[NDArray[np.intp]]:
    """Return the stem of each atom of each run, the same stems in all.

    Parameters
    ----------
    learned : sequence of Factors
        Of each run, W (channels * bands, atoms) and Z (atoms, frames sampled).
    scene : Scene
    stems : int
    """
    distances = squared_distances(np.concatenate([features(factors, scene) for factors in learned]))
    distances += squared_distances(np.concatenate([lasting(factors.Z, scene.step) for factors in learned]))
    covariances = None if scene.covariances is None else scene.covariances()
    if covariances is not None:
        distances += squared_distances(np.concatenate([places(factors, covariances) for factors in learned]))
    affinity = self_tuned(distances) + TOGETHER * np.square(np.maximum(0, together([f.Z for f in learned])))
    np.fill_diagonal(affinity, 0)
    weights = np.concatenate([f.W.sum(axis=0, dtype=np.float64) * f.Z.sum(axis=1, dtype=np.float64) for f in learned])
    rng = np.random.default_rng([scene.seed, len(learned)])
    weights = np.maximum(weights / max(float(weights.max()), 1e-30), FLOOR)
    owners = weighted_kmeans(embedding(affinity, stems), stems, weights, rng)
    return np.split(owners, np.cumsum([factors.components for factors in learned])[:-1])


def squared_distances(points: Features) -> NDArray[np.float64]:
    """Return |p_k − p_l|² of points (points, dimensions)."""
    squares = np.einsum("kd,kd->k", points, points)
    distances: NDArray[np.float64] = np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0)
    return distances


def lasting(Z: Matrix, step: float) -> Features:
    """Return how long atoms stay, (atoms, lags): the autocorrelation of activations, relative to that of the others."""
    energy, found = np.einsum("kt,kt->k", Z, Z, dtype=np.float64), []
    for seconds in LAGS:
        lag = min(max(1, round(seconds / step)), Z.shape[1] - 1)
        found.append(np.einsum("kt,kt->k", Z[:, lag:], Z[:, :-lag], dtype=np.float64) / np.maximum(energy, 1e-30))
    lags = np.stack(found, axis=1)
    relative: Features = (lags - lags.mean(axis=0)) / (lags.std(axis=0) + FLOOR)
    return LASTING * relative


def places(factors: Factors, covariances: Matrix) -> Features:
    """Return where between two channels each atom lies: (P11 − P22, 2 Re P12, 2 Im P12) / (P11 + P22), (atoms, 3).

    P is the covariance of the channels under the square of the atom's mask; how far the three are from a unit vector
    says how wide the sound is.

    Parameters
    ----------
    factors : Factors
    covariances : ndarray, shape (4, frames sampled, bands)
        P11, P22, Re P12 and Im P12.
    """
    W, Zt = np.add(*np.split(factors.W, 2)), np.ascontiguousarray(factors.Z.T)
    under = np.square(Zt @ W.T) + np.float32(FLOOR)
    first, second, real, imaginary = (
        np.einsum("bk,bk->k", np.square(W), (entry / under).T @ np.square(Zt), dtype=np.float64)
        for entry in covariances
    )
    entries: Features = np.stack([first - second, 2 * real, 2 * imaginary], axis=1)
    entries /= np.maximum(first + second, 1e-30)[:, None]
    return entries


def self_tuned(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return exp(−D_kl / (g_k g_l)), g_k² being the distance of atom k to the last of its neighbours."""
    near = min(max(3, round(NEAR * len(distances))), len(distances) - 1)
    scales = np.sqrt(np.maximum(np.sort(distances, axis=1)[:, near], 1e-12))
    affinity: NDArray[np.float64] = np.exp(-distances / np.outer(scales, scales))
    return affinity


def together(activations: Sequence[Matrix]) -> NDArray[np.float64]:
    """Return the correlations of the square roots of activations, (atoms, atoms)."""
    roots = np.sqrt(np.concatenate(activations).astype(np.float64))
    roots -= roots.mean(axis=1, keepdims=True)
    roots /= np.linalg.norm(roots, axis=1, keepdims=True) + FLOOR
    correlations: NDArray[np.float64] = roots @ roots.T
    return correlations


def embedding(affinity: NDArray[np.float64], stems: int) -> Features:
    """Return atoms as points of the unit sphere, (atoms, stems), by the leading eigenvectors of D^-1/2 A D^-1/2."""
    degrees = np.maximum(affinity.sum(axis=1), 1e-30)
    _, vectors = np.linalg.eigh(affinity / np.sqrt(np.outer(degrees, degrees)))
    points = vectors[:, -stems:]
    on_sphere: Features = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), FLOOR)
    return on_sphere
