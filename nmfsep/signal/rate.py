"""Sounds of several rates brought to one rate."""

from __future__ import annotations

import collections
from collections.abc import Iterable

import numpy as np

from ..errors import InputError
from .audio import Audio, Samples


def common_rate(rates: Iterable[int]) -> int:
    """Return the most frequent of some sample rates; of those as frequent, the highest."""
    counts = collections.Counter(rates)
    return max(counts, key=lambda rate: (counts[rate], rate))


def at_rate(audio: Audio, sample_rate: int) -> Samples:
    """Return a sound at a rate in hertz; shape (channels, samples).

    Raises
    ------
    InputError
        It is so short that nothing is left of it.
    """
    if audio.sample_rate == sample_rate:
        return audio.samples
    import soxr

    channels = [soxr.resample(channel, audio.sample_rate, sample_rate) for channel in audio.samples]
    converted: Samples = np.asarray(channels, np.float32)
    if not converted.size:
        raise InputError(f"is too short to be converted to {sample_rate} Hz")
    return converted
