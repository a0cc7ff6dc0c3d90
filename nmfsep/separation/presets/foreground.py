"""A voice before its accompaniment, and speech before noise: what moves fast before what stays."""

from __future__ import annotations

import numpy as np

from ...nmf.factors import Matrix
from ...settings import Settings
from ...signal.stft import STFT
from ..atoms import ATOMS, Grouped, grouped, scene_of
from ..bands import bands_of
from ..groupings import Atoms, Scene
from ..groupings.foreground import foreground

SPAN = 4.0  # seconds of the running median
STILL = 4  # atoms of a noise
STROKE = 0.2  # share by which an activation changes from frame to frame, beyond which an atom is a stroke


def voice(X: Matrix, stft: STFT, sample_rate: int, settings: Settings) -> Grouped:
    """Return what moves fast, as a voice, and the rest, strokes of drums with it."""
    scene = scene_of(X, stft, sample_rate, settings)
    found = foreground(scene, 2, ATOMS, SPAN)
    change = np.abs(np.diff(found.Z, axis=1)).sum(axis=1) / np.maximum(2 * found.Z.sum(axis=1), 1e-12)
    sung = (found.owners == 1) & (change <= STROKE)
    owners = np.where(sung, 0, 1) if sung.any() else 1 - found.owners
    return _lift(Atoms(found.W, found.Z, owners), X, stft, scene)


def noise(X: Matrix, stft: STFT, sample_rate: int, settings: Settings) -> Grouped:
    """Return what moves, and what stays as it is for seconds, a noise."""
    scene = scene_of(X, stft, sample_rate, settings)
    found = foreground(scene, 2, ATOMS, SPAN, STILL)
    return _lift(Atoms(found.W, found.Z, 1 - found.owners), X, stft, scene)


def _lift(atoms: Atoms, X: Matrix, stft: STFT, scene: Scene) -> Grouped:
    return grouped(atoms, X, bands_of(stft.bins), scene.sample, 2, ordered=False)
