"""A random start."""

from __future__ import annotations

import numpy as np

from ..factors import Factors, Matrix


def random(Xt: Matrix, components: int, rng: np.random.Generator) -> Factors:
    """Return |N(0, 1)| entries scaled so that W Z has about the mean of X.

    Parameters
    ----------
    Xt : ndarray, shape (frames, bins)
    components : int
    rng : numpy.random.Generator
    """
    frames, bins = Xt.shape
    scale = np.sqrt(Xt.mean(dtype=np.float64) / components)
    W = scale * np.abs(rng.standard_normal((bins, components)))
    Z = scale * np.abs(rng.standard_normal((components, frames)))
    return Factors(W.astype(Xt.dtype), Z.astype(Xt.dtype))
