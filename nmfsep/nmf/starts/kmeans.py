"""Templates from clusters of frames that point the same way."""

from __future__ import annotations

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
    centres = _seeds(unit, components, rng)
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


def _seeds(unit: Matrix, components: int, rng: np.random.Generator) -> Matrix:
    """Pick frames one by one, each with a chance that grows with its distance to those picked."""
    picked = [int(rng.integers(len(unit)))]
    distance = np.ones(len(unit))
    for _ in range(components - 1):
        distance = np.minimum(distance, np.maximum(1 - unit @ unit[picked[-1]], 0))
        total = distance.sum(dtype=np.float64)
        chance = distance / total if total > 0 else np.full(len(unit), 1 / len(unit))
        picked.append(int(rng.choice(len(unit), p=chance / chance.sum())))
    return unit[picked]
