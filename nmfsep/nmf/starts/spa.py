"""Templates taken from the data: the frames that differ most.

Araújo et al., "The successive projections algorithm for variable selection in spectroscopic multicomponent analysis",
2001; Gillis & Vavasis, "Fast and robust recursive algorithms for separable nonnegative matrix factorization", IEEE
TPAMI 36(4), 2014.
"""

from __future__ import annotations

import numpy as np

from ..factors import Factors, Matrix

LOUD = 0.05  # of the energy of the loudest frame: quieter ones are noise, whose shape means nothing
MOST = 4096  # frames looked at, evenly spaced
FLOOR = 1e-3  # of the mean, added to everything, since zeros would lock


def spa(Xt: Matrix, components: int, rng: np.random.Generator) -> Factors:
    """Return the frames that successive projection picks as templates; deterministic.

    Parameters
    ----------
    Xt : ndarray, shape (frames, bins)
    components : int
    rng : numpy.random.Generator
        Not used.
    """
    frames = loud_frames(Xt)
    residual = frames / np.maximum(frames.sum(axis=1, keepdims=True), np.finfo(Xt.dtype).tiny)
    picked = []
    for _ in range(components):
        norms = np.einsum("tf,tf->t", residual, residual)
        index = int(np.argmax(norms))
        picked.append(index)
        if norms[index] > 0:
            direction = residual[index] / np.sqrt(norms[index])
            residual -= np.outer(residual @ direction, direction)
    return from_templates(Xt, frames[picked].T)


def loud_frames(Xt: Matrix) -> Matrix:
    """Return up to MOST evenly spaced frames among those that are loud."""
    energy = np.einsum("tf,tf->t", Xt, Xt)
    loud = np.flatnonzero(energy >= LOUD * energy.max(initial=0))
    step = -(-len(loud) // MOST)
    return Xt[loud[::step]]


def from_templates(Xt: Matrix, W: Matrix) -> Factors:
    """Return W of unit columns, floored, with activations that share each frame's level out evenly."""
    mean = Xt.mean(dtype=np.float64)
    W = W / np.maximum(W.mean(axis=0), np.finfo(Xt.dtype).tiny) + FLOOR
    W /= W.sum(axis=0)
    level = Xt.sum(axis=1) / W.shape[1] + FLOOR * mean
    return Factors(W.astype(Xt.dtype), np.repeat(level[None], W.shape[1], axis=0).astype(Xt.dtype))
