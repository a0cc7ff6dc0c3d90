"""Sounds of several rates and numbers of channels brought to one rate and one channel."""

from __future__ import annotations

import collections
from collections.abc import Iterable

import numpy as np

from ..errors import InputError
from .audio import Audio, Samples

FINER = 32  # samples made of one at the most: 4 kHz to 128 kHz; a damaged header may say 1 Hz


def common_rate(rates: Iterable[int]) -> int:
    """Return the most frequent of some sample rates; of those as frequent, the highest."""
    counts = collections.Counter(rates)
    return max(counts, key=lambda rate: (counts[rate], rate))


def mono_at(audio: Audio, sample_rate: int) -> Samples:
    """Return a sound mixed down to one channel, at a rate in hertz; shape (samples,).

    Raises
    ------
    InputError
        It is so short that nothing is left of it, its rate so low that what it lacks is nearly all there is, or soxr,
        which converts it, is not installed.
    """
    mono: Samples = audio.samples[0] if audio.channels == 1 else audio.samples.mean(axis=0, dtype=np.float32)
    if audio.sample_rate == sample_rate:
        return mono
    if sample_rate > FINER * audio.sample_rate:
        raise InputError(f"has {audio.sample_rate} Hz, too few to be converted to {sample_rate} Hz", "leave it out")
    try:
        import soxr
    except ImportError as error:  # there is none for Windows on ARM
        message = f"has {audio.sample_rate} Hz, and converting it to {sample_rate} Hz needs soxr"
        raise InputError(message, "install it: pip install soxr; or convert the file first") from error
    converted: Samples = np.asarray(soxr.resample(mono, audio.sample_rate, sample_rate), np.float32)
    if not len(converted):
        raise InputError(f"is too short to be converted to {sample_rate} Hz")
    return converted
