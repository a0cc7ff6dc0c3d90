"""Rounding stems to integers such that they add up to the integer mixture exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .audio import Samples

Integers = NDArray[np.int32] | NDArray[np.int64]


def quantise(stems: Samples, mixture: NDArray[np.integer], bits: int, gain: float = 1.0) -> tuple[Integers, int]:
    """Round stems to integers that add up to the mixture.

    Each stem is rounded half to even; what rounding leaves over goes to the first, the loudest. A stem that would
    leave the range is held at its limit and the excess goes to the others, which always have room for it, since the
    mixture is in range.

    Parameters
    ----------
    stems : ndarray, shape (stems, channels, samples), float32
        Full scale is 1. The first is ignored: it is what the others leave of the mixture.
    mixture : ndarray of int, shape (channels, samples)
    bits : int
        8, 16, 24 or 32.
    gain : float, default 1
        Factor on the stems.

    Returns
    -------
    integers : ndarray of int, shape of stems
    moved : int
        Samples held at the limit of the range.
    """
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    # products of float32 by a power of two are exact, and rounded values below 2^24 are; 32 bits need doubles
    kind = np.int64 if len(stems) << (bits - 1) >= 1 << 31 else np.int32
    real = np.float64 if bits == 32 else np.float32
    out = np.empty(stems.shape, kind)
    moved = 0
    if len(stems) > 1:
        scaled = stems[1:] * real(gain * (1 << (bits - 1)))
        np.rint(scaled, out=scaled)
        peak = np.abs(scaled).max(initial=0)
        if peak > high:
            beyond = (scaled > high) | (scaled < low)
            moved += int(beyond.sum())
            # in doubles, since the largest 32-bit integer is no float32
            scaled = np.clip(scaled.astype(np.float64), low, high)
        out[1:] = scaled
    np.subtract(mixture, out[1:].sum(axis=0, dtype=kind), out=out[0], dtype=kind)
    if out[0].max(initial=0) > high or out[0].min(initial=0) < low:
        moved += _share_excess(out, low, high)
    return out, moved


def _share_excess(out: Integers, low: int, high: int) -> int:
    """Bring the first stem into range in place by moving its excess to the others; return the samples touched."""
    where = np.nonzero((out[0] > high) | (out[0] < low))
    excess = out[0][where] - np.clip(out[0][where], low, high)
    out[0][where] -= excess
    for stem in out[1:]:
        held = np.clip(stem[where] + excess, low, high)
        excess -= held - stem[where]
        stem[where] = held
    return len(where[0])


def to_integers(samples: Samples, bits: int, gain: float = 1.0) -> Integers:
    """Round (channels, samples) of full scale 1 to integers, half to even, held to the range."""
    scaled = np.rint(samples.astype(np.float64) * (gain * (1 << (bits - 1))))
    limited: NDArray[np.float64] = np.clip(scaled, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    return limited.astype(np.int64) if bits == 32 else limited.astype(np.int32)
