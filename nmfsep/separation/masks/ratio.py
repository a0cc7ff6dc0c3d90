"""The ratio mask: a generalised Wiener filter (Liutkus & Badeau, ICASSP 2015)."""

from __future__ import annotations

import numpy as np

from . import Parts, share


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
