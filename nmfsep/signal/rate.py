"""Sounds of several rates brought to one rate."""

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


def at_rate(audio: Audio, sample_rate: int) -> Samples:
    """Return a sound at a rate in hertz; shape (channels, samples).

    Raises
    ------
    InputError
        It is so short that nothing is left of it, its rate so low that what it lacks is nearly all there is, or soxr,
        which converts it, is not installed.
    """
    if audio.sample_rate == sample_rate:
        return audio.samples
    if sample_rate > FINER * audio.sample_rate:
        raise InputError(f"has {audio.sample_rate} Hz, too few to be converted to {sample_rate} Hz", "leave it out")
    try:
        import soxr
    except ImportError as error:  # there is none for Windows on ARM
        message = f"has {audio.sample_rate} Hz, and converting it to {sample_rate} Hz needs soxr"
        raise InputError(message, "install it: pip install soxr; or convert the file first") from error
    channels = [soxr.resample(channel, audio.sample_rate, sample_rate) for channel in audio.samples]
    converted: Samples = np.asarray(channels, np.float32)
    if not converted.size:
        raise InputError(f"is too short to be converted to {sample_rate} Hz")
    return converted
