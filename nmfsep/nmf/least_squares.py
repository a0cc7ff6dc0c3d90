"""Least squares without a bound, on Gram matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .factors import Matrix


def pseudo_inverse(G: Matrix) -> NDArray[np.float64]:
    """Return G⁺ of a Gram matrix G = B Bᵀ, with which G⁺ B = (B⁺)ᵀ, in double precision.

    Directions that the rounding of G can account for are left out, judged with a diagonal made 1, since the scale of a
    component is arbitrary.
    """
    gram = G.astype(np.float64)
    scale = np.sqrt(np.maximum(np.diag(gram), 0))
    scale[scale > 0] = 1 / scale[scale > 0]
    rounding = len(G) * float(np.finfo(G.dtype).eps)
    unit = np.linalg.pinv(scale[:, None] * gram * scale, rcond=rounding, hermitian=True)
    inverse: NDArray[np.float64] = scale[:, None] * unit * scale
    return inverse


def solve(P: Matrix, G: Matrix, A: Matrix) -> None:
    """Move A in place to the minimum of ‖X - Bᵀ A‖², P = B X and G = B Bᵀ.

    A <- A + G⁺ (P - G A): what G leaves open stays as it is, so that the loss cannot rise, whatever counts as rounding.
    """
    A += (pseudo_inverse(G) @ (P - G.astype(np.float64) @ A)).astype(A.dtype)
