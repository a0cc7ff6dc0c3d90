"""Distributed learning of templates from a corpus, by whatever runs jobs: map, sum and step, all pure functions."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..errors import UsageError
from ..kernels.divergence import as_divergence
from ..kernels.product import Matrix
from ..nmf import blockwise as sums
from ..nmf.problem import Problem
from ..signal.audio import at_rate
from ..signal.read import read
from ..signal.stft import STFT
from .learn import Sound, sums_of


def statistics(
    path: str | os.PathLike[str],
    W: ArrayLike,
    *,
    sample_rate: int,
    hop_length: int | None = None,
    window: str = "hann",
    divergence: str | float = "kl",
    sparsity: float = 0.0,
    threads: int | None = 1,
) -> sums.Statistics:
    """Return what a step of the templates needs to know of a file: the map.

    Parameters
    ----------
    path : path-like
        Of any rate and number of channels; converted; of several channels the mean magnitudes count.
    W : array_like, shape (bins, components)
        Non-negative templates; frames have n_fft = 2 (bins - 1) samples.
    sample_rate : int
        Hertz that W is meant for.
    hop_length : int, optional
        Samples between frames; a quarter of n_fft if not given.
    window : str, default "hann"
    divergence : str or float, default "kl"
    sparsity : float, default 0
    threads : int, optional
        Never changes the result.

    Returns
    -------
    Statistics
        Of a size that does not depend on the file; add them up with +. A silent file gives zeros.

    Raises
    ------
    InputError
        The file cannot be read.
    UsageError
        W is no matrix of templates.
    """
    Wt = _templates(W)
    stft = STFT(2 * (Wt.shape[1] - 1), hop_length or 0, window)
    problem = Problem(as_divergence(divergence), sparsity=sparsity)
    sound = Sound(os.fspath(path), lambda: at_rate(read(path), sample_rate))
    return sums_of((sound, None), (Wt, stft, problem, threads, True))


def update(W: ArrayLike, total: sums.Statistics, *, divergence: str | float = "kl", sparsity: float = 0.0) -> Matrix:
    """Return the templates after one step: W and the sum of the statistics of all files to the next W.

    Parameters
    ----------
    W : array_like, shape (bins, components)
        The templates that the statistics were taken at.
    total : Statistics
    divergence, sparsity
        As for `statistics`.

    Returns
    -------
    ndarray, shape (bins, components), float32
    """
    Wt = _templates(W)
    if total.negative.shape != Wt.shape:
        raise UsageError(f"the statistics are of templates of shape {total.negative.shape[::-1]}, not {Wt.shape[::-1]}")
    return sums.update(Wt, total, Problem(as_divergence(divergence), sparsity=sparsity)).T


def _templates(W: ArrayLike) -> Matrix:
    array: Any = np.asarray(W)
    if array.ndim != 2 or len(array) < 3 or array.shape[1] < 1 or not np.isfinite(array).all() or array.min() < 0:
        raise UsageError("W is no matrix (bins, components) of finite, non-negative numbers")
    # what comes from another machine may lie at an odd address, where other loops would round it differently
    return np.require(array.T, np.float32, ["C", "A"])
