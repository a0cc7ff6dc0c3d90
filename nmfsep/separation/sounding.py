"""Isolated sounds, and their magnitudes where they sound: what templates are learned from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..nmf.factors import Matrix
from ..nmf.kernels.workers import Workers
from ..signal.audio import Samples
from ..signal.stft import BLOCK, STFT
from .spectra import mean_magnitudes

QUIET = 1e-3  # of a sound's loudest frame: what is below is silence, whose shape means nothing


@dataclass(frozen=True, slots=True)
class Sound:
    """One isolated sound, read when it is needed.

    Parameters
    ----------
    key : str
        Hash of its contents: decides its place, so that names and order of files do not.
    load : callable
        Returns its samples at the common rate, shape (channels, samples) or (samples,), float32.
    seconds : float, optional
        About how long it is, if that is known.
    """

    key: str
    load: Callable[[], Samples]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Loudness:
    """How loud a sound is, at one length of frames.

    Attributes
    ----------
    quiet : float32
        Mean magnitude up to which a frame is silent.
    scale : float32
        Brings the mean magnitude of the others to 1; 0 where there are none.
    """

    quiet: np.float32
    scale: np.float32


class Sounding:
    """The magnitudes of the frames that sound, scaled to unit mean, block by block.

    They are the means over channels. A sound's level says nothing of what it is, so that quiet files count as much as
    loud ones.

    Parameters
    ----------
    samples : ndarray, shape (channels, samples) or (samples,)
    stft : STFT
    workers : Workers
        An entered context.
    loudness : Loudness, optional
        If it is known from an earlier time, which saves going over the sound.

    Attributes
    ----------
    loudness : Loudness
    starts : range
        The first frame of each block.
    """

    def __init__(self, samples: Samples, stft: STFT, workers: Workers, loudness: Loudness | None = None) -> None:
        self._samples, self._stft, self._workers = np.atleast_2d(samples), stft, workers
        self._frames = stft.n_frames(self._samples.shape[1])
        self.starts = range(0, self._frames, BLOCK)
        self._single: Matrix | None = None
        self.loudness = loudness or self._measured()

    def block(self, start: int) -> Matrix:
        """Return the frames of a block that sound, (frames, bins); with none, where none do."""
        X = self._magnitudes(start) if self._single is None else self._single
        loud = X.mean(axis=1) > self.loudness.quiet
        if not (loud.any() and self.loudness.scale):
            return X[:0]
        if not loud.all():
            X = X[loud]
        elif X is self._single:
            return X * self.loudness.scale
        X *= self.loudness.scale
        return X

    def __iter__(self) -> Iterator[tuple[int, Matrix]]:
        """Yield the blocks that sound, each with its first frame."""
        for start, block in zip(self.starts, self._workers.ahead(self.block, self.starts), strict=True):
            if len(block):
                yield start, block

    def _measured(self) -> Loudness:
        if len(self.starts) == 1:
            self._single = self._magnitudes(0)
            levels = self._single.mean(axis=1)
        else:
            levels = np.concatenate(self._workers.map(lambda start: self._magnitudes(start).mean(axis=1), self.starts))
        quiet = np.float32(QUIET * levels.max(initial=0))
        loud = levels[levels > quiet]
        return Loudness(quiet, np.float32(1 / loud.mean(dtype=np.float64) if len(loud) else 0))

    def _magnitudes(self, start: int) -> Matrix:
        return mean_magnitudes(self._samples, self._stft, start, min(self._frames, start + BLOCK))
