"""The factors of X ≈ W Z."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError

Matrix = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Factors:
    """Templates and activations.

    Parameters
    ----------
    W : ndarray, shape (bins, components)
        Templates, one a column.
    Z : ndarray, shape (components, frames)
        Activations, one a row ("H" elsewhere).

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

    @property
    def components(self) -> int:
        """Number of components."""
        return int(self.W.shape[1])

    def reconstruct(self) -> Matrix:
        """Return V = W Z, shape (bins, frames)."""
        return self.W @ self.Z

    def normalize(self) -> Factors:
        """Settle the scale ambiguity W D D⁻¹ Z: |entries| of each column of W sum to 1, the scale is in Z; V stays.

        A column that is zero stays zero and its row of Z as it is.
        """
        scale = np.abs(self.W).sum(axis=0, dtype=np.float64)
        scale[scale <= 0] = 1.0
        scale = scale.astype(self.W.dtype)
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
        energies: NDArray[np.float64] = np.einsum("fk,fk->k", W, W) * np.einsum("kt,kt->k", Z, Z, dtype=np.float64)
        return energies
