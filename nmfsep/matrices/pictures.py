"""What is drawn of a factorization."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..nmf.convolutive import ConvolutiveFit
from ..nmf.deep_fit import DeepFit
from ..nmf.models import AnyFit
from ..plots.factors import factors_picture
from ..plots.tiles import Panel, breakdown, sheet
from ..plots.tree import tree
from ..settings import FactorizeSettings
from .measures import principal_components, relative_error, sparseness
from .read import Found


def pictures(
    found: Found, fit: AnyFit, settings: FactorizeSettings, figures: dict[str, float]
) -> dict[str, Iterable[bytes]]:
    """Return the PNG files asked for; what PCA reaches is added to `figures`."""
    files: dict[str, Iterable[bytes]] = {}
    title = f"{settings.model}: {_parts(fit)}, error {figures['error']:.1%}"
    if settings.pictures:
        W, Z = fit.factors.W, fit.factors.Z
        files["picture"] = [factors_picture(found.X, W, Z, fit.evaluated, fit.losses, title)]
    if found.size is None:
        return files
    parts = _stack(fit.factors.W, found.size)
    images = _stack(found.X, found.size)
    named = [_short(name) for name in found.names]
    files["parts"] = [sheet([Panel(title, parts, _numbers(len(parts)))])]
    files["reconstructions"] = [breakdown(images, parts, fit.factors.Z, named, f"{len(images)} images, {title}")]
    if isinstance(fit, DeepFit):
        levels = [_stack(fit.level(n + 1).W, found.size) for n in range(len(fit.layers))]
        files["tree"] = [tree(levels, [fit.parents(n) for n in range(1, len(levels))], title)]
    if settings.pca:
        files["pca"] = [_beside_pca(found, parts, settings.model, figures)]
    return files


def _beside_pca(found: Found, parts: NDArray[Any], model: str, figures: dict[str, float]) -> bytes:
    assert found.size is not None
    pca = principal_components(found.X, len(parts))
    mean, clipped = pca.clipped()
    figures |= {
        "pca_error": relative_error(found.X, pca.factors, pca.mean),
        "pca_clipped_error": relative_error(found.X, clipped, mean),
        "pca_sparseness": sparseness(pca.factors.W),
    }
    ours = f"{model}: {_count(len(parts))}\nerror {figures['error']:.1%}, sparseness {figures['sparseness']:.2f}"
    theirs = (
        f"PCA: components of either sign\n"
        f"error {figures['pca_error']:.1%}, sparseness {figures['pca_sparseness']:.2f}\n"
        f"error {figures['pca_clipped_error']:.0%} without what is negative"
    )
    return sheet([Panel(ours, parts), Panel(theirs, _stack(pca.factors.W, found.size))])


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


def _numbers(count: int) -> list[str]:
    return [str(n + 1) for n in range(count)]


def _short(name: str) -> str:
    return name if len(name) <= 12 else name[:11] + "…"
