"""Dictionaries of other sample rates and lengths of frames, brought to those of a mixture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..nmf.factors import Matrix
from ..signal.stft import STFT
from .dictionary import Dictionary, View, unit

FARTHEST = 4.0  # times longer or shorter that frames may become


def convert(dictionary: Dictionary, sample_rate: int, stfts: Sequence[STFT]) -> Dictionary:
    """Return a dictionary for other frames, its templates resampled along the frequency axis.

    Parameters
    ----------
    dictionary : Dictionary
    sample_rate : int
        Hertz of the mixture.
    stfts : sequence of STFT
        Of the mixture, one for each view of the result, made from the view whose frames last most nearly as long.

    Raises
    ------
    UsageError
        The frames differ too much in length.
    """
    views = []
    for stft in stfts:
        seconds = stft.n_fft / sample_rate
        lengths = [view.stft.n_fft / dictionary.sample_rate for view in dictionary.views]
        nearest = int(np.argmin(np.abs(np.log(np.array(lengths) / seconds))))
        ratio = max(lengths[nearest] / seconds, seconds / lengths[nearest])
        if ratio > FARTHEST:
            raise UsageError(
                f"its frames last {lengths[nearest]:.3g} s, those asked for {seconds:.3g} s, too different to convert",
                "leave out --n-fft, or learn the dictionary with the same",
            )
        views.append(_convert_view(dictionary.views[nearest], dictionary.sample_rate, sample_rate, stft))
    return Dictionary(
        tuple(views),
        dictionary.labels,
        sample_rate,
        dictionary.divergence,
        dictionary.channels,
        dictionary.provenance,
    )


def suitable(dictionary: Dictionary, sample_rate: int) -> list[STFT]:
    """Return the frames for a mixture of that rate that last about as long as the dictionary's, one for each view."""
    if sample_rate == dictionary.sample_rate:
        return [view.stft for view in dictionary.views]
    stfts: dict[int, STFT] = {}
    for view in dictionary.views:
        wanted = view.stft.n_fft * sample_rate / dictionary.sample_rate
        n_fft = int(np.clip(2 ** round(np.log2(wanted)), 4, 2**20))
        steps = view.stft.n_fft / view.stft.hop_length
        stfts[n_fft] = STFT(n_fft, max(1, min(n_fft // 2, round(n_fft / steps))), view.stft.window)
    return list(stfts.values())


def _convert_view(view: View, rate: int, sample_rate: int, stft: STFT) -> View:
    seconds = stft.hop_length / sample_rate, view.stft.hop_length / rate
    if view.delays > 1 and not 0.8 < seconds[0] / seconds[1] < 1.25:
        raise UsageError(
            f"its templates last {view.delays} frames of {seconds[1]:.3g} s, not of {seconds[0]:.3g} s",
            "leave out --n-fft and --hop-length",
        )
    if rate == sample_rate and stft.n_fft == view.stft.n_fft:
        return View(stft, view.W, view.owners, view.known, view.delays)
    # where the new bins lie among the old, in bins
    step = (sample_rate / stft.n_fft) / (rate / view.stft.n_fft)
    positions = np.arange(stft.bins) * step
    known = int(np.searchsorted(positions, view.known - 1, side="right"))
    if known < 2:
        raise UsageError("its templates tell of no frequency that the mixture has")
    W = _resampled(view.W, positions[:known], step)
    if known < stft.bins:
        # what is not known gets the level of the highest that is
        high = W[-max(1, known // 8) :].mean(axis=0)
        W = np.concatenate([W, np.repeat(high[None], stft.bins - known, axis=0)])
    return View(stft, unit(W, view.delays), view.owners, known, view.delays)


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
    mean = (up_to(high) - up_to(low)) / (high - low)[:, None]
    clean: Matrix = np.maximum(mean, 0).astype(np.float32)
    return clean
