"""Pictures of a factorization, and the figures in their titles: its error and sparseness, and those of PCA."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.plots.matrix import Panel, breakdown, factors_picture, sheet, tree
from ..kernels.product import Factors
from ..kernels.streamed import Rows
from ..models.by_name import AnyFit
from ..models.convolutive import ConvolutiveFit
from ..models.deep import DeepFit
from ..settings.commands import FactorizeSettings
from .load import Found

BLOCK = 1 << 18  # entries looked at at a time


def relative_error(X: Any, factors: Factors, mean: NDArray[Any] | None = None) -> float:
    """Return ‖X - W Z‖ / ‖X‖, with a mean column added to W Z if one is given; 0 where all is zero.

    X is an array, sparse, or Rows; the latter two without a mean.
    """
    left = whole = 0.0
    W, Z = (A.astype(np.float64, copy=False) for A in (factors.W, factors.Z))
    if isinstance(X, Rows):
        stored, A, B = (X.T, Z.T, W.T) if X.flipped else (X, W, Z)
        for span, block in stored.blocks():
            whole += float(np.sum(np.square(block, dtype=np.float64)))
            left += float(np.sum((block - A[span] @ B) ** 2))
        return float(np.sqrt(left / whole)) if whole > 0 else 0.0
    if not isinstance(X, np.ndarray):
        whole = float(np.square(X.data, dtype=np.float64).sum())
        left = whole - 2 * float(np.sum(W * (X @ Z.T))) + float(np.sum((W.T @ W) * (Z @ Z.T)))
        return float(np.sqrt(max(left, 0) / whole)) if whole > 0 else 0.0
    step = max(1, BLOCK // len(X))
    # squares of large numbers would be infinite
    unit = float(2.0 ** np.clip(np.frexp(max(abs(float(X.max())), abs(float(X.min()))))[1], -1022, 1023))
    for start in range(0, X.shape[1], step):
        block = X[:, start : start + step].astype(np.float64) / unit
        V = W @ Z[:, start : start + step] / unit
        whole += float(np.sum(block**2))
        left += float(np.sum((block - V - (0 if mean is None else mean[:, None] / unit)) ** 2))
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
    panels = [Panel(f"{settings.model}: {_count(len(parts))}\n{_figures(figures)}", parts)]
    if settings.pca:
        pca = principal_components(found.X, len(parts))
        mean, clipped = pca.clipped()
        figures |= {
            "pca_error": relative_error(found.X, pca.factors, pca.mean),
            "pca_clipped_error": relative_error(found.X, clipped, mean),
            "pca_sparseness": sparseness(pca.factors.W),
        }
        theirs = (
            f"PCA: components of either sign\n{_figures(figures, 'pca_')}\n"
            f"error {figures['pca_clipped_error']:.0%} without what is negative"
        )
        panels.append(Panel(theirs, _stack(pca.factors.W, found.size)))
    if found.labels:
        W = discriminants(found.X, found.labels, len(parts))
        figures["lda_sparseness"] = sparseness(W)
        title = f"Fisher: what tells\n{len(set(found.labels))} labels apart\nsparseness {figures['lda_sparseness']:.2f}"
        panels.append(Panel(title, _stack(W, found.size)))
    if len(panels) > 1:
        files["lda" if found.labels else "pca"] = [sheet(panels)]
    return files


def discriminants(X: NDArray[Any], labels: Sequence[str], k: int) -> NDArray[np.float64]:
    """Return Fisher's linear discriminants, columns of unit length, that tell the labels of the columns of X apart.

    Those of scikit-learn, of which there is one less than labels at the most; the first tells most apart. Since there
    are more pixels than images, they are looked for within k principal components (Belhumeur, Hespanha & Kriegman,
    "Eigenfaces vs. Fisherfaces", IEEE TPAMI 19(7), 1997).
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    pca = principal_components(X, k).factors
    own = LinearDiscriminantAnalysis().fit(pca.Z.T, list(labels)).scalings_[:, : len(set(labels)) - 1]
    W = pca.W @ own
    return np.asarray(W / np.maximum(np.linalg.norm(W, axis=0), 1e-300))


def _figures(figures: dict[str, float], whose: str = "") -> str:
    return f"error {figures[whose + 'error']:.1%}, sparseness {figures[whose + 'sparseness']:.2f}"


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
