"""What tells one factorization from another: its error, how sparse its parts are, and what PCA would have found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..nmf.factors import Factors

BLOCK = 1 << 18  # entries looked at at a time


def relative_error(X: NDArray[Any], factors: Factors, mean: NDArray[Any] | None = None) -> float:
    """Return ‖X - W Z‖ / ‖X‖, with a mean column added to W Z if one is given; 0 where all is zero."""
    left = whole = 0.0
    step = max(1, BLOCK // len(X))
    for start in range(0, X.shape[1], step):
        block = X[:, start : start + step].astype(np.float64)
        V = factors.W.astype(np.float64) @ factors.Z[:, start : start + step]
        whole += float(np.sum(block**2))
        left += float(np.sum((block - V - (0 if mean is None else mean[:, None])) ** 2))
    return float(np.sqrt(left / whole)) if whole > 0 else 0.0


def sparseness(W: NDArray[Any]) -> float:
    """Return the mean sparseness of columns: 0 where all entries are equal, 1 where one alone is not zero.

    (√n - ‖w‖₁ / ‖w‖₂) / (√n - 1), Hoyer, "Non-negative matrix factorization with sparseness constraints", JMLR 5, 2004.
    Columns of zeros are left out.
    """
    w = np.abs(W[:, np.abs(W).max(axis=0) > 0]).astype(np.float64)
    root = np.sqrt(len(w))
    if root <= 1 or not w.size:
        return 0.0
    return float(np.mean((root - w.sum(axis=0) / np.sqrt(np.sum(w**2, axis=0))) / (root - 1)))


@dataclass(frozen=True, slots=True)
class Components:
    """Principal components of the columns of a matrix.

    Attributes
    ----------
    mean : ndarray, shape (rows,)
    factors : Factors
        W holds the components, of unit length, those of largest variance first; Z the scores.
    """

    mean: NDArray[np.float64]
    factors: Factors

    def clipped(self) -> tuple[NDArray[np.float64], Factors]:
        """Return the mean and the factors with what is negative set to 0, as parts that add up would need.

        The sign of a component is arbitrary; the one that loses less is taken.
        """
        W, Z = self.factors.W, self.factors.Z
        plus, minus = (
            np.linalg.norm(np.maximum(s * W, 0), axis=0) * np.linalg.norm(np.maximum(s * Z, 0), axis=1) for s in (1, -1)
        )
        sign = np.where(plus >= minus, 1.0, -1.0)
        return np.maximum(self.mean, 0), Factors(np.maximum(W * sign, 0), np.maximum(Z * sign[:, None], 0))


def principal_components(X: NDArray[Any], k: int) -> Components:
    """Return the mean and k principal components of the columns of X, by the singular value decomposition."""
    mean = X.mean(axis=1, dtype=np.float64)
    U, s, Vt = np.linalg.svd(X - mean[:, None], full_matrices=False)
    U, s, Vt = U[:, :k], s[:k], Vt[:k]
    flip = np.where(-U.min(axis=0, initial=0) > U.max(axis=0, initial=0), -1.0, 1.0)  # or chance would choose the sign
    return Components(mean, Factors(U * flip, (s * flip)[:, None] * Vt))
