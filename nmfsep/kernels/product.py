"""The product W Z that stands for X: its factors, and the arithmetic on their entries alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError

Matrix = NDArray[np.floating[Any]]
TINY = 1e-16  # keeps positive factors positive and clear of denormals; X has unit mean
EPS = 1e-12  # keeps the model positive where all factors are zero


@dataclass(frozen=True, slots=True)
class Factors:
    """Templates and activations.

    Parameters
    ----------
    W : ndarray, shape (bins, components)
    Z : ndarray, shape (components, frames)
        "H" elsewhere.

    Raises
    ------
    UsageError
        The shapes do not fit each other.
    """

    W: Matrix
    Z: Matrix

    def __post_init__(self) -> None:
        if self.W.ndim != 2 or self.Z.ndim != 2 or self.W.shape[1] != self.Z.shape[0]:
            raise UsageError(f"W {self.W.shape} and Z {self.Z.shape} are not (bins, k) and (k, frames)")

    def __repr__(self) -> str:
        """Return the shapes in a line."""
        return f"Factors(W {self.W.shape[0]} x {self.W.shape[1]}, Z {self.Z.shape[0]} x {self.Z.shape[1]})"

    @property
    def components(self) -> int:
        """Number of components."""
        return int(self.W.shape[1])

    def reconstruct(self) -> Matrix:
        """Return V = W Z, shape (bins, frames)."""
        return self.W @ self.Z

    def normalize(self) -> Factors:
        """Return the same V with the scale in Z: |entries| of each column of W that is not zero sum to 1."""
        scale = np.abs(self.W).sum(axis=0, dtype=np.float64)
        scale = np.where(scale <= 0, 1.0, scale).astype(self.W.dtype)
        return Factors(self.W / scale, self.Z * scale[:, None])

    def select(self, components: list[int] | NDArray[np.intp]) -> Factors:
        """Return some of the components, in the order given."""
        return Factors(self.W[:, components], self.Z[components])

    def transpose(self) -> Factors:
        """Return the factors of the transpose: Xᵀ ≈ Zᵀ Wᵀ."""
        return Factors(self.Z.T, self.W.T)

    def energies(self) -> NDArray[np.float64]:
        """Return each component's share of ‖V‖² taken alone: ‖w_k‖² ‖z_k‖², shape (components,)."""
        W, Z = self.W.astype(np.float64, copy=False), self.Z
        return np.asarray(np.einsum("fk,fk->k", W, W) * np.einsum("kt,kt->k", Z, Z, dtype=np.float64))


def keep_positive(A: Matrix) -> None:
    """Raise positive entries to TINY in place; exact zeros stay, since a multiplicative update means them to."""
    np.maximum(A, np.asarray(TINY, A.dtype), out=A, where=A > 0)


def sweep(P: Matrix, G: Matrix, H: Matrix, sweeps: int) -> None:
    """Lower ‖X - A H‖² in place by coordinate descent on the rows of H >= 0; P = Aᵀ X and G = Aᵀ A."""
    for _ in range(sweeps):
        for k in range(len(H)):
            if G[k, k] > 0:
                row = H[k] + (P[k] - G[k] @ H) / G[k, k]
                np.maximum(row, 0, out=H[k])


def move_ahead(Z: Matrix, plain: Matrix, momentum: float) -> None:
    """Set Z to max(0, Z + momentum (Z - plain)) and plain to what Z was, in place."""
    step = Z - plain
    plain[:] = Z
    step *= Z.dtype.type(momentum)
    Z += step
    np.maximum(Z, 0, out=Z)


def share(parts: Matrix) -> None:
    """Divide by the sum over stems in place; equal shares where that is zero."""
    total = parts.sum(axis=0)
    empty = total <= 0
    if empty.any():
        parts[:, empty] = 1
        total[empty] = len(parts)
    parts /= total
