"""Templates with owners: the spectra that components begin with, or are held at, at one length of frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..kernels.product import Matrix
from ..signal.stft import STFT


@dataclass(frozen=True, slots=True)
class Templates:
    """Columns of W, and which component each belongs to.

    Parameters
    ----------
    stft : STFT
        What they were measured with.
    W : ndarray, shape (bins, k), float32
        Templates in columns; those of a dictionary have unit Euclidean norm.
    owners : ndarray, shape (k,)
        The index of each column's component.
    known_bins : int, optional
        Bins that the templates describe, from 0 Hz; above these they are a guess. All if not given.
    delays : int, default 1
        Frames of a template, each a column; those of a template follow each other.
    mobility : ndarray, shape (k,), optional
        The share of the way to what fits the mixture best that each may move: 0 is held, 1 is free. As --adapt says if
        not given, and where it is NaN.
    Z : ndarray, shape (k, frames), float32, optional
        Where the activations start, relative to their level; those of 0 stay 0. All at 1 if not given.
    """

    stft: STFT
    W: Matrix
    owners: NDArray[np.intp]
    known_bins: int = 0
    delays: int = 1
    mobility: NDArray[np.float64] | None = None
    Z: Matrix | None = None

    def __post_init__(self) -> None:
        if self.known_bins == 0:
            object.__setattr__(self, "known_bins", self.stft.bins)

    def columns(self, component: int) -> NDArray[np.intp]:
        """Return the columns of a component."""
        return np.flatnonzero(self.owners == component)

    def groups(self, components: int) -> list[list[int]]:
        """Return the columns of each component."""
        return [self.columns(component).tolist() for component in range(components)]

    def mobilities(self, adapt: float) -> NDArray[np.float64]:
        """Return how far each template may move, those that --adapt decides about by its value."""
        if self.mobility is None:
            return np.full(len(self.owners), adapt)
        return np.where(np.isnan(self.mobility), adapt, self.mobility)

    def renumbered(self, places: Sequence[int]) -> Templates:
        """Return the same with each component's index taken from a list."""
        return replace(self, owners=np.asarray(places, np.intp)[self.owners])

    def joined(self, other: Templates) -> Templates:
        """Return the templates of both, for the same frames.

        Raises
        ------
        UsageError
            One lasts several frames, the other does not.
        """
        if self.delays != other.delays:
            message = "a dictionary of templates of several frames cannot be combined with other guidance"
            raise UsageError(message, "learn it without --template-frames")
        both = (self, other)
        Z = mobility = None
        known = [each.Z for each in both if each.Z is not None]
        if known:
            level = [np.ones((len(each.owners), known[0].shape[1]), np.float32) for each in both]
            Z = np.concatenate([one if each.Z is None else each.Z for each, one in zip(both, level, strict=True)])
        if self.mobility is not None or other.mobility is not None:
            mobility = np.concatenate([each.mobilities(np.nan) for each in both])
        W = np.concatenate([self.W, other.W], axis=1)
        owners = np.concatenate([self.owners, other.owners])
        return Templates(self.stft, W, owners, min(self.known_bins, other.known_bins), self.delays, mobility, Z)

    def converted(self, rate: int, sample_rate: int, stft: STFT) -> Templates:
        """Return templates that were measured at a rate for another rate and other frames, resampled along frequency.

        Raises
        ------
        UsageError
            They last several frames that would be of another length, or know no frequency that there is.
        """
        new, old = stft.hop_length / sample_rate, self.stft.hop_length / rate
        if self.delays > 1 and not 0.8 < new / old < 1.25:
            message = f"its templates last {self.delays} frames of {old:.3g} s, not of {new:.3g} s"
            raise UsageError(message, "leave out --n-fft and --hop-length")
        if rate == sample_rate and stft.n_fft == self.stft.n_fft:
            return Templates(stft, self.W, self.owners, self.known_bins, self.delays)
        # where the new bins lie among the old, in bins
        step = (sample_rate / stft.n_fft) / (rate / self.stft.n_fft)
        positions = np.arange(stft.bins) * step
        known = int(np.searchsorted(positions, self.known_bins - 1, side="right"))
        if known < 2:
            raise UsageError("its templates tell of no frequency that the mixture has")
        W = _resampled(self.W, positions[:known], step)
        if known < stft.bins:
            # what is not known gets the level of the highest that is
            high = W[-max(1, known // 8) :].mean(axis=0)
            W = np.concatenate([W, np.repeat(high[None], stft.bins - known, axis=0)])
        return Templates(stft, unit(W, self.delays), self.owners, known, self.delays)


def unit(W: Matrix, delays: int = 1) -> Matrix:
    """Return templates of unit norm, floored at -120 dB of their mean, since a multiplicative update keeps zeros."""
    exact = W.astype(np.float64).reshape(len(W), -1, delays)
    exact /= np.maximum(exact.mean(axis=(0, 2), keepdims=True), np.finfo(np.float64).tiny)
    exact += 1e-6
    exact /= np.sqrt(np.einsum("fkd,fkd->k", exact, exact))[:, None]
    scaled: Matrix = exact.reshape(W.shape).astype(np.float32)
    return scaled


def _resampled(W: Matrix, positions: NDArray[np.floating[Any]], step: float) -> Matrix:
    """Return the mean of each column around each position, over a bin's width or the new bin's, whichever is wider."""
    bins, half = len(W), 0.5 * max(step, 1.0)
    below = np.concatenate([np.zeros((1, W.shape[1])), np.cumsum(W, axis=0, dtype=np.float64)])

    def up_to(edges: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Integral of the columns, each bin reaching half a bin to either side, from 0 to an edge."""
        edges = np.clip(edges + 0.5, 0, bins)
        whole = np.minimum(edges.astype(np.intp), bins - 1)
        part: NDArray[np.float64] = below[whole] + (edges - whole)[:, None] * W[whole]
        return part

    low, high = np.clip(positions - half, -0.5, bins - 0.5), np.clip(positions + half, -0.5, bins - 0.5)
    clean: Matrix = np.maximum((up_to(high) - up_to(low)) / (high - low)[:, None], 0).astype(np.float32)
    return clean
