"""How a template sounds: its spectrum, struck once and left to die away.

A magnitude spectrogram has no phases. Those that fit it are sought as by Griffin & Lim, "Signal estimation from
modified short-time Fourier transform", IEEE TASSP 32(2), 1984, from phases that run on as the peaks of the spectrum do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..signal.audio import Audio
from ..signal.stft import STFT, Spectrogram
from .pitch import spectral_peaks

SECONDS = 1.5
DECAY = 40.0  # decibels by which it has died away at its end
ROUNDS = 30
PEAK = 0.5  # of full scale


def audition(template: NDArray[np.floating[Any]], stft: STFT, sample_rate: int, seed: int = 0) -> Audio:
    """Return the sound of a template, mono; silence if it is silent.

    Parameters
    ----------
    template : ndarray, shape (bins,)
    stft : STFT
        What its bins are.
    sample_rate : int
        Hertz.
    seed : int, default 0
        Of the phases.
    """
    length = round(SECONDS * sample_rate)
    frames = stft.n_frames(length)
    times = np.arange(frames) * stft.hop_length / sample_rate
    magnitudes = np.outer(
        template / max(float(np.max(template, initial=0)), 1e-30), 10 ** (-DECAY / 20 * times / SECONDS)
    )
    phases = 2 * np.pi * np.outer(_running(template, sample_rate / stft.n_fft), times)
    phases += 2 * np.pi * np.random.default_rng(seed).random((stft.bins, 1))
    values = magnitudes * np.exp(1j * phases)
    audio = _inverse(values, stft, length, sample_rate)
    for _ in range(ROUNDS):
        found = stft.forward(audio).values[0]
        values = magnitudes * found / np.maximum(np.abs(found), 1e-12)
        audio = _inverse(values, stft, length, sample_rate)
    peak = float(np.abs(audio.samples).max())
    return Audio(audio.samples * np.float32(PEAK / peak), sample_rate) if peak > 0 else audio


def _running(template: NDArray[np.floating[Any]], bin_width: float) -> NDArray[np.float64]:
    """Return for each bin the hertz of the peak next to it, with which its phase runs on."""
    bins = np.arange(len(template), dtype=np.float64) * bin_width
    peaks, _ = spectral_peaks(template, bin_width)
    if not len(peaks):
        return bins
    nearest = peaks[np.abs(bins[:, None] - peaks).argmin(axis=1)]
    running: NDArray[np.float64] = np.where(np.abs(nearest - bins) < 4 * bin_width, nearest, bins)
    return running


def _inverse(values: NDArray[np.complexfloating[Any, Any]], stft: STFT, length: int, sample_rate: int) -> Audio:
    return stft.inverse(Spectrogram(values[None].astype(np.complex64), length, sample_rate))
