"""Timbre grouping: atoms that sound alike are a stem, by the consensus of several runs.

Features of atoms after Spiertz & Gnann, "Source-filter based clustering for monaural blind source separation", DAFx
2009, with how noisy, how abrupt and how high an atom is. Every run errs elsewhere: stems of the runs are matched and
their models added up, and the masks of the sum are about the mean of the masks, which errs less than most.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..kernels.product import Factors
from ..nmf.starts import plus_plus
from .scene import Atoms, Scene
from .semantic import semantic

LOUD = 0.5  # power of an atom's level by which it counts
MELS, CEPSTRUM = 40, 13
TOP = 11025.0  # hertz, up to which timbre is heard
QUIET = 1e-4  # of a template's loudest band, -80 dB
ABOUT = 0.3  # weight of what is not cepstrum
TRIES, TURNS = 20, 50  # of k-means

Features = NDArray[np.float64]


def timbre(scene: Scene, stems: int, atoms: int) -> Atoms:
    """Learn atoms several times, group those of each run by timbre, and join what the runs make of each stem.

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
    owners = match_runs(learned, [group(factors, scene, stems, run) for run, factors in enumerate(learned)], stems)
    W = np.concatenate([factors.W for factors in learned], axis=1)
    n_iter, converged = max(fit.n_iter for fit in fits), all(fit.converged for fit in fits)
    return Atoms(W, np.concatenate(Z), np.concatenate(owners), scene.runs, n_iter, converged)


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


def group(factors: Factors, scene: Scene, stems: int, run: int = 0) -> NDArray[np.intp]:
    """Return the group of each atom, by k-means on how they sound; a quiet instrument counts, too."""
    levels = factors.W.sum(axis=0, dtype=np.float64) * factors.Z.sum(axis=1, dtype=np.float64)
    weights = np.maximum(levels, 1e-9 * levels.max(initial=1e-30)) ** LOUD
    return weighted_kmeans(features(factors, scene), stems, weights, np.random.default_rng([scene.seed, run]))


def features(factors: Factors, scene: Scene) -> Features:
    """Return how atoms sound, (atoms, features): the direction of the cepstrum, flatness, flux and centroid."""
    W, Z = scene.mono(factors.W.T).T, factors.Z.astype(np.float64)
    mels = mel_filters(scene.centres) @ W
    mels = np.log10(np.maximum(mels, QUIET * np.maximum(mels.max(axis=0), 1e-30)))
    order = np.arange(1, CEPSTRUM + 1)[:, None]
    cepstrum = (np.cos(np.pi * order * (2 * np.arange(MELS) + 1) / (2 * MELS)) @ mels).T
    cepstrum /= np.maximum(np.linalg.norm(cepstrum, axis=1, keepdims=True), 1e-9)
    widths = scene.widths[:, None]
    W = W + 1e-12
    flatness = (widths * np.log(W / widths)).sum(axis=0) / widths.sum() - np.log(W.sum(axis=0) / widths.sum())
    flux = np.log(np.abs(np.diff(Z, axis=1)).sum(axis=1) / np.maximum(2 * Z.sum(axis=1), 1e-30) + 1e-6)
    centroid = np.log(scene.centres @ W / W.sum(axis=0) + 1)
    about = np.stack([flatness, flux, centroid], axis=1)
    about = (about - about.mean(axis=0)) / (about.std(axis=0) + 1e-9)
    return np.concatenate([cepstrum, ABOUT * about], axis=1)


def mel_filters(centres: NDArray[np.float64], count: int = MELS, highest: float = TOP) -> NDArray[np.float64]:
    """Return triangles on O'Shaughnessy's mel scale, (count, bands), up to so many hertz."""
    top = 2595 * np.log10(1 + min(highest, float(centres[-1])) / 700)
    edges = 700 * (10 ** (np.linspace(0, top, count + 2) / 2595) - 1)
    rise = (centres - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - centres) / np.diff(edges)[1:, None]
    return np.maximum(0, np.minimum(rise, fall))


def weighted_kmeans(
    points: Features, clusters: int, weights: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return the cluster of each point (points, dimensions): the best of TRIES runs of Lloyd's algorithm."""
    best, least = np.zeros(len(points), np.intp), np.inf
    for _ in range(TRIES):
        picked = plus_plus(len(points), clusters, rng, lambda at: weights * ((points - points[at]) ** 2).sum(axis=1))
        centres = points[picked]
        for _ in range(TURNS):
            distances = ((points[:, None] - centres) ** 2).sum(axis=2)
            nearest = distances.argmin(axis=1)
            shares = weights[:, None] * (nearest[:, None] == np.arange(clusters))
            total = shares.sum(axis=0)[:, None]
            moved = np.where(total > 0, shares.T @ points / np.where(total > 0, total, 1), centres)
            if np.array_equal(moved, centres):
                break
            centres = moved
        spread = float(weights @ distances.min(axis=1))
        if spread < least:
            best, least = nearest, spread
    return best
