"""Templates of notes to begin with: combs of harmonics, and broad spectra for what sets in and for drums."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..kernels.product import Matrix
from ..signal.pitch import to_hertz
from .dictionary import unit

HARMONICS = 20
WIDTH = 1.2  # bins, of a harmonic of a steady tone
DETUNED = 0.02  # semitones by which it may be off
FLOOR = 1e-6  # of the mean, between the harmonics
DECAY = 1.4  # power of the harmonic's number by which it is weaker


def harmonic(pitches: Sequence[int], frequencies: NDArray[np.float64]) -> Matrix:
    """Return a comb for each pitch, (bins, pitches), of unit norm.

    Parameters
    ----------
    pitches : sequence of int
        MIDI notes.
    frequencies : ndarray, shape (bins,)
        Hertz of each bin, evenly spaced from 0.
    """
    step = float(frequencies[1])
    fundamentals = to_hertz(np.asarray(pitches, np.float64))
    combs = np.zeros((len(frequencies), len(pitches)))
    for h in range(1, HARMONICS + 1):
        width = np.hypot(WIDTH * step, DETUNED * h * fundamentals * (2 ** (1 / 12) - 1))
        # where neighbours run into each other there is no comb any more
        width = np.minimum(width, 0.35 * np.maximum(fundamentals, 2 * step))
        combs += np.exp(-0.5 * ((frequencies[:, None] - h * fundamentals) / width) ** 2) / h**DECAY
    combs += FLOOR * np.maximum(combs.mean(axis=0), 1e-12)
    return unit(combs.astype(np.float32))


def broad(count: int, frequencies: NDArray[np.float64]) -> Matrix:
    """Return equal spectra that fall off with frequency, (bins, count), of unit norm."""
    falling = 1 / (1 + frequencies / 2000)
    return unit(np.repeat(falling[:, None], count, axis=1).astype(np.float32))
