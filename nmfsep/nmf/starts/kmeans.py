"""Templates from clusters of frames that point the same way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..factors import Factors, Matrix
from .spa import from_templates, loud_frames

ROUNDS = 20


def spherical_kmeans(Xt: Matrix, components: int, rng: np.random.Generator) -> Factors:
    """Return the centres of spherical k-means on the loud frames as templates.

    Dhillon & Modha, "Concept decompositions for large sparse text data using clustering", Machine Learning 42, 2001;
    seeded as by Arthur & Vassilvitskii, "k-means++", 2007, on the cosine.

    Parameters
    ----------
    Xt : ndarray, shape (frames, bins)
    components : int
    rng : numpy.random.Generator
    """
    frames = loud_frames(Xt)
    norms = np.linalg.norm(frames, axis=1, keepdims=True)
    unit = frames / np.where(norms > 0, norms, 1)
    centres = unit[plus_plus(len(unit), components, rng, lambda index: np.maximum(1 - unit @ unit[index], 0))]
    for _ in range(ROUNDS):
        nearest = np.argmax(unit @ centres.T, axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, frames)  # loud frames count for more
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        moved = np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return from_templates(Xt, centres.T)


def plus_plus(points: int, components: int, rng: np.random.Generator, distances: Callable[[int], Matrix]) -> list[int]:
    """Pick points one by one, each with a chance that grows with its distance to those picked.

    Parameters
    ----------
    points : int
        Points there are.
    components : int
        Points to pick.
    rng : numpy.random.Generator
    distances : callable
        Of one point, by its index, to all of them; squared, where they are Euclidean.
    """
    picked = [int(rng.integers(points))]
    nearest = np.full(points, np.inf)
    for _ in range(components - 1):
        nearest = np.minimum(nearest, distances(picked[-1]))
        total = nearest.sum(dtype=np.float64)
        chance = nearest / total if total > 0 else np.full(points, 1 / points)
        picked.append(int(rng.choice(points, p=chance / chance.sum())))
    return picked
