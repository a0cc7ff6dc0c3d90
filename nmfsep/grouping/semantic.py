"""Semantic start of a fit to sound: combs of harmonics for pitched notes, spectra of onsets for percussion.

After Rohlfing & Becker, "Extended semantic initialization for NMF-based audio source separation", ISPACS 2015.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..kernels.product import Factors, Matrix
from ..nmf.factorize import factorize
from ..nmf.starts import spherical_kmeans

LOWEST, HIGHEST = 33, 96  # MIDI notes, A1 to C7
HARMONICS = 20
WIDTH = 15.0  # hertz, of one harmonic; more where bins are wider
PERCUSSIVE = 4  # one template in that many is percussive
ONSETS, APART = 40, 4  # onsets looked at, and frames between them
ROUNDS = 40  # updates of activations by which the combs that sound are found
FLOOR = 1e-3  # of the mean, since zeros would lock


def semantic(
    Xt: Matrix,
    components: int,
    rng: np.random.Generator,
    frequencies: NDArray[np.float64],
    merge: Callable[[Matrix], Matrix] | None = None,
) -> Factors:
    """Return the harmonic combs that sound most and centres of onset spectra, with their activations.

    Parameters
    ----------
    Xt : ndarray, shape (frames, channels * bins)
        Magnitudes, the channels side by side.
    components : int
        A quarter of them are percussive.
    rng : numpy.random.Generator
    frequencies : ndarray, shape (bins,)
        Hertz of each bin.
    merge : callable, optional
        Turns spectra (..., bins) into those of Xt, where that has bands instead of bins.
    """
    combs = harmonic_combs(frequencies).astype(Xt.dtype)
    if merge is not None:
        combs = merge(combs.T).T
    bins = len(combs)
    channels = Xt.shape[1] // bins
    mono = np.ascontiguousarray(Xt.reshape(len(Xt), channels, -1).mean(axis=1))
    struck = _onset_spectra(mono)
    percussive = min(round(components / PERCUSSIVE), len(struck))
    W = combs
    if percussive:
        centres = spherical_kmeans(struck, percussive, rng).W
        W = np.concatenate([combs, centres / centres.sum(axis=0)], axis=1)
    Z = factorize(mono.T, W.shape[1], W=W, fixed={"W"}, solver="mu", max_iter=ROUNDS, tol=0).factors.Z
    pitched = max(0, min(components - percussive, combs.shape[1]))
    chosen = np.sort(np.argsort(-Z[: combs.shape[1]].sum(axis=1), kind="stable")[:pitched])
    chosen = np.concatenate([chosen, np.arange(combs.shape[1], W.shape[1])])
    chosen = np.resize(chosen, components)  # with more components than combs some begin alike, but for the noise below
    mean = float(mono.mean(dtype=np.float64))
    templates = W[:, chosen] + FLOOR / bins * (1 + rng.random((bins, components)))
    activations = Z[chosen] + FLOOR * mean * bins / components
    templates = np.tile(templates, (channels, 1))
    return Factors(templates.astype(Xt.dtype), activations.astype(Xt.dtype))


def harmonic_combs(frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one column of unit sum for each note from LOWEST to HIGHEST, harmonics falling off as 1 / h."""
    width = max(WIDTH, 0.7 * float(frequencies[1] - frequencies[0]))
    pitches = 440 * 2 ** ((np.arange(LOWEST, HIGHEST + 1) - 69) / 12)
    combs = np.zeros((len(frequencies), len(pitches)))
    for h in range(1, HARMONICS + 1):
        distance = (frequencies[:, None] - h * pitches) / width
        combs += np.exp(-0.5 * distance**2) / h
    combs += 1e-12
    return np.asarray(combs / combs.sum(axis=0))


def _onset_spectra(mono: Matrix) -> Matrix:
    """Return what the strongest onsets add to the frame two before, (onsets, bins)."""
    rise = np.maximum(mono[2:] - mono[:-2], 0)
    flux = rise.sum(axis=1)
    picked: list[int] = []
    for frame in np.argsort(-flux, kind="stable"):
        if flux[frame] <= 0 or len(picked) == ONSETS:
            break
        if all(abs(frame - other) >= APART for other in picked):
            picked.append(int(frame))
    return rise[sorted(picked)]
