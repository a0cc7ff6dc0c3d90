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
