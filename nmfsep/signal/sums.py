"""Whether stems on disk add up to their mixture."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .quantise import to_integers
from .read import BLOCK, Source


def sum_error(
    stems: Sequence[Path], mixture: Source, offset: int, length: int, gain: float = 1.0, bits: int = 0
) -> float:
    """Return the largest difference between gain times the mixture and the sum of the stems, relative to its peak.

    Parameters
    ----------
    stems : sequence of Path
    mixture : Source
    offset, length : int
        The stretch of the mixture that was separated, in samples.
    gain : float, default 1
    bits : int, default 0
        Width of the stems' integers, to which the mixture is rounded first; 0 if they have none.
    """
    worst, peak = 0.0, 0.0
    with contextlib.ExitStack() as stack:
        sources = [stack.enter_context(Source(path)) for path in stems]
        mixture.seek(offset)
        for start in range(0, length, BLOCK):
            count = min(BLOCK, length - start)
            x = mixture.block(count)
            if len(x) < count:
                return np.inf
            if bits and not (bits == 32 and mixture.subtype == "PCM_32" and gain == 1):
                with np.errstate(over="ignore"):
                    x = to_integers(x.astype(np.float32), bits, gain) / (1 << (bits - 1))
            else:
                x = gain * x
            total = np.zeros_like(x)
            for source in sources:
                piece = source.block(count)
                if piece.shape != x.shape:
                    return np.inf
                total += piece
            worst = float(np.maximum(worst, np.abs(total - x).max(initial=0)))  # unlike max, keeps a NaN
            peak = max(peak, float(np.abs(x).max(initial=0)))
    if worst <= len(stems) * float(np.finfo(np.float32).smallest_subnormal):  # as near as single precision comes
        return 0.0
    if np.isnan(worst):
        return np.inf
    return worst / peak if peak > 0 else worst
