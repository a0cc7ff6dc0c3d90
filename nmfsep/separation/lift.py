"""Atoms of bands and all channels together, lifted to templates of every bin of every channel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..nmf.factors import Matrix
from .bands import Bands

ROUNDS = 3


def lift(W: Matrix, Z: Matrix, X: Matrix, bands: Bands, sample: NDArray[np.intp]) -> list[Matrix]:
    """Return the templates of each channel, (bins, atoms), at which W Z fits some frames of X.

    Each band of an atom starts as the mean spectrum of the channel has it inside; ROUNDS multiplicative updates of the
    templates, for the Kullback-Leibler divergence, then tell the atoms' bins apart.

    Parameters
    ----------
    W : ndarray, shape (channels * bands, atoms)
    Z : ndarray, shape (atoms, frames)
    X : ndarray, shape (channels * bins, frames)
    bands : Bands
    sample : ndarray
        The frames.
    """
    Zs = np.ascontiguousarray(Z[:, sample])
    total = np.maximum(Zs.sum(axis=1, keepdims=True), 1e-12)
    lifted = []
    for channel in range(len(X) // bands.bins):
        Xt = np.ascontiguousarray(X[channel * bands.bins : (channel + 1) * bands.bins, sample].T)
        spectrum = Xt.mean(axis=0, dtype=np.float64) + 1e-6
        own = W[channel * bands.count : (channel + 1) * bands.count]
        Wt = bands.spread(np.ascontiguousarray(own.T), spectrum)
        for _ in range(ROUNDS):
            V = Zs.T @ Wt
            V += np.float32(1e-9)
            np.divide(Xt, V, out=V)
            Wt *= (Zs @ V) / total
        lifted.append(Wt.T)
    return lifted
