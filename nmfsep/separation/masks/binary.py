"""The binary mask."""

from __future__ import annotations

import numpy as np

from . import Parts


def binary(parts: Parts, power: float) -> None:
    """Give each bin to the stem of the largest model; a bin where all are zero is shared equally."""
    largest = parts.argmax(axis=0)
    empty = parts.max(axis=0) <= 0
    stems = np.arange(len(parts)).reshape(-1, *[1] * largest.ndim)
    np.equal(stems, largest, out=parts, casting="unsafe")
    parts[:, empty] = parts.dtype.type(1 / len(parts))
