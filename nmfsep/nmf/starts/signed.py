"""Where a fit starts whose templates may be negative: functions of (Xt, components, rng), as in the other files."""

from __future__ import annotations

import numpy as np

from ..factors import Factors, Matrix


def svd(Xt: Matrix, components: int, rng: np.random.Generator) -> Factors:
    """Return a start whose error is at most that of the best approximation of rank `components` - 1; deterministic.

    Gillis & Kumar, "Exact and heuristic algorithms for semi-nonnegative matrix factorization", SIAM J. Matrix Anal.
    Appl. 36(4), 2015. Of A B, that best approximation, the rows of B lose their least entry in each frame,
    and one more template takes it back: X ≈ [A, -A 1] [B - 1 m; -m], m_t = min(0, min_k B_kt).

    Parameters
    ----------
    Xt : ndarray, shape (frames, bins)
        Of any sign.
    components : int
        Those beyond the rank of X plus one start silent.
    rng : numpy.random.Generator
        Not used.
    """
    frames, bins = Xt.shape
    V, s, Ut = np.linalg.svd(Xt, full_matrices=False)
    W, Z = np.zeros((bins, components), Xt.dtype), np.zeros((components, frames), Xt.dtype)
    if components == 1:  # the best approximation of rank 0 is nothing, which half of the leading pair betters
        v = V[:, 0] if np.linalg.norm(np.maximum(V[:, 0], 0)) >= np.sqrt(0.5) else -V[:, 0]
        Z[0] = np.maximum(v, 0)
        W[:, 0] = Xt.T @ Z[0] / max(float(Z[0] @ Z[0]), np.finfo(Xt.dtype).tiny)
        return Factors(W, Z)
    rank = min(components - 1, frames, bins)
    A, B = (Ut[:rank] * s[:rank, None]).T, V[:, :rank].T
    flip = np.where(B.min(axis=1) < -B.max(axis=1), -1, 1).astype(
        Xt.dtype
    )  # the fewer large negative entries, the better
    A, B = A * flip, B * flip[:, None]
    least = np.minimum(B.min(axis=0), 0)
    W[:, :rank], W[:, rank] = A, -A.sum(axis=1)
    Z[:rank], Z[rank] = B - least, -least
    return Factors(W, Z)


def random(Xt: Matrix, components: int, rng: np.random.Generator) -> Factors:
    """Return |N(0, 1)| activations and the templates that suit them best.

    Parameters
    ----------
    Xt : ndarray, shape (frames, bins)
        Of any sign.
    components : int
    rng : numpy.random.Generator
    """
    Zt = np.abs(rng.standard_normal((len(Xt), components))).astype(Xt.dtype)
    W = np.linalg.lstsq(Zt.astype(np.float64), Xt.astype(np.float64), rcond=None)[0].T
    return Factors(W.astype(Xt.dtype), np.ascontiguousarray(Zt.T))
