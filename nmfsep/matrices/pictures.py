"""Pictures of a factorization, and the figures in their titles: its error, its sparseness, and what PCA reaches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.plots.matrix import Panel, breakdown, factors_picture, sheet, tree
from ..kernels.product import Factors
from ..models.by_name import AnyFit
from ..models.convolutive import ConvolutiveFit
from ..models.deep import DeepFit
from ..settings.commands import FactorizeSettings
from .load import Found

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
    """Principal components of the columns of a matrix, and the mean, (rows,).

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


def pictures(
    found: Found, fit: AnyFit, settings: FactorizeSettings, figures: dict[str, float]
) -> dict[str, Iterable[bytes]]:
    """Return the PNG files asked for; what PCA reaches is added to `figures`."""
    files: dict[str, Iterable[bytes]] = {}
    W, Z = fit.factors.W, fit.factors.Z
    title = f"{settings.model}: {_parts(fit)}, error {figures['error']:.1%}"
    if settings.pictures:
        files["picture"] = [factors_picture(found.X, W, Z, fit.evaluated, fit.losses, title)]
    if found.size is None:
        return files
    parts, images = _stack(W, found.size), _stack(found.X, found.size)
    files["parts"] = [sheet([Panel(title, parts, [str(n + 1) for n in range(len(parts))])])]
    files["reconstructions"] = [breakdown(images, parts, Z, f"{len(images)} images, {title}")]
    if isinstance(fit, DeepFit):
        levels = [_stack(fit.level(n + 1).W, found.size) for n in range(len(fit.layers))]
        files["tree"] = [tree(levels, [fit.parents(n) for n in range(1, len(levels))], title)]
    if settings.pca:
        pca = principal_components(found.X, len(parts))
        mean, clipped = pca.clipped()
        figures |= {
            "pca_error": relative_error(found.X, pca.factors, pca.mean),
            "pca_clipped_error": relative_error(found.X, clipped, mean),
            "pca_sparseness": sparseness(pca.factors.W),
        }
        ours = (
            f"{settings.model}: {_count(len(parts))}\n"
            f"error {figures['error']:.1%}, sparseness {figures['sparseness']:.2f}"
        )
        theirs = (
            f"PCA: components of either sign\n"
            f"error {figures['pca_error']:.1%}, sparseness {figures['pca_sparseness']:.2f}\n"
            f"error {figures['pca_clipped_error']:.0%} without what is negative"
        )
        files["pca"] = [sheet([Panel(ours, parts), Panel(theirs, _stack(pca.factors.W, found.size))])]
    return files


def _parts(fit: AnyFit) -> str:
    if isinstance(fit, DeepFit):
        return f"levels of {', '.join(map(str, fit.levels))} parts"
    if isinstance(fit, ConvolutiveFit):
        return f"{_count(len(fit.Z))} of {fit.templates.shape[2]} columns each"
    return _count(fit.factors.components)


def _count(parts: int) -> str:
    return "1 part" if parts == 1 else f"{parts} parts"


def _stack(columns: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Return columns as images, (images, height, width)."""
    return np.ascontiguousarray(columns.T).reshape(-1, *size)
