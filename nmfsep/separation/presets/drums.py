"""Kick, snare and hi-hat of a drum loop: three components, told apart by what of the spectrum they have."""

from __future__ import annotations

import numpy as np

from ...nmf.factorize import factorize
from ...nmf.factors import Factors, Matrix
from ...nmf.kernels.choose import ONCE
from ...settings import Settings
from ...signal.stft import STFT
from ..atoms import Grouped

DRUMS = 3


def drums(X: Matrix, stft: STFT, sample_rate: int, settings: Settings) -> Grouped:
    """Return three components, the lowest first by the centroid of the logarithm of frequency.

    A kick has its energy below, a hi-hat above, a snare between them and both.
    """
    fit = factorize(X, DRUMS, seed=settings.seed, threads=settings.threads, compiled_from=ONCE)
    channels = np.split(fit.factors.W, len(X) // stft.bins)
    octaves = np.log2(np.maximum(stft.frequencies(sample_rate), sample_rate / stft.n_fft))
    spectra = np.square(np.sum(channels, axis=0, dtype=np.float64))
    centroids = octaves @ spectra / np.maximum(spectra.sum(axis=0), 1e-30)
    order = np.argsort(centroids, kind="stable")
    return Grouped([Factors(W, fit.factors.Z) for W in channels], [[int(k)] for k in order], fit)
