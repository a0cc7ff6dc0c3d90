"""Masks, which share the mixture out: functions (parts, power) that turn models (stems, ...) into shares, in place.

Models are not negative. Shares lie in [0, 1] and sum to 1 over the stems; where every model is zero each stem gets an
equal share, so that nothing of the mixture is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..grouping.choice import may_group
from ..kernels.product import share
from ..registry import MASKS
from ..settings.separation import GUIDED, Settings

Parts = NDArray[np.floating[Any]]
BY_PLACE = "mwf"  # the mask where channels tell stems apart


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


def binary(parts: Parts, power: float) -> None:
    """Give each bin to the stem of the largest model; a bin where all are zero is shared equally."""
    largest = parts.argmax(axis=0)
    empty = parts.max(axis=0) <= 0
    stems = np.arange(len(parts)).reshape(-1, *[1] * largest.ndim)
    np.equal(stems, largest, out=parts, casting="unsafe")
    parts[:, empty] = parts.dtype.type(1 / len(parts))


def mask_of(name: str, power: float) -> Callable[[Parts], None]:
    """Return a mask of the registry with its power; "wiener" is "ratio" with power 2, whatever the power."""
    return partial(MASKS.load(name), power=2 if name == "wiener" else power)


def may_go_by_place(settings: Settings, channels: int, guided: bool) -> bool:
    """Return whether stems may come apart by where they are in stereo, too, as nobody asked for another mask.

    Not so for --fast, the plain factorization, nor for a preset. What stands in front of a background lies in its
    middle, so that a foreground is masked as ever.
    """
    power = GUIDED["mask_power"] if guided else 1.0
    asked = settings.mask != "ratio" or settings.mask_power != power or {"mask", "mask_power"} & set(settings.given)
    stereo = channels > 1 and settings.channels == "joint"
    return stereo and not asked and (guided or (settings.preset is None and may_group(settings)))
