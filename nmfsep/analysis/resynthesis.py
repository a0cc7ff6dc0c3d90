"""Sound of a template: its spectrum, struck once and left to die away.

A magnitude spectrogram has no phases; librosa finds some that fit it, by Griffin & Lim, "Signal estimation from
modified short-time Fourier transform", IEEE TASSP 32(2), 1984, with momentum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..signal.audio import Audio
from ..signal.stft import STFT, window_samples

SECONDS = 1.5
DECAY = 40.0  # decibels by which it has died away at its end
ROUNDS = 60
PEAK = 0.5  # of full scale


def audition(template: NDArray[np.floating[Any]], stft: STFT, sample_rate: int) -> Audio:
    """Return the sound of a template, mono; silence if it is silent.

    Parameters
    ----------
    template : ndarray, shape (bins,)
    stft : STFT
        What its bins are.
    sample_rate : int
        Hertz.

    Raises
    ------
    UsageError
        librosa is not installed.
    """
    length = round(SECONDS * sample_rate)
    if not np.any(template):
        return Audio(np.zeros((1, length), np.float32), sample_rate)
    try:
        import librosa
    except ImportError as error:
        raise UsageError("the sound of a template needs librosa", "install it: pip install librosa") from error
    times = np.arange(1 + length // stft.hop_length) * stft.hop_length / sample_rate
    magnitudes = np.outer(template / np.max(template), 10 ** (-DECAY / 20 * times / SECONDS)).astype(np.float32)
    taper = window_samples(stft.window, stft.n_fft)
    sound = librosa.griffinlim(
        magnitudes, n_iter=ROUNDS, hop_length=stft.hop_length, n_fft=stft.n_fft, window=taper, length=length,
        init=None,
    )  # fmt: skip
    peak = float(np.abs(sound).max())
    return Audio((sound * (PEAK / peak if peak > 0 else 0.0)).astype(np.float32)[None], sample_rate)
