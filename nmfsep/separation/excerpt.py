"""Excerpt of a mixture: evenly spaced stretches of a long one, joined, on which methods that look several times work.

What they cost then does not grow with the length of a file. A sound of up to WHOLE seconds is its own excerpt.
"""

from __future__ import annotations

import numpy as np

from ..signal.audio import Audio, Samples
from .mixture import Mixture

STRETCHES, SECONDS = 8, 3.0  # of a long sound, and how long each is
WHOLE = 30.0  # seconds up to which all is taken
FADE = 0.005  # seconds, so that a joint is no click


def excerpt(mixture: Mixture, most: int | None = None) -> Audio:
    """Return evenly spaced stretches of a mixture, one after the other; all of it if it is short.

    One on disk is read once, and its length must be known.

    Parameters
    ----------
    mixture : Audio or Stream
    most : int, optional
        Samples at the most, where memory is short.
    """
    rate = mixture.sample_rate
    if mixture.length <= min(WHOLE * rate, mixture.length if most is None else most):
        return Audio(np.concatenate(list(mixture.pieces()), axis=1), rate, mixture.exponent)
    count = length_of_stretch(mixture.length, rate, most)
    starts = np.linspace(0, mixture.length - count, STRETCHES).astype(np.intp).tolist()
    found = np.zeros((STRETCHES, mixture.channels, count), np.float32)
    position = 0
    for piece in mixture.pieces():
        end = position + piece.shape[1]
        for stretch, start in zip(found, starts, strict=True):
            first, last = max(start, position), min(start + count, end)
            if first < last:
                stretch[:, first - start : last - start] = piece[:, first - position : last - position]
        position = end
    return Audio(np.concatenate([_faded(stretch, rate) for stretch in found], axis=1), rate, mixture.exponent)


def length_of_stretch(length: int, sample_rate: int, most: int | None) -> int:
    """Return the samples of each stretch of a mixture of so many samples."""
    wanted = min(round(SECONDS * sample_rate), length // STRETCHES)
    return max(1, wanted if most is None else min(wanted, most // STRETCHES))


def _faded(samples: Samples, sample_rate: int) -> Samples:
    """Return samples that begin and end softly."""
    length = max(1, min(round(FADE * sample_rate), samples.shape[1] // 2))
    ramp = (np.arange(length, dtype=np.float32) + 1) / np.float32(length + 1)
    faded = samples.copy()
    faded[:, :length] *= ramp
    faded[:, -length:] *= ramp[::-1]
    return faded
