"""Correlations of signals that pass by once, in blocks: all that the figures need to know of the sound."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..signal.stream import Block, Window

Real = NDArray[np.float64]
SHORTEST = 1 << 13  # samples transformed at a time, at the least


@dataclass(frozen=True, slots=True)
class Correlations:
    """Sums of products of references with signals; channels are added up, as if laid end to end.

    Parameters
    ----------
    values : ndarray, shape (references, signals, lags)
        Sum over n of reference[n] signal[n + lag]; nothing but silence surrounds a signal. The first signals are the
        references.
    energies : ndarray, shape (signals,)
        Sum of squares.
    """

    values: Real
    energies: Real

    @property
    def among_references(self) -> Real:
        """The correlations of the references with each other, (references, references, lags)."""
        return self.values[:, : len(self.values)]

    def of(self, signals: slice) -> Correlations:
        """Return those of some signals only."""
        return Correlations(self.values[:, signals], self.energies[signals])


def correlate(blocks: Iterable[Block], references: int, lags: int) -> Correlations:
    """Correlate a stream of signals, by Fourier transforms of overlapping pieces, in memory that no length adds to.

    Parameters
    ----------
    blocks : iterable of ndarray, shape (signals, channels, samples)
        Consecutive pieces; the first `references` signals are the references.
    references : int
    lags : int
        Lags 0 to lags - 1.

    Returns
    -------
    Correlations
    """
    size = transform_size(lags)
    step = size - lags + 1  # the samples of references that find all their lags in one piece
    window = Window(blocks)
    spectra: NDArray[np.complex128] | None = None
    energies: Real = np.zeros(0)
    for start in itertools.count(0, step):
        piece = window.between(start, start + size)
        if spectra is None:
            spectra = np.zeros((references, len(piece), size // 2 + 1), np.complex128)
            energies = np.zeros(len(piece))
        if piece.shape[-1] == 0:
            break
        head = piece[..., :step].astype(np.float64, copy=False)
        energies += np.einsum("scn,scn->s", head, head)
        Y = np.fft.rfft(piece.astype(np.float64, copy=False), size)
        X = np.fft.rfft(head[:references], size).conj()
        for total, x in zip(spectra, X, strict=True):
            for x_channel, Y_channel in zip(x, Y.swapaxes(0, 1), strict=True):
                total += x_channel * Y_channel
    assert spectra is not None
    return Correlations(np.fft.irfft(spectra, size)[..., :lags], energies)


def transform_size(lags: int) -> int:
    """Return the samples transformed at a time: a power of two, most of which is not overlap."""
    return int(max(SHORTEST, 1 << (4 * lags - 1).bit_length()))
