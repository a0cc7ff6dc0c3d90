"""Bands of a spectrum: bins merged until they are about as wide, relative to their frequency, as those of an ear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..kernels.product import Matrix

WIDTH = 0.02  # of a band, relative to its frequency: a third of a semitone; never narrower than a bin


@dataclass(frozen=True, slots=True)
class Bands:
    """Bands that bins are merged into.

    The Kullback-Leibler divergence takes magnitudes for counts, and sums of counts are counts: merged bins are fitted
    by merged templates, with the same activations.

    Parameters
    ----------
    first : ndarray, shape (bands,)
        The first bin of each.
    bins : int
    """

    first: NDArray[np.intp]
    bins: int

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.first)

    def merge(self, spectra: Matrix) -> Matrix:
        """Return the sums over each band, (..., bands), of spectra (..., bins)."""
        merged: Matrix = np.add.reduceat(spectra, self.first, axis=-1)
        return merged

    def centres(self, frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean frequency of each band, in the unit of those of the bins."""
        means: NDArray[np.float64] = self.merge(frequencies) / self._widths()
        return means

    def spread(self, templates: Matrix, spectrum: Matrix) -> Matrix:
        """Return templates of bins, (k, bins), from those of bands, (k, bands): each band as `spectrum` has it inside.

        Parameters
        ----------
        templates : ndarray, shape (k, bands)
        spectrum : ndarray, shape (bins,)
            Positive.
        """
        widths = self._widths()
        inside = spectrum / np.repeat(self.merge(spectrum), widths)
        return np.repeat(templates, widths, axis=-1) * inside.astype(templates.dtype)

    def _widths(self) -> NDArray[np.intp]:
        return np.diff(self.first, append=self.bins)


def bands_of(bins: int) -> Bands:
    """Return the bands of a spectrum with so many bins, evenly spaced from 0."""
    first, at = [], 0
    while at < bins:
        first.append(at)
        at += max(1, round(WIDTH * at))
    return Bands(np.array(first, np.intp), bins)
