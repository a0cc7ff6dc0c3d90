"""One picture of any factorization: X, W Z beside it, W and Z at its edges, and the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .canvas import FAINT, LIGHT, SIGNED, bare, blank, drawing, to_png

Array = NDArray[np.floating[Any]]
MOST = 1000  # rows or columns drawn; of more, evenly spaced ones


def factors_picture(
    X: Array, W: Array, Z: Array, evaluated: Sequence[int], losses: Sequence[float], title: str
) -> bytes:
    """Return a PNG file of a matrix and its factors.

    Parameters
    ----------
    X : ndarray, shape (rows, columns)
    W : ndarray, shape (rows, k)
    Z : ndarray, shape (k, columns)
    evaluated, losses : sequence
        The loss after these iterations.
    title : str
    """
    rows = np.unique(np.linspace(0, X.shape[0] - 1, min(MOST, X.shape[0])).astype(int))
    columns = np.unique(np.linspace(0, X.shape[1] - 1, min(MOST, X.shape[1])).astype(int))
    X, W, Z = X[np.ix_(rows, columns)], W[rows], Z[:, columns]
    V = W @ Z
    k = W.shape[1]
    wide = float(np.clip(2.6 * (X.shape[1] / X.shape[0]) ** 0.5, 1.6, 4.2))
    tall = float(np.clip(2.6 * (X.shape[0] / X.shape[1]) ** 0.5, 1.6, 4.2))
    edge = float(np.clip(0.16 * k, 0.5, 1.5))
    most = float(max(np.abs(X).max(), np.abs(V).max())) or 1.0
    with drawing():
        figure = blank(edge + 2 * wide + 1.6, edge + tall + 1.35, layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=9.5)
        grid = figure.add_gridspec(2, 3, width_ratios=(edge, wide, wide), height_ratios=(max(edge, 0.9), tall))
        top, left, middle, right, curve = (
            figure.add_subplot(grid[place]) for place in ((0, 1), (1, 0), (1, 1), (1, 2), (0, 2))
        )
        _heat(left, W / (np.abs(W).max(axis=0) + 1e-300), "W", f"k = {k}", "rows")
        _heat(top, Z / (np.abs(Z).max(axis=1, keepdims=True) + 1e-300), "Z", "", "")
        _heat(middle, V, "W Z", "columns", "", most)
        _heat(right, X, "X", "columns", "", most)
        _curve(curve, evaluated, losses)
        return to_png(figure)


def _heat(axes: Any, matrix: Array, title: str, below: str, beside: str, most: float = 1.0) -> None:
    signed = bool(matrix.min() < 0)
    colours = SIGNED if signed else LIGHT
    axes.imshow(matrix, cmap=colours, vmin=-most if signed else 0, vmax=most, aspect="auto", interpolation="nearest")
    axes.set_title(title, fontweight="bold")
    bare(axes)
    axes.set_xlabel(below, color=FAINT)
    axes.set_ylabel(beside, color=FAINT)


def _curve(axes: Any, evaluated: Sequence[int], losses: Sequence[float]) -> None:
    axes.plot(evaluated, losses, color="#2b5f8a", linewidth=1.4)
    if min(losses) > 0 and max(losses) > 30 * min(losses):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")  # the usual one writes powers as formulas
        axes.yaxis.set_minor_formatter(lambda value, _: "")
    axes.set_title("loss")
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("iterations", color=FAINT)
