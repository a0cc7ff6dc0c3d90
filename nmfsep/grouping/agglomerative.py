"""Stems put together from atoms pair by pair, by all that speaks for two atoms being one sound.

What two atoms cost each other is the sum of the CUES. The two clusters that it costs least to merge become one, until
as many are left as there are stems; what a merge costs is reckoned after Ward, "Hierarchical grouping to optimize an
objective function", J. Am. Stat. Assoc. 58, 1963, by the recurrence of Lance & Williams, with atoms weighted by level.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..kernels.factors import Factors
from ..signal.pitch import find_pitch
from .consensus import consensus, weights_of
from .scene import Atoms, Scene
from .timbre import features

FAR = 24  # semitones between two pitches from which they are no nearer than a pitch and a noise
BLUR = 0.05  # of the stereo image, below which two places are one

Costs = NDArray[np.float64]  # (atoms, atoms), from 0 for atoms that are alike to about 1


def agglomerative(scene: Scene, stems: int, atoms: int) -> Atoms:
    """Group atoms by merging.

    Parameters
    ----------
    scene : Scene
    stems : int
    atoms : int
        For each stem.
    """
    return consensus(scene, stems, atoms, group)


def group(factors: Factors, scene: Scene, stems: int, run: int = 0) -> NDArray[np.intp]:
    """Return the group of each atom; there is nothing random in it."""
    costs = np.sum([weight * cue(factors, scene) for cue, weight in CUES.items()], axis=0)
    return merged(costs, weights_of(factors), stems)


def timbre(factors: Factors, scene: Scene) -> Costs:
    """Return how differently atoms sound: squared distances of cepstrum, flatness, flux and centroid."""
    points = features(factors, scene)
    distances: Costs = np.square(points[:, None] - points).sum(axis=2)
    return distances


def together(factors: Factors, scene: Scene) -> Costs:
    """Return one less the correlation of activations: parts of one note rise and fall together."""
    z = np.sqrt(factors.Z.astype(np.float64))
    z -= z.mean(axis=1, keepdims=True)
    z /= np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)
    costs: Costs = 1 - np.maximum(0, z @ z.T)
    return costs


def struck(factors: Factors, scene: Scene) -> Costs:
    """Return one less the likeness of where activations rise: what begins together is heard as one."""
    rise = np.maximum(0, np.diff(np.sqrt(factors.Z.astype(np.float64)), axis=1, prepend=0, append=0))
    rise = rise[:, 1:-1] + (rise[:, :-2] + rise[:, 2:]) / 2  # a frame sooner or later is no other time
    rise /= np.maximum(np.linalg.norm(rise, axis=1, keepdims=True), 1e-12)
    costs: Costs = 1 - rise @ rise.T
    return costs


def loss(factors: Factors, scene: Scene) -> Costs:
    """Return what of the quieter atom is lost where one template with one activation stands for both.

    That is the second singular value of the sum of the two, squared, relative to the square of the quieter one.
    """
    W, Z = factors.W.astype(np.float64), factors.Z.astype(np.float64)
    w, z = np.maximum(np.linalg.norm(W, axis=0), 1e-30), np.maximum(np.linalg.norm(Z, axis=1), 1e-30)
    spectra, times = (W / w).T @ (W / w), (Z / z[:, None]) @ (Z / z[:, None]).T
    energy = np.square(w * z)
    products = np.outer(energy, energy)
    trace = energy[:, None] + energy + 2 * np.sqrt(products) * spectra * times
    determinant = products * np.maximum(0, 1 - spectra**2) * np.maximum(0, 1 - times**2)
    root = np.sqrt(np.maximum(0, trace**2 - 4 * determinant))
    second = 2 * determinant / np.maximum(trace + root, 1e-300)  # without cancellation
    costs: Costs = second / np.maximum(np.minimum(energy[:, None], energy), 1e-300)
    return costs


def pitch(factors: Factors, scene: Scene) -> Costs:
    """Return how far pitches are from each other; what has none is far from what has one."""
    spectra = np.repeat(scene.mono(factors.W.T) / scene.widths, scene.widths.astype(int), axis=1)
    found = [find_pitch(spectrum, scene.frequencies) for spectrum in spectra]
    notes = np.array([np.nan if each is None else each.midi for each in found])
    none = np.isnan(notes)
    apart: Costs = np.minimum(1, np.abs(notes[:, None] - notes) / FAR)
    apart[none[:, None] & none] = 0
    apart[none[:, None] ^ none] = 1
    return apart


def place(factors: Factors, scene: Scene) -> Costs:
    """Return how far atoms are from each other between the first and the last channel.

    As much as that can be relied on: where all lie in one place it is 0, and an atom whose bands lie apart, as those of
    echoes do, is far from nothing.
    """
    bands = len(scene.widths)
    W = factors.W.astype(np.float64).reshape(-1, bands, factors.components)
    if len(W) < 2:
        return np.zeros((factors.components, factors.components))
    left, right = W[0], W[-1]
    level = np.maximum((left + right).sum(axis=0), 1e-30)
    centres = (right - left).sum(axis=0) / level
    each = (right - left) / np.maximum(left + right, 1e-30)
    spread = ((left + right) / level * np.square(each - centres)).sum(axis=0)
    weights = level * factors.Z.sum(axis=1, dtype=np.float64)
    weights /= max(float(weights.sum()), 1e-30)
    width = weights @ np.square(centres - weights @ centres)
    known = np.square(centres[:, None] - centres) / (spread[:, None] + spread + BLUR**2)
    costs: Costs = width / (width + BLUR**2) * np.minimum(1, known / 4)
    return costs


CUES: dict[Callable[[Factors, Scene], Costs], float] = {
    timbre: 1.0,
    together: 0.3,
    struck: 0.3,
    loss: 0.3,
    pitch: 0.3,
    place: 1.0,
}


def merged(costs: Costs, weights: NDArray[np.float64], clusters: int) -> NDArray[np.intp]:
    """Return the cluster of each of some points, by Ward's criterion.

    Parameters
    ----------
    costs : ndarray, shape (points, points)
        Squared distances, or what stands for them.
    weights : ndarray, shape (points,)
        Positive.
    clusters : int
        At most the number of points.
    """
    weights, owners = weights.copy(), np.arange(len(weights))
    apart = 2 * np.outer(weights, weights) / np.add.outer(weights, weights) * costs
    np.fill_diagonal(apart, np.inf)
    for _ in range(len(weights) - clusters):
        i, j = sorted(np.unravel_index(int(apart.argmin()), apart.shape))
        three = weights[i] + weights[j] + weights
        pair = apart[i, j]
        row = ((weights[i] + weights) * apart[i] + (weights[j] + weights) * apart[j] - weights * pair) / three
        row[[i, j]] = np.inf
        apart[i], apart[:, i] = row, row
        apart[j], apart[:, j] = np.inf, np.inf
        weights[i] += weights[j]
        owners[owners == j] = i
    found: NDArray[np.intp] = np.unique(owners, return_inverse=True)[1]
    return found
