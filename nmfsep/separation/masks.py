"""Masks share the mixture out: functions (parts, power) that turn models (stems, ...) into shares, in place.

Shares lie in [0, 1] and sum to 1 over the stems; where every model is zero each stem gets an equal share, so that
nothing of the mixture is lost.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Parts = NDArray[np.floating[Any]]


class Mask(Protocol):
    """Turn the model of each stem into its share of the mixture, in place."""

    def __call__(self, parts: Parts, power: float) -> None:
        """Replace parts (stems, ...), non-negative, by shares of the same shape."""


def share(parts: Parts) -> None:
    """Divide by the sum over stems in place; equal shares where that is zero."""
    total = parts.sum(axis=0)
    empty = total <= 0
    if empty.any():
        parts[:, empty] = 1
        total[empty] = len(parts)
    parts /= total


def ratio(parts: Parts, power: float) -> None:
    """Share by V_j^power / sum_i V_i^power."""
    if power != 1:
        # relative to the largest, since a high power of a level would leave the range of single precision
        peak = parts.max(axis=0)
        parts /= np.where(peak > 0, peak, 1)
        if power == 2:
            np.multiply(parts, parts, out=parts)
        else:
            np.power(parts, parts.dtype.type(power), out=parts)
    share(parts)


def wiener(parts: Parts, power: float) -> None:
    """Share by V_j² / sum_i V_i², whatever the power."""
    ratio(parts, 2)


def binary(parts: Parts, power: float) -> None:
    """Give each bin to the stem of the largest model; a bin where all are zero is shared equally."""
    largest = parts.argmax(axis=0)
    empty = parts.max(axis=0) <= 0
    stems = np.arange(len(parts)).reshape(-1, *[1] * largest.ndim)
    np.equal(stems, largest, out=parts, casting="unsafe")
    parts[:, empty] = parts.dtype.type(1 / len(parts))
