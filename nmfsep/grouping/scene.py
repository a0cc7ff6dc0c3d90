"""The scene that a grouping works on: a mixture in bands, and how to fit it; and the atoms that a grouping returns.

A stem that changes its pitch or its sound needs several templates, its *atoms*. A grouping is a function
(Scene, stems, atoms) -> Atoms. It works on bands: bins merged until they are about as wide, relative to their
frequency, as those of an ear.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.product import Matrix
from ..kernels.select import ONCE
from ..nmf.factorize import factorize
from ..nmf.fit import Execution, Fit

WIDTH = 0.02  # of a band, relative to its frequency: a third of a semitone; never narrower than a bin
ROUNDS = 60  # iterations of a fit that only measures the sound
FOLLOWING = 20  # updates of activations alone, templates held


@dataclass(frozen=True, slots=True)
class Bands:
    """Bands that bins are merged into.

    The Kullback-Leibler divergence takes magnitudes for counts, and sums of counts are counts: merged bins are fitted
    by merged templates, with the same activations. `first` (bands,) has the first bin of each.
    """

    first: NDArray[np.intp]
    bins: int

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.first)

    def merge(self, spectra: Matrix) -> Matrix:
        """Return the sums over each band, (..., bands), of spectra (..., bins)."""
        return np.asarray(np.add.reduceat(spectra, self.first, axis=-1))

    def spread(self, templates: Matrix, spectrum: Matrix) -> Matrix:
        """Return templates (k, bins) from those of bands, (k, bands), each in the shape of a spectrum (bins,) there."""
        widths = np.diff(self.first, append=self.bins)
        inside = spectrum / np.repeat(self.merge(spectrum), widths)
        return np.repeat(templates, widths, axis=-1) * inside.astype(templates.dtype)


def bands_of(bins: int) -> Bands:
    """Return the bands of a spectrum with so many bins, evenly spaced from 0."""
    first, at = [], 0
    while at < bins:
        first.append(at)
        at += max(1, round(WIDTH * at))
    return Bands(np.array(first, np.intp), bins)


@dataclass(frozen=True, slots=True)
class Scene:
    """A mixture as a grouping sees it.

    Parameters
    ----------
    Y : ndarray, shape (frames, channels * bands)
        Magnitudes, of about unit mean, the channels side by side.
    sample : ndarray, shape (frames sampled,)
        The frames to learn from, in rising order.
    frequencies : ndarray, shape (bins,)
        Hertz of each bin.
    merge : callable
        Turns spectra (..., bins) into bands (..., bands).
    step : float
        Seconds between frames.
    seed, threads : int
    runs : int, default 4
        Times that atoms are learned, where a grouping has several runs agree.
    starts : int, default 1
        Starts of which the best goes on, where a grouping learns its atoms once.
    options : mapping, optional
        Options of `factorize` that the user gave for the fits of atoms: max_iter, tol, time_limit (seconds of all fits
        together), sparsity, smoothness.
    on_progress : callable, optional
        Called with the share of the grouping that is done.
    """

    Y: Matrix
    sample: NDArray[np.intp]
    frequencies: NDArray[np.float64]
    merge: Callable[[Matrix], Matrix]
    step: float
    seed: int = 0
    threads: int | None = None
    runs: int = 4
    starts: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    on_progress: Callable[[float], object] | None = None

    def report(self, share: float) -> None:
        """Report how much of the grouping is done, from 0 to 1."""
        if self.on_progress is not None:
            self.on_progress(share)

    def mono(self, spectra: Matrix) -> Matrix:
        """Return the means over channels of spectra (..., channels * bands)."""
        channels = spectra.reshape(*spectra.shape[:-1], -1, len(self.widths))
        return np.asarray(channels.mean(axis=-2, dtype=np.float64))

    @property
    def widths(self) -> NDArray[np.float64]:
        """Bins of each band."""
        return self.merge(np.ones_like(self.frequencies)).astype(np.float64)

    @property
    def centres(self) -> NDArray[np.float64]:
        """Hertz of each band."""
        return np.asarray(self.merge(self.frequencies) / self.widths)

    def fit(self, Yt: Matrix, k: int, start: str = "random", run: int = 0, **options: Any) -> Fit:
        """Fit frames of the scene, (frames, bands), for ROUNDS iterations; options are those of `factorize`."""
        seed = int(np.random.SeedSequence([self.seed, run]).generate_state(1)[0])
        chosen = {"max_iter": ROUNDS, "tol": 0, **({} if "W" in options else {"start": start}), **options}
        return factorize(Yt.T, k, seed=seed, execution=Execution(self.threads, ONCE), **chosen)

    def learn(self, Yt: Matrix, k: int, start: str = "random", run: int = 0, **options: Any) -> Fit:
        """Fit atoms to frames as the user asked for it. Fits that only measure the sound do not depend on that."""
        return self.fit(Yt, k, start, run, **self.options, **options)

    def follow(self, Yt: Matrix, W: Matrix) -> Matrix:
        """Return the activations, (k, frames), with which templates (bands, k) fit frames best."""
        most = min(FOLLOWING, self.options.get("max_iter", FOLLOWING))
        return self.fit(Yt, W.shape[1], W=W, fixed={"W"}, **{**self.options, "max_iter": most}).factors.Z

    def within(self, fits: int) -> Scene:
        """Return the same scene with the time limit, if there is one, shared out among so many fits."""
        limit = self.options.get("time_limit")
        return self if limit is None else replace(self, options={**self.options, "time_limit": limit / fits})


@dataclass(frozen=True, slots=True)
class Atoms:
    """Atoms found.

    Parameters
    ----------
    W : ndarray, shape (channels * bands, atoms)
    Z : ndarray, shape (atoms, frames)
    owners : ndarray, shape (atoms,)
        The stem of each.
    runs : int
        Equal parts of the atoms, each of which explains all of the mixture; what they make of it is averaged.
    n_iter : int, default 0
        Iterations of the longest fit.
    converged : bool, default False
        Whether all fits met `tol`.
    """

    W: Matrix
    Z: Matrix
    owners: NDArray[np.intp]
    runs: int = 1
    n_iter: int = 0
    converged: bool = False
